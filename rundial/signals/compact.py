"""Nested values ↔ compact JSON, for events and spans on their way through the ring.

JSON because Python's own writer is compiled and needs 2 to 4 µs for a span, and because what it
wrote can be read after a crash without a schema. What JSON lacks is added: bytes are
`{"$b": base64}`, and a user's own mapping whose only key is `$b` or `$m` becomes
`{"$m": [key, value]}`, so that neither can be taken for the other. NaN and infinities
are written as Python does.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from functools import cache

from rundial import plainjson
from rundial.signals.attributes import as_text
from rundial.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from json import JSONDecoder, JSONEncoder

_BYTES = "$b"
_MAPPING = "$m"
# Begins every key of ours, so its absence proves that there is nothing to escape or to decode.
_HINT = '"$'


def dump(value: Any) -> bytes:
    """Return a nested value as JSON in UTF-8; what JSON does not know becomes its text.

    Raises:
        TypeError: A mapping has keys that are not scalars.
        RecursionError: A value contains itself.
    """
    text = plainjson.plain(value) if plainjson.is_plain_best() else None
    if text is None:
        text = _encoder().encode(value)
    if _HINT in text:
        text = _encoder().encode(_escaped(value))
    return text.encode("utf-8", "replace")


def load(data: bytes | memoryview) -> Any:
    """Return the value that `dump` wrote.

    Raises:
        ValueError: The bytes are not what `dump` writes.
    """
    text = str(data, "utf-8")
    return _decoder(is_hooked=_HINT in text).decode(text)


def _default(value: object) -> object:
    if isinstance(value, bytes):
        return {_BYTES: b2a_base64(value, newline=False).decode("ascii")}
    return as_text(value)


def _escaped(value: Any) -> Any:
    if isinstance(value, Mapping):
        if len(value) == 1 and (_BYTES in value or _MAPPING in value):
            ((key, item),) = value.items()
            return {_MAPPING: [key, _escaped(item)]}
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_escaped(item) for item in value]
    return value


def _decoded(value: dict[str, Any]) -> Any:
    if len(value) == 1:
        if _BYTES in value:
            return a2b_base64(value[_BYTES])
        if _MAPPING in value:
            key, item = value[_MAPPING]
            return {key: item}
    return value


@cache
def _encoder() -> JSONEncoder:
    from json import JSONEncoder

    return JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"), default=_default)


@cache
def _decoder(*, is_hooked: bool) -> JSONDecoder:
    from json import JSONDecoder

    return JSONDecoder(object_hook=_decoded if is_hooked else None)
