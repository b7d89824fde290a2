"""What is said of a setting that is refused. Pure; loaded by the first mistake, and not by `init`."""

from __future__ import annotations

import re

from rundial.typed import Any


def said(source: str, value: Any, error: Exception, *, is_secret: bool) -> str:
    """Return in words why a value cannot be read, without what is secret of it.

    Args:
        source: The argument, variable or profile that it came from.
        value: As it was given.
        error: What reading it raised.
        is_secret: Whether all of it is secret.
    """
    # A URL's user name and password are secrets wherever they were meant to go.
    shown = "" if is_secret else f" {_without_user(str(value))[:80]!r}"
    text = str(error)
    why = text if text.startswith("must") else f"cannot be read ({text})"
    return f"{source}{shown} {why}; nothing was started"


def _without_user(text: str) -> str:
    return re.sub(r"[^/\s]*@", "…@", text)
