"""What `run.log` makes of values, names and steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any

import numpy as np
import pytest

from rundial.signals import values
from rundial.signals.values import as_step, as_value, examine


class Tensor:
    """A torch tensor as far as a scalar needs one: a shape, a dtype without a kind, an item."""

    dtype = "torch.bfloat16"

    def __init__(self, value: float, shape: tuple[int, ...] = ()) -> None:
        self.value, self.shape = value, shape

    def item(self) -> float:
        """Return the number."""
        return self.value


class Color(IntEnum):
    """An integer by another name."""

    RED = 3


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0), (0.25, 0.25), (True, 1.0), (2**63, 2.0**63), (np.float32(0.5), 0.5), (np.int8(-3), -3.0),
        (np.bool_(True), 1.0), (np.array(2.5), 2.5), (np.float64(0.1), 0.1), (Tensor(0.75), 0.75),
        (Color.RED, 3.0),
    ],
)  # fmt: skip  # one line a value would be a page
def test_as_value_takes_any_scalar(value: object, number: float) -> None:
    """Python, numpy and torch scalars are logged as they are."""
    assert as_value(value) == number


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "None, not a number"), ("1.5", "a string, not a number"), (b"1", "bytes, not a number"),
        (np.str_("1.5"), "a string, not a number"), (np.array("1.5"), "a string, not a number"),
        (np.array([1.0]), "an array of shape (1,); log a single number"), ([1], "list, not a number"),
        (Tensor(1.0, (2, 3)), "an array of shape (2, 3); log a single number"),
        (1j, "a complex number; log its parts"),
        (np.datetime64("2020", "ns"), "a date, not a number"), (10**400, "too large for a 64-bit float"),
        (object(), "object, not a number"), (np.complex64(1), "a complex number; log its parts"),
    ],
)  # fmt: skip  # one line a value would be a page
def test_as_value_says_why_something_is_no_number(value: object, why: str) -> None:
    """A value that cannot be logged is named in words, never parsed or guessed."""
    assert as_value(value) == why


@pytest.mark.parametrize(
    ("step", "number"),
    [
        (0, 0), (3, 3), (np.int64(7), 7), (np.uint8(7), 7), (4.0, 4), (np.float32(4.0), 4), (np.array(5), 5),
        (2**63 - 1, 2**63 - 1),
    ],
)  # fmt: skip  # the pairs read better side by side
def test_as_step_takes_any_integer(step: object, number: int) -> None:
    """A step is the same step whatever integer type it comes in."""
    assert as_step(step) == number


@pytest.mark.parametrize(
    "step",
    [
        -1,
        1.5,
        True,
        False,
        None,
        "3",
        float("nan"),
        float("inf"),
        2**63,
        1e300,
        np.bool_(True),
        np.array([1]),
        [],
        -0.5,
    ],
)
def test_as_step_refuses_everything_else(step: object) -> None:
    """A wrong step is an invalid point, not a point at a wrong place."""
    assert as_step(step) is None


def test_examine_flattens_nested_mappings() -> None:
    """`{"a": {"b": 1}}` is the series `a/b`, in the order of the mapping."""
    found = examine({"a": {"b": 1, "c": {"d": 2.5}}, "e": True})

    assert found.names == ["a/b", "a/c/d", "e"]
    assert found.values == [1.0, 2.5, 1.0]
    assert not found.non_finite
    assert not found.invalid


def test_examine_keeps_the_good_entries_beside_bad_ones() -> None:
    """One bad entry costs itself alone, and says why."""
    found = examine(
        {
            "good": 1,
            "nan": float("nan"),
            "inf": np.inf,
            "none": None,
            3: 1.0,
            "": 2,
            "n": {"": 1},
            "x" * 513: 1,
        }
    )

    assert (found.names, found.values) == (["good"], [1.0])
    assert found.non_finite == ["nan", "inf"]
    assert found.invalid == [
        ("none", "None, not a number"),
        ("3", "the key is int, not a string"),
        ("", "the key is empty"),
        ("n/", "the key is empty"),
        ("x" * 512, "the key is longer than 512 characters"),
    ]


def test_examine_refuses_the_second_of_two_equal_names() -> None:
    """A row never holds two values under one name."""
    found = examine({"a/b": 1, "a": {"b": 2}})

    assert (found.names, found.values) == (["a/b"], [1.0])
    assert found.invalid == [("a/b", "the same name twice in one call")]


def test_examine_stops_at_a_mapping_that_contains_itself() -> None:
    """A cycle costs one entry, not the process."""
    metrics: dict[str, Any] = {"a": 1}
    metrics["self"] = metrics
    found = examine(metrics)

    assert found.names == ["a"]
    assert found.invalid == [("self", "a mapping that contains itself")]


def test_examine_stops_at_its_depth() -> None:
    """Nesting is followed for 16 levels, and the rest is named."""
    metrics: dict[str, Any] = {"x": 1}
    for _ in range(values.MAX_DEPTH):
        metrics = {"d": metrics}
    found = examine(metrics)

    assert found.invalid == [("/".join("d" * 16), "nested deeper than 16 levels")]


def test_examine_stops_unfolding_shared_mappings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few mappings that share their parts cannot keep the caller busy for ever."""
    monkeypatch.setattr(values, "MAX_ENTRIES", 50)
    metrics: dict[str, Any] = {"x": 1}
    for _ in range(10):
        metrics = dict.fromkeys("abc", metrics)
    found = examine(metrics)

    assert len(found.names) <= 50
    assert found.invalid[-1][1] == "the rest of more than 50 entries in one call"


def test_examine_keeps_what_was_read_of_a_mapping_that_fails() -> None:
    """A mapping that raises half-way costs what could not be read, and nothing is raised."""

    class Torn(Mapping[str, float]):
        def __getitem__(self, key: str) -> float:
            if key == "b":
                raise OSError
            return 1.0

        def __iter__(self) -> Iterator[str]:
            return iter("ab")

        def __len__(self) -> int:
            return 2

    found = examine({"t": Torn(), "after": 2})

    assert found.names == ["t/a", "after"]
    assert found.invalid == [("t", "a mapping that cannot be read (OSError)")]


def test_examine_of_something_else_is_one_invalid_entry() -> None:
    """`run.log(3.5)` is a mistake that is named, not an exception in the training loop."""
    assert examine(3.5).invalid == [("", "log takes a mapping of names to numbers, not float")]
