"""What a config keeps of any value, and how it says what it could not keep."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import enum
import math
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.signals.compact import dump
from rundial.signals.configvalue import (
    MAX_ENTRY_BYTES,
    MAX_KEY_CHARS,
    MAX_NODES,
    MAX_TEXT_BYTES,
    Cleaner,
    entries_of,
)

Pair = collections.namedtuple("Pair", ["low", "high"])


class Color(enum.Enum):
    """A plain enum."""

    RED = 1


class Precision(enum.IntEnum):
    """An enum whose members are integers."""

    BF16 = 3


class Split(str, enum.Enum):
    """An enum whose members are texts."""

    VAL = "val"


@dataclasses.dataclass
class Optimizer:
    """A dataclass with a path inside."""

    lr: float = 0.1
    state: Path = Path("/data/state")


class Model:
    """What pydantic and transformers offer."""

    def to_dict(self) -> dict[str, object]:
        """What it holds."""
        return {"depth": 3}


class Settings(Mapping[str, Any]):
    """A mapping that is no dict, with a value that is missing, as OmegaConf has."""

    def __getitem__(self, key: str) -> Any:
        if key == "missing":
            raise KeyError("mandatory value")
        return {"lr": 0.1}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(["lr", "missing"])

    def __len__(self) -> int:
        return 2


class Broken:
    """A value whose own code fails."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def clean(value: object) -> Any:
    """A value as a config keeps it."""
    return Cleaner().mapping({"x": value})["x"]


@pytest.mark.parametrize(
    "value",
    [0, -1, 2**62, 2**63 - 1, -(2**63), 1.5, True, False, None, "text", [1, [2.5, "a"]], {"a": {"b": 1}}],
)
def test_clean_keeps_plain_values_as_they_are(value: object) -> None:
    """What was a whole number, a list or None is still one on the server."""
    cleaner = Cleaner()
    kept = cleaner.mapping({"x": value})["x"]

    assert (kept, type(kept), cleaner.changes) == (value, type(value), [])


def test_clean_keeps_nan_and_infinities() -> None:
    """A learning rate of infinity, or a threshold of NaN, is what was configured."""
    assert math.isnan(clean(math.nan))
    assert [clean(math.inf), clean(-math.inf)] == [math.inf, -math.inf]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        (Color.RED, "Color.RED"),
        (Precision.BF16, "Precision.BF16"),
        (Split.VAL, "val"),
        (Path("/data"), "/data"),
        (Optimizer(), {"lr": 0.1, "state": "/data/state"}),
        (Pair(1, 2), {"low": 1, "high": 2}),
        (argparse.Namespace(lr=0.1, layers=[2]), {"lr": 0.1, "layers": [2]}),
        (types.SimpleNamespace(lr=0.1), {"lr": 0.1}),
        (Model(), {"depth": 3}),
        (np.float32(1.5), 1.5),
        (np.int64(4), 4),
        (np.bool_(True), True),
        (np.arange(3), [0, 1, 2]),
        (np.dtype("float32"), "float32"),
        (math.sin, "math.sin"),
        (Optimizer, f"{__name__}.Optimizer"),
        ({3, 1}, [1, 3]),
        (range(3), [0, 1, 2]),
        (b"ab\xff", "ab\\xff"),
        ({1: "a"}, {"1": "a"}),
    ],
)
def test_clean_makes_other_values_readable(value: object, kept: object) -> None:
    """Whatever a program configures itself with can be read on the server."""
    assert clean(value) == kept


def test_clean_keeps_an_integer_beyond_64_bits_as_its_digits_and_says_so() -> None:
    """A seed of 128 bits is neither rounded nor lost."""
    cleaner = Cleaner()

    assert cleaner.mapping({"seed": 2**70}) == {"seed": str(2**70)}
    assert [name for name, _ in cleaner.changes] == ["seed"]
    assert clean(10**10_000).startswith("0x")


def test_clean_keeps_what_can_be_read_of_a_mapping() -> None:
    """One missing value costs its neighbours nothing."""
    cleaner = Cleaner()
    kept = cleaner.mapping({"cfg": Settings()})

    assert kept == {"cfg": {"lr": 0.1, "missing": "<not readable: KeyError>"}}
    assert [name for name, _ in cleaner.changes] == ["cfg.missing"]


def test_clean_never_raises_for_a_value_whose_code_fails() -> None:
    """A config cannot end a run."""
    assert clean(Broken()) == "<not readable: RuntimeError>"


def test_clean_cuts_a_long_text_and_says_so_beside_it() -> None:
    """A prompt of megabytes keeps its beginning and its true length."""
    cleaner = Cleaner()
    kept = cleaner.mapping({"prompt": "é" * MAX_TEXT_BYTES, "lists": [["x" * (MAX_TEXT_BYTES + 1)]]})

    assert len(kept["prompt"].encode()) == MAX_TEXT_BYTES
    assert kept["prompt.rundial.original_bytes"] == 2 * MAX_TEXT_BYTES
    assert kept["lists.rundial.original_bytes"] == MAX_TEXT_BYTES + 1
    assert [name for name, _ in cleaner.changes] == ["prompt", "lists.0.0"]


def test_clean_bounds_depth_and_number_of_values() -> None:
    """A structure that contains itself, or never ends, is cut and said to be."""
    endless: dict[str, Any] = {}
    endless["me"] = endless
    deep, wide = Cleaner(), Cleaner()
    deep.mapping(endless)
    kept = wide.mapping({"ids": range(10**9), "after": 1})

    assert [why for _, why in deep.changes] == ["nested deeper than 16 levels"]
    assert len(kept["ids"]) <= MAX_NODES + 1
    assert kept["ids.rundial.original_items"] == 10**9
    assert wide.changes[0][0] == "ids"


def test_clean_names_keys_that_collide_or_are_too_long() -> None:
    """Two keys that become one are not merged in silence."""
    cleaner = Cleaner()
    kept = cleaner.mapping({1: "a", "1": "b", "k" * 300: 1})

    assert kept == {"1": "b", "k" * MAX_KEY_CHARS: 1}
    assert len(cleaner.changes) == 2


def test_entries_of_a_large_config_all_fit_an_event_and_lose_nothing() -> None:
    """A config of megabytes travels in several events, whole."""
    values = {"small": 1, "model": {f"layer{number}": "z" * 1000 for number in range(300)}}
    groups, changes = entries_of(values)
    sizes = [len(dump([{"path": path, "value": value} for path, value in group])) for group in groups]

    found: dict[str, Any] = {}
    for path, value in [entry for group in groups for entry in group]:
        (found if len(path) == 1 else found[path[0]])[path[-1]] = value
    assert (found, changes) == (values, [])
    assert len(groups) > 1
    assert max(sizes) <= MAX_ENTRY_BYTES + 100


def test_entries_of_many_small_values_deep_inside_all_fit_an_event() -> None:
    """Spelling out paths makes an event longer than its values, and is counted in."""
    groups, changes = entries_of({f"k{number}": number for number in range(6_000)}, ("model", "table"))
    sizes = [len(dump([{"path": path, "value": value} for path, value in group])) for group in groups]

    assert (sum(map(len, groups)), changes) == (6_000, [])
    assert max(sizes) <= MAX_ENTRY_BYTES + 100


def test_entries_cut_a_list_that_no_event_can_carry_and_say_so() -> None:
    """What must be cut has its true length beside it, and is counted."""
    values = Cleaner().mapping({"ids": range(19_000)})
    groups, changes = entries_of(values)

    entries = dict(entry for group in groups for entry in group)
    assert entries["ids.rundial.original_items",] == 19_000
    assert len(entries["ids",]) < 19_000
    assert [name for name, _ in changes] == ["ids"]


_ANY: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.just(Broken())
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=20,
)


@given(st.dictionaries(st.one_of(st.text(), st.integers()), _ANY, max_size=4))
def test_clean_of_what_is_clean_changes_nothing(values: dict[Any, Any]) -> None:
    """What `run.config` shows can be given to another run, and is the same there."""
    once = Cleaner().mapping(values)
    again = Cleaner()

    assert repr(again.mapping(once)) == repr(once)
    assert again.changes == []
