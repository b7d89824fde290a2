"""Any Python value as an attribute or in an event's body."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rundial.signals.attributes import (
    MAX_ITEMS,
    MAX_VALUE_BYTES,
    as_attribute,
    as_body,
    as_text,
    clean_attributes,
)


@dataclass
class Options:
    """A config as a dataclass."""

    rate: float
    layers: tuple[int, ...]


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        ("é", "é"), ("\ud800", "?"), (3, 3), (True, True), (0.5, 0.5), (b"\0", b"\0"), (None, None),
        (2**63, 2.0**63),
        (np.float32(0.5), 0.5), (np.int64(4), 4), (np.array(4), 4), (Path("a/b"), "a/b"), ([1, 2], [1, 2]),
        ((1, 2.5), [1.0, 2.5]),
        ([True, False], [True, False]), ([], []), (np.array([1.5, 2]), [1.5, 2.0]), ([1, "a"], '[1, "a"]'),
        ([None], "[null]"),
        ([Path("a")], ["a"]), ({"k": [1]}, '{"k": [1]}'),
        (Options(0.1, (1,)), '{"rate": 0.1, "layers": [1]}'), (range(3), [0, 1, 2]),
    ],
)  # fmt: skip  # one line a value would be a page
def test_as_attribute_is_the_nearest_otel_value(value: object, attribute: object) -> None:
    """What a span is given arrives as close to what it was as OpenTelemetry allows."""
    found = as_attribute(value)

    assert found == attribute
    assert type(found) is type(attribute)


def test_as_attribute_of_a_list_that_contains_itself_ends() -> None:
    """A cycle becomes bounded text."""
    cycle: list[Any] = []
    cycle.append(cycle)

    assert len(str(as_attribute(cycle))) < 200


def test_as_text_says_what_failed() -> None:
    """An object whose `str()` raises is named instead of lost."""

    class Broken:
        def __str__(self) -> str:
            raise KeyError("x")

    assert as_text(Broken()) == "<Broken: str() raised KeyError>"


def test_clean_attributes_flags_a_long_value_and_keeps_the_others() -> None:
    """A long prompt is cut and says how long it was; its neighbours are untouched."""
    clean, dropped = clean_attributes({"prompt": "é" * 40_000, "n": 1, "ids": range(5_000)})

    assert clean == {
        "prompt": "é" * (MAX_VALUE_BYTES // 2),
        "prompt.rundial.original_bytes": 80_000,
        "n": 1,
        "ids": list(range(MAX_ITEMS)),
        "ids.rundial.original_items": 5_000,
    }
    assert dropped == 0


def test_clean_attributes_counts_what_it_drops() -> None:
    """None, empty keys and keys that collide after the cut are counted, not silently gone."""
    clean, dropped = clean_attributes({"a": None, "": 1, "k" * 128: 1, "k" * 129: 2, 5: "five"})

    assert clean == {"k" * 128: 1, "5": "five"}
    assert dropped == 3


@pytest.mark.parametrize(("attributes", "dropped"), [(None, 0), ({}, 0), (3, 1)])
def test_clean_attributes_of_no_mapping_is_empty(attributes: object, dropped: int) -> None:
    """Wrong arguments to a span cost the attributes, never the span."""
    assert clean_attributes(attributes) == ({}, dropped)


def test_as_body_keeps_the_shape_and_the_types() -> None:
    """A config keeps its nesting; ints stay ints, paths and numpy scalars become what they mean."""
    body = as_body(
        {"n": 2**53 + 1, "path": Path("x"), "options": Options(0.5, (1, 2)), "rate": np.float64(0.1), 3: None}
    )

    assert body == {
        "n": 2**53 + 1,
        "path": "x",
        "options": {"rate": 0.5, "layers": [1, 2]},
        "rate": 0.1,
        "3": None,
    }
    assert type(body["n"]) is int


def test_as_body_of_a_cycle_ends() -> None:
    """A config that contains itself is followed for a while and then cut with an ellipsis."""
    config: dict[str, Any] = {"a": 1}
    config["self"] = config

    assert "…" in repr(as_body(config))


def test_as_body_of_shared_parts_is_bounded() -> None:
    """Mappings that share their parts cannot unfold into more than memory holds."""
    config: dict[str, Any] = {"x": "leaf"}
    for _ in range(12):
        config = dict.fromkeys("abcdefgh", config)

    assert len(repr(as_body(config))) < 2_000_000
