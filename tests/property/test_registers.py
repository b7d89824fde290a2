"""A config written from several places, at any depth, is the same whatever order the writes arrive in."""

from __future__ import annotations

import time
from functools import reduce
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rundial.server.registers import MAX_KEYS, Register, Stamp, capped, values_of, written

_NAMES = st.sampled_from(["a", "b", "\n", '\n["a","b"]'])
_PATHS = st.lists(_NAMES, min_size=1, max_size=3)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.integers(0, 3)), lambda inner: st.dictionaries(_NAMES, inner, max_size=2)
)
_BODIES = st.fixed_dictionaries(
    {},
    optional={
        "config": st.dictionaries(_NAMES, _VALUES, max_size=2),
        "entries": st.lists(
            st.builds(lambda path, value: {"path": path, "value": value}, _PATHS, _VALUES), max_size=2
        ),
        "removed": st.lists(_PATHS, max_size=1),
    },
)
_STAMPS = st.tuples(st.integers(0, 4), st.sampled_from(["i", "j"]), st.integers(0, 2))
_WRITES = st.lists(st.tuples(_BODIES, _STAMPS), max_size=8)
Write = tuple[dict[str, Any], Stamp]


def folded(writes: list[Write]) -> dict[str, Register]:
    """The registers after some writes."""
    nothing: dict[str, Register] = {}
    return dict(reduce(lambda known, write: written(known, write[0], "config", write[1]), writes, nothing))


def put(place: dict[str, Any], path: list[str], value: object) -> None:
    """Set a value in nested dictionaries."""
    for name in path[:-1]:
        inner = place.get(name)
        if not isinstance(inner, dict):
            inner = place[name] = {}
        place = inner
    place[path[-1]] = value


def take(place: Any, path: list[str]) -> None:
    """Remove a value from nested dictionaries, and leave mappings on the way as a write would."""
    for name in path[:-1]:
        inner = place.get(name)
        if not isinstance(inner, dict):
            inner = place[name] = {}
        place = inner
    place.pop(path[-1], None)


@given(_WRITES, st.data())
def test_any_order_and_any_repeats_make_the_same_values(writes: list[Write], data: st.DataObject) -> None:
    """Two processes that write parts of one config end with the same config on every server."""
    again = data.draw(st.lists(st.sampled_from(writes), max_size=4)) if writes else []

    assert folded(data.draw(st.permutations(writes + again))) == folded(writes)


@given(st.lists(st.tuples(_PATHS, st.one_of(st.just("removed"), _VALUES)), max_size=8), st.data())
def test_writes_add_up_to_what_a_dictionary_would_hold(
    changes: list[tuple[list[str], Any]], data: st.DataObject
) -> None:
    """What one program sees in `run.config` is what its server shows, however its events arrive."""
    expected: dict[str, Any] = {}
    writes: list[Write] = []
    for number, (path, value) in enumerate(changes):
        if value == "removed":
            take(expected, path)
            writes.append(({"removed": [path]}, (number, "i", number)))
        else:
            put(expected, path, value)
            writes.append(({"entries": [{"path": path, "value": value}]}, (number, "i", number)))

    assert values_of(folded(data.draw(st.permutations(writes)))) == expected


@given(
    st.one_of(
        st.none(),
        st.integers(),
        st.lists(st.one_of(st.integers(), st.lists(st.integers(), max_size=2)), max_size=3),
        st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    ),
    st.sampled_from(["config", "entries", "removed"]),
)
def test_nonsense_in_a_body_writes_nothing_and_harms_nothing(nonsense: Any, where: str) -> None:
    """A client that sends what no client of ours would costs the server nothing."""
    before = folded([({"config": {"lr": 0.1}}, (1, "i", 1))])
    after = written(before, {where: nonsense}, "config", (0, "i", 0))

    assert values_of(after)["lr"] == 0.1


def test_cost_grows_with_the_registers_and_no_faster() -> None:
    """Writes over parents of many nested keys are no way to keep a server busy."""

    def cost(size: int) -> float:
        names = [f"k{number}" for number in range(size)]
        deep = written(
            {}, {"entries": [{"path": [name, "a"], "value": 1} for name in names]}, "config", (1, "i", 1)
        )
        began = time.process_time()
        written(deep, {"config": dict.fromkeys(names, 0)}, "config", (2, "i", 2))
        return time.process_time() - began

    small, large = (min(cost(size) for _ in range(3)) for size in (1_000, 8_000))
    # Eight times as much, or sixty-four times.
    assert large < 24 * small


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sets(st.integers(0, 30)), max_size=6), st.data())
def test_bound_keeps_and_counts_the_same_whatever_the_order(
    parts: list[set[int]], data: st.DataObject
) -> None:
    """Which names are kept, and how many are not, depends on what was written and on nothing else."""
    more = [f"z{number:05d}" for number in range(MAX_KEYS - 10)]

    def fold(order: list[set[int]]) -> tuple[list[str], int]:
        registers: Any = dict.fromkeys(more, (0, "i", 0, "0"))
        omitted: tuple[int, ...] = ()
        for part in order:
            body = {"config": dict.fromkeys((f"a{number}" for number in part), 0)}
            registers, omitted = capped(written(registers, body, "config", (1, "i", 1)), omitted)
        return sorted(registers), len(omitted)

    kept, count = fold(parts)
    names = sorted({*more, *(f"a{number}" for part in parts for number in part)})
    assert (kept, count) == (names[:MAX_KEYS], len(names) - len(kept))
    assert fold(data.draw(st.permutations(parts + parts[:1]))) == (kept, count)
