"""Whatever is given to log: nothing raises, and each entry is accounted for once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rundial.signals.attributes import as_attribute, as_body, clean_attributes
from rundial.signals.records import cap_text, pack_event
from rundial.signals.values import MAX_KEY_CHARS, as_step, as_value, examine


@dataclass(frozen=True)
class Odd:
    """Stands for a value of `ODD` while hypothesis draws, which would call the hostile ones' methods."""

    index: int


class Hostile:
    """An object whose every method raises."""

    def _fail(self, *_: object) -> Any:
        raise RuntimeError("hostile")

    __float__ = __index__ = __str__ = __repr__ = __len__ = __iter__ = __bool__ = _fail
    __eq__ = __getattr__ = _fail
    __hash__ = object.__hash__


class HostileClass:
    """An object that raises when anyone asks for its class or attributes."""

    @property  # type: ignore[misc]  # raising is the point
    def __class__(self) -> type:
        raise RuntimeError("hostile")


class Unhashable(Hostile):
    """A hostile object without a hash."""

    __hash__ = Hostile._fail


class HostileText(str):
    """A string whose own methods raise."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("hostile")

    __repr__ = __str__


class HostileFloat(float):
    """A float whose conversion raises."""

    def __float__(self) -> float:
        raise RuntimeError("hostile")


class Torn(Mapping[str, Any]):
    """A mapping that fails after its first entry."""

    def __getitem__(self, key: str) -> Any:
        if key == "b":
            raise RuntimeError("torn")
        return 1.0

    def __iter__(self) -> Iterator[str]:
        return iter("ab")

    def __len__(self) -> int:
        return 2


# fmt: off  # one line a value would be a page
ODD = [
    None,
    "text",
    b"1.5",
    bytearray(b"1"),
    1 + 2j,
    object(),
    type,
    Hostile(),
    HostileClass(),
    Unhashable(),
    HostileText("1.5"),
    HostileFloat(2.0),
    Torn(),
    10**400,
    -(10**400),
    2**64,
    True,
    Decimal("1.5"),
    Fraction(1, 3),
    np.float32(1.5),
    np.int64(3),
    np.bool_(True),
    np.array(2.5),
    np.array("1.5"),
    np.array([1.0]),
    np.str_("1.5"),
    np.datetime64("2020-01-01", "ns"),
    np.timedelta64(5, "ns"),
    np.longdouble("1e4000"),
    np.float16("nan"),
    [Hostile()],
    (1, 2.5),
    {3},
    [[1], None],
    memoryview(b"1"),
    range(5),
    Path("p"),
    [1] * 2000,
]
# fmt: on
ODD_KEYS = [HostileText("h"), HostileText(""), Hostile(), b"k", (1,), None, 1, "\ud800", "x" * 512, "x" * 513]

LEAVES = (
    st.floats() | st.integers() | st.booleans() | st.text(max_size=5) | st.integers(0, len(ODD) - 1).map(Odd)
)
KEYS = st.text(max_size=6) | st.sampled_from(["a", "b", "a/b"]) | st.integers(0, len(ODD_KEYS) - 1).map(Odd)
MAPPINGS = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=5), lambda inner: st.dictionaries(KEYS, LEAVES | inner, max_size=4)
)


def real(drawn: Any) -> Any:
    """Return what was drawn with the odd values themselves in it."""
    if isinstance(drawn, Odd):
        return ODD[drawn.index]
    if isinstance(drawn, dict):
        return {
            ODD_KEYS[key.index] if isinstance(key, Odd) else key: real(value) for key, value in drawn.items()
        }
    return drawn


def leaves(metrics: Mapping[Any, Any], prefix: int = 0) -> int:
    """Return how many entries are to be accounted for: a bad key counts once, whatever is under it."""
    count = 0
    for key, value in metrics.items():
        has_name = isinstance(key, str) and 0 < str.__len__(key) <= MAX_KEY_CHARS - prefix
        if has_name and type(value) is dict:
            count += leaves(value, prefix + str.__len__(key) + 1)
        else:
            # A torn mapping is its one readable entry, and itself for the rest.
            count += 2 if has_name and type(value) is Torn else 1
    return count


@given(MAPPINGS)
def test_examine_accounts_for_each_leaf_exactly_once(drawn: Any) -> None:
    """Nothing given to log vanishes: each entry is kept, or named as non-finite or invalid."""
    metrics = real(drawn)
    found = examine(metrics)

    assert len(found.names) == len(found.values)
    assert len(found.names) + len(found.non_finite) + len(found.invalid) == leaves(metrics)


@given(MAPPINGS | LEAVES)
def test_examine_keeps_only_what_can_be_sent(drawn: Any) -> None:
    """No value can poison a batch: names are distinct, bounded and encodable, values finite floats."""
    found = examine(real(drawn))

    assert all(type(value) is float and math.isfinite(value) for value in found.values)
    assert len(set(found.names)) == len(found.names)
    assert all(type(name) is str and 0 < len(name) <= MAX_KEY_CHARS and name.encode() for name in found.names)
    assert not set(found.names) & set(found.non_finite)
    assert all(type(name) is str and name.encode() == name.encode() and why for name, why in found.invalid)


@given(LEAVES)
def test_no_value_makes_a_conversion_raise(drawn: Any) -> None:
    """Whatever object is logged as a value, step, text, attribute or config, training goes on."""
    value = real(drawn)
    step = as_step(value)

    assert step is None or 0 <= step < 2**63
    assert isinstance(as_value(value), (float, str))
    assert isinstance(cap_text(value)[0], bytes)
    assert as_attribute(value) is None or clean_attributes({"k": value})[0]
    assert pack_event("e", {"k": as_body(value), "raw": value})


@given(MAPPINGS)
def test_any_mapping_becomes_attributes(drawn: Any) -> None:
    """Whatever a span is given as attributes is kept, or counted as dropped."""
    attributes = real(drawn)
    clean, dropped = clean_attributes(attributes)
    own = [key for key in clean if not key.endswith((".rundial.original_bytes", ".rundial.original_items"))]

    assert len(own) + dropped == len(attributes)


@given(st.integers(0, 2**63 - 1))
def test_any_integer_type_is_the_same_step(step: int) -> None:
    """A step may be an int, a numpy integer or a 0-d array of one."""
    assert (
        as_step(step)
        == as_step(np.int64(step))
        == as_step(np.array(step))
        == as_step(np.uint64(step))
        == step
    )
