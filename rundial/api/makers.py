"""The exporters that a variable names, made for a run that is about to begin and sends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rundial.errors import ConfigError
from rundial.interrupts import let_through
from rundial.otlpvalues import Named, is_exporter


def made(found: Iterable[Any]) -> tuple[Any, ...]:
    """Return exporters, with those made that were named.

    Raises:
        ConfigError: One cannot be made, or is none.
    """
    return tuple(_made(each) if isinstance(each, Named) else each for each in found)


def _made(named: Named) -> Any:
    try:
        exporter = named.make()
    except Exception as error:
        let_through(error)
        # Without its words, which may hold a key.
        raise ConfigError(
            f"exporters: {named.name} raised {type(error).__name__}; nothing was started"
        ) from error
    if not is_exporter(exporter):
        raise ConfigError(
            f"exporters: what {named.name} makes must be derived from one of OpenTelemetry's own classes, "
            f"not {type(exporter).__name__}; nothing was started"
        )
    return exporter
