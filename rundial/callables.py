"""Callables that a setting names."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from rundial.typed import Any


def named(value: Any) -> Callable[..., Any]:
    """Return a callable; a text, as from the environment, is `module:name` of one.

    Raises:
        ValueError: It is neither, or cannot be imported.
    """
    if isinstance(value, str):
        module, _, name = value.strip().partition(":")
        try:
            value = getattr(importlib.import_module(module), name)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise ValueError(f"must be module:name of a callable ({why})") from error
    if not callable(value):
        raise ValueError("must be a callable")
    return value  # type: ignore[no-any-return]  # it was looked at in the line above
