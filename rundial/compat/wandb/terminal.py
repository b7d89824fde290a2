"""`termlog`, `termwarn` and `termerror`: what libraries say to whoever looks on."""

from __future__ import annotations

import sys

_said: set[str] = set()


def termlog(string: str = "", newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Write a line to stderr.

    Args:
        string: What to say.
        newline: Whether the line ends with it.
        repeat: Whether to say it again when it has been said.
        prefix: Whether to say who says it.
    """
    if not repeat and string in _said:
        return
    _said.add(string)
    sys.stderr.write(f"{'rundial: ' if prefix else ''}{string}{chr(10) if newline else ''}")


def termwarn(string: str, newline: bool = True, repeat: bool = True) -> None:
    """Write a warning to stderr."""
    termlog(f"WARNING {string}", newline, repeat)


def termerror(string: str, newline: bool = True, repeat: bool = True) -> None:
    """Write an error to stderr."""
    termlog(f"ERROR {string}", newline, repeat)
