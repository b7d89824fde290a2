"""Compact JSON for what `init` writes, whether or not anybody has imported `json` yet.

`json` brings `re` and `enum` along, a fifth of what a first `init` took. What a start writes is plain:
mappings, lists, numbers and short ASCII texts. So plain values are written here as long as `json` is not
there; it comes with the encoder's first pass, and from then on it writes, compiled. Both write the same.
See `docs/decisions/0015-what-a-start-costs.md`.
"""

from __future__ import annotations

import sys

from rundial.typed import Any

# The last of its parts to be imported: from its beginning on, waiting for the whole costs next to nothing.
_JSON = "json.encoder"
_INT64 = 63
_CONSTANTS = {None: "null", True: "true", False: "false"}


def is_plain_best() -> bool:
    """Whether nobody has imported `json` yet, so that writing without it is faster."""
    return _JSON not in sys.modules


def dumps(value: Any) -> str:
    """Return a value as `json.dumps` writes it without spaces.

    Raises:
        TypeError: It holds what JSON does not know.
        RecursionError: It contains itself.
    """
    text = plain(value) if is_plain_best() else None
    if text is not None:
        return text
    import json

    return json.dumps(value, separators=(",", ":"), check_circular=False)


def loads(text: str | bytes | memoryview) -> Any:
    """Return what JSON says; nothing reads any before `json` may be imported.

    Raises:
        ValueError: It is none.
    """
    import json

    return json.loads(text if isinstance(text, str) else bytes(text))


def plain(value: Any) -> str | None:
    """Return a plain value as compact JSON; None where something in it is for `json` to write.

    Raises:
        RecursionError: It contains itself.
    """
    kind = type(value)
    if kind is str:
        needs_no_escape = value.isascii() and value.isprintable() and '"' not in value and "\\" not in value
        return f'"{value}"' if needs_no_escape else None
    if value is None or kind is bool:
        return _CONSTANTS[value]
    if kind is int:
        return repr(value) if value.bit_length() <= _INT64 else None
    if kind is float:
        # NaN and infinities have names of their own in JSON.
        return repr(value) if value - value == 0.0 else None
    if kind is dict:
        return _mapping(value)
    if kind is list or kind is tuple:
        items = [plain(item) for item in value]
        return None if None in items else f"[{','.join(items)}]"  # type: ignore[arg-type]  # without None
    return None


def _mapping(value: dict[Any, Any]) -> str | None:
    parts = []
    for key, item in value.items():
        name, text = plain(key) if type(key) is str else None, plain(item)
        if name is None or text is None:
            return None
        parts.append(f"{name}:{text}")
    return f"{{{','.join(parts)}}}"
