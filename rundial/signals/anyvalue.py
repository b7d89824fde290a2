"""Values and attributes → OTLP's AnyValue and KeyValue messages, without the protobuf package. Pure.

Source:
    opentelemetry-proto 1.x, common.proto for the field numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from rundial.signals.wire import delimited, double, integer, text
from rundial.typed import Any

_INT64_MAX = 2**63 - 1


def encode_attribute(key: str, value: Any) -> bytes:
    """Return a KeyValue message."""
    return _key(key) + delimited(2, encode_value(value))


@functools.lru_cache(maxsize=4096)
def _key(key: str) -> bytes:
    # The same few hundred names stand in every record of a run.
    return text(1, key)


def encode_attributes(field: int, attributes: Mapping[str, Any]) -> bytes:
    """Return a repeated field of KeyValue messages."""
    return b"".join(delimited(field, encode_attribute(key, value)) for key, value in attributes.items())


def encode_value(value: Any) -> bytes:
    """Return an AnyValue message; None is an empty one, which is how OTLP says null.

    Integers beyond 64 bits become floats, as they do in `rundial.signals.attributes`.

    Raises:
        TypeError: The value is none that OTLP knows.
    """
    if isinstance(value, str):
        return text(1, value)
    if isinstance(value, bool):
        return integer(2, value)
    if isinstance(value, int) and -_INT64_MAX - 1 <= value <= _INT64_MAX:
        return integer(3, value)
    if isinstance(value, (int, float)):
        return double(4, value)
    if isinstance(value, (bytes, bytearray)):
        return delimited(7, bytes(value))
    return b"" if value is None else _encode_nested(value)


def _encode_nested(value: Any) -> bytes:
    if isinstance(value, Mapping):
        return delimited(6, encode_attributes(1, {str(key): item for key, item in value.items()}))
    if isinstance(value, Sequence):
        return delimited(5, b"".join(delimited(1, encode_value(item)) for item in value))
    raise TypeError(f"{type(value).__name__} is no OTLP value")
