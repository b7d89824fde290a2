"""Our AnyValue against OpenTelemetry's own message class."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from rundial.signals.anyvalue import encode_attribute, encode_value

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
INTS = st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 300)
SCALARS = st.none() | TEXT | st.booleans() | INTS | st.floats(allow_nan=False) | st.binary(max_size=200)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def plain(message: AnyValue) -> Any:
    """Return what a message holds."""
    kind = message.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(item) for item in message.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain(pair.value) for pair in message.kvlist_value.values}
    return getattr(message, kind)


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal and of one type, all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


@given(VALUES)
def test_a_value_is_read_back_by_the_official_class(value: Any) -> None:
    """Null, zero, empty and mixed values arrive as they are, nested to any depth."""
    assert same(plain(AnyValue.FromString(encode_value(value))), value)


@given(TEXT, VALUES)
def test_an_attribute_is_read_back_by_the_official_class(key: str, value: Any) -> None:
    """A key of any length stands beside its value."""
    message = KeyValue.FromString(encode_attribute(key, value))

    assert message.key == key
    assert same(plain(message.value), value)


def test_an_integer_beyond_64_bits_becomes_a_float() -> None:
    """OTLP has no larger integers; the value is kept as well as a float can."""
    assert plain(AnyValue.FromString(encode_value(2**63))) == float(2**63)


def test_what_is_no_value_is_refused() -> None:
    """The encoder counts such a record instead of sending something else in its place."""
    with pytest.raises(TypeError, match="object is no OTLP value"):
        encode_value(object())
