"""The table of docs/settings.md, made from the settings themselves.

`python -m tests.support.settings_page` writes it into the page; a contract test compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from rundial.settings import OPTIONS, Option

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
HEAD = "| argument | variable | default | unit or choices | at least |\n|---|---|---|---|---|\n"
TABLE = re.compile(re.escape(HEAD) + r"(?:\|.*\n)+")
_SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"))


def table() -> str:
    """Return the table, a row a setting."""
    return HEAD + "".join(_row(option) for option in OPTIONS)


def _row(option: Option) -> str:
    also = [f"`{option.variables[1]}` for `{option.alias}`"] if option.alias else []
    variables = "; or ".join([f"`{option.env}`", *also]) + (f", then `{option.otel}`" if option.otel else "")
    least = "" if option.minimum is None else f"{option.minimum:,.15g}"
    return f"| `{option.name}` | {variables} | {_default(option.default)} | {option.unit} | {least} |\n"


def _default(value: object) -> str:
    shown: dict[type, Callable[[], str]] = {
        bool: lambda: f"`{value}`".lower(),
        int: lambda: f"{value:,}{_size(value)}",
        float: lambda: f"{value:,.15g}",
        type(None): lambda: "none",
        tuple: lambda: "none",
    }
    return shown.get(type(value), lambda: f"`{value}`")()


def _size(value: object) -> str:
    for size, name in _SIZES:
        if isinstance(value, int) and value and value % size == 0:
            return f" ({value // size} {name})"
    return ""


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text()))
