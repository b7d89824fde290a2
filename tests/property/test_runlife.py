"""A run's life is the same whatever the order and the number of its events' arrivals."""

from __future__ import annotations

from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rundial.server.runlife import Happening, RunLife, alive_unix_ns, dump, fold, load
from rundial.signals import semconv

_KEYS = st.sampled_from(["lr", "seed", "model"])
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-1, 1),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
)
_MAPS = st.dictionaries(_KEYS, _VALUES, max_size=3)
_BODIES: dict[str, st.SearchStrategy[Any]] = {
    semconv.EVENT_RUN_START: st.fixed_dictionaries(
        {"started_unix_ns": st.one_of(st.none(), st.integers(0, 9)), "config": _MAPS},
        optional={
            "name": st.sampled_from(["a", "b", None]),
            "kind": st.sampled_from(["training", "eval"]),
            "tags": st.lists(st.text(max_size=2), max_size=2),
        },
    ),
    semconv.EVENT_RUN_CONFIG: st.fixed_dictionaries({"config": _MAPS}),
    semconv.EVENT_RUN_SUMMARY: st.fixed_dictionaries({"summary": _MAPS}),
    semconv.EVENT_RUN_METRIC: st.fixed_dictionaries(
        {"name": st.sampled_from(["loss", "val/*"]), "summary": st.sampled_from(["min", None])}
    ),
    semconv.EVENT_RUN_PREEMPTING: st.fixed_dictionaries({"reason": st.sampled_from(["", "slurm"])}),
    semconv.EVENT_RUN_STOP: st.fixed_dictionaries({"reason": st.sampled_from(["", "enough"])}),
    semconv.EVENT_RUN_HEARTBEAT: st.just({}),
    semconv.EVENT_RUN_FINISH: st.fixed_dictionaries(
        {
            "status": st.sampled_from(["completed", "failed", "aborted", "nonsense"]),
            "reason": st.sampled_from([None, "nan"]),
            "finished_unix_ns": st.one_of(st.none(), st.integers(0, 9)),
        }
    ),
}
# Few stamps, so that events often share one and ties are decided too.
_STAMPS = st.tuples(st.integers(0, 4), st.sampled_from(["i", "j"]), st.integers(0, 2))


@st.composite
def _happenings(draw: st.DrawFn) -> Happening:
    name = draw(st.sampled_from(sorted(_BODIES)))
    return Happening(name, draw(_STAMPS), draw(st.integers(1, 3)), draw(_BODIES[name]))


def _lived(happenings: list[Happening]) -> RunLife:
    return reduce(fold, happenings, RunLife())


@given(st.lists(_happenings(), max_size=8), st.data())
def test_any_order_and_any_repeats_make_the_same_run(
    happenings: list[Happening], data: st.DataObject
) -> None:
    """Late syncs, re-batching Collectors and repeated requests never change what a run is."""
    again = data.draw(st.lists(st.sampled_from(happenings), max_size=5)) if happenings else []
    shuffled = data.draw(st.permutations(happenings + again))

    assert _lived(list(shuffled)) == _lived(happenings)


@given(st.lists(_happenings(), max_size=8), st.integers(0, 8))
def test_a_life_read_back_from_its_column_goes_on_as_before(happenings: list[Happening], cut: int) -> None:
    """A restart of the server in mid-run changes nothing."""
    stored = load(dump(_lived(happenings[:cut])))

    assert reduce(fold, happenings[cut:], stored) == _lived(happenings)
    assert load(dump(_lived(happenings))) == _lived(happenings)


@given(st.lists(_happenings(), max_size=8))
def test_the_finish_of_an_attempt_ends_it_and_everything_before(happenings: list[Happening]) -> None:
    """A run is open exactly when an attempt began after every attempt that finished."""
    life = _lived(happenings)

    finished = [
        happening.attempt
        for happening in happenings
        if happening.name == semconv.EVENT_RUN_FINISH and happening.body["status"] != "nonsense"
    ]
    is_open = max((happening.attempt for happening in happenings), default=0) > max(finished, default=0)
    assert (life.status == "running") == (is_open or not finished)
    assert (life.finished_unix_ns is None) == (life.status == "running")


@given(st.lists(_happenings(), max_size=8))
def test_each_config_key_holds_what_its_last_writer_wrote(happenings: list[Happening]) -> None:
    """Of two processes that write a key, the later one by the run's own clock stands."""
    written: dict[str, list[tuple[tuple[int, str, int], object]]] = {}
    for happening in happenings:
        for key, value in dict(happening.body.get("config", {})).items():  # type: ignore[call-overload]  # drawn above
            written.setdefault(key, []).append((happening.stamp, value))

    values = _lived(happenings).config_values()

    assert values.keys() == written.keys()
    for key, writes in written.items():
        last = max(stamp for stamp, _ in writes)
        assert values[key] in [value for stamp, value in writes if stamp == last]


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), min_size=1), st.data())
def test_old_news_never_prove_a_run_alive_beyond_their_own_time(
    arrivals: list[tuple[int, int]], data: st.DataObject
) -> None:
    """However late and in whatever order records come, a run lives no longer than they say."""
    alive = max(alive_unix_ns(received, record) for received, record in arrivals)
    shuffled = data.draw(st.permutations(arrivals))

    assert alive == max(alive_unix_ns(received, record) for received, record in shuffled)
    assert alive <= max(received for received, _ in arrivals)
    assert alive <= max(record for _, record in arrivals) + 300 * 10**9
