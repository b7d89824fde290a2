"""Rollups: whatever was rolled up when, a curve is what its points say."""

from __future__ import annotations

import uuid
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from math import isclose, isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from rundial.server import keys
from rundial.server.app import close_services, open_services
from rundial.server.buckets import Bucket, bucketed, fitting_shift, mean_of, merged
from rundial.server.keys import Principal
from rundial.server.rows import NO_STEP, Delivery, Target
from rundial.server.services import Services
from rundial.server.store import rollups, views
from rundial.server.store.parts import ALWAYS, Part, Span
from rundial.server.store.tables import runs, series
from tests.support.clock import ManualClock

OWNER = Principal("key", "test", frozenset({keys.ADMIN}), 0)
MANY = 10**9


@dataclass(frozen=True, slots=True)
class Logged:
    """Points that an attempt logs, the first at `start` and each next one `stride` further."""

    attempt: int
    start: int
    stride: int
    count: int
    seed: int


@dataclass(frozen=True, slots=True)
class Rolled:
    """A series is rolled up; some points arrive while its buckets are being made."""

    most: int
    meanwhile: Logged | None


STEPS = st.one_of(st.integers(NO_STEP, 600), st.integers(0, 2**40))
LOGGED = st.builds(
    Logged,
    st.integers(1, 3),
    STEPS,
    st.sampled_from([0, 1, 1, 1, 7, 1000]),
    st.integers(1, 300),
    st.integers(0, 99),
)
ROLLED = st.builds(Rolled, st.sampled_from([40, 200, 10_000]), st.one_of(st.none(), LOGGED))
BOUND = st.one_of(st.none(), STEPS)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """One store for all examples: each has a run of its own."""
    opened = open_services(tmp_path_factory.mktemp("data"), ManualClock())
    yield opened
    close_services(opened)


def log(services: Services, run_id: str, logged: Logged) -> None:
    """Store points in one transaction."""
    instance = f"attempt-{logged.attempt}"
    target = Target("lab", "p", "p", run_id, "training", logged.attempt, None, instance, "", is_foreign=False)
    delivery = Delivery(target)
    steps = [logged.start + each * logged.stride for each in range(logged.count)]
    # Times that do not follow the steps, and values that are often equal.
    times = [1 + (each * 7919 + logged.seed) % 5_000 for each in range(logged.count)]
    values = [float((each * (logged.seed + 1)) % 11 - 5) for each in range(logged.count)]
    delivery.add_points("loss", "", "{}", (steps, times, values))
    with services.engines.writing.begin() as connection:
        assert services.intake.store(connection, OWNER, delivery, 1_000) is None


def series_of(services: Services, run_id: str) -> int:
    """The run's one series."""
    query = select(series.c.id).join(runs, runs.c.id == series.c.run).where(runs.c.run_id == run_id)
    with services.engines.reading.begin() as connection:
        return int(connection.execute(query).scalar_one())


def roll(services: Services, run_id: str, rolled: Rolled) -> None:
    """Roll up as the server does, each part in a transaction of its own."""
    series_id = series_of(services, run_id)
    with services.engines.reading.begin() as connection:
        wish = rollups.claimable(connection, series_id, most=rolled.most)
    if wish is None:
        return
    with services.engines.writing.begin() as connection:
        taken = rollups.claim(connection, series_id, wish)
    if taken is None:
        return
    with services.engines.reading.begin() as connection:
        rows = rollups.made(connection, taken)
    if rolled.meanwhile is not None:
        log(services, run_id, rolled.meanwhile)
    with services.engines.writing.begin() as connection:
        rollups.keep(connection, taken, rows)


def about(part: Part) -> list[tuple[object, ...]]:
    """A part's buckets but for the last digits of their means, which depend on how they were added up."""
    return [(each._replace(mean=0.0), part.is_stepless) for each in part.buckets]


@given(
    first=LOGGED,
    then=st.lists(st.one_of(LOGGED, ROLLED, ROLLED), max_size=6),
    bounds=st.tuples(BOUND, BOUND),
    times=st.one_of(st.just(ALWAYS), st.tuples(st.integers(0, 2_500), st.integers(2_500, 6_000))),
    most=st.integers(1, 200),
)
def test_a_curve_from_rollups_is_the_curve_of_its_points(
    services: Services,
    first: Logged,
    then: list[Logged | Rolled],
    bounds: tuple[int | None, int | None],
    times: tuple[int, int],
    most: int,
) -> None:
    """Late points, attempts that go over earlier steps, points that arrive while a series is rolled up."""
    run_id = uuid.uuid4().hex
    log(services, run_id, first)
    for each in then:
        if isinstance(each, Logged):
            log(services, run_id, each)
        else:
            roll(services, run_id, each)
    low = 0 if bounds[0] is None else bounds[0]
    high = 2**63 - 1 if bounds[1] is None else bounds[1]
    span = Span(max(0, low), high, *times)
    series_id = series_of(services, run_id)
    store = services.events.points

    with services.engines.reading.begin() as connection:
        found = views.parts_of(store, connection, series_id, MANY, span, most)
        plain = views.parts_of(store, connection, series_id, 0, span, most)
        assert [about(part) for part in found] == [about(part) for part in plain]
        assert views.points_of(store, connection, series_id, found, span, 2 * most + 2) == views.points_of(
            store, connection, series_id, plain, span, 2 * most + 2
        )
    for part, other in zip(found, plain, strict=True):
        for one, two in zip(part.buckets, other.buckets, strict=True):
            assert isclose(one.mean, two.mean, rel_tol=1e-12, abs_tol=1e-12)


COLUMN = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(1, 10**6), st.floats(allow_nan=False, allow_infinity=False)),
    min_size=1,
    max_size=200,
    unique_by=lambda point: point[0],
)


@given(COLUMN, st.integers(1, 50), st.integers(0, 12))
def test_buckets_hold_every_point_and_each_extreme(
    points: list[tuple[int, int, float]], most: int, finer: int
) -> None:
    """No more buckets than were asked for, none narrower than needed, no spike lost, no NaN."""
    points.sort()
    xs, times = array("q", [each[0] for each in points]), array("q", [each[1] for each in points])
    values = array("d", [each[2] for each in points])
    shift = fitting_shift(xs, most)

    found = bucketed(xs, times, values, shift)

    numbers = [each.first_x >> shift for each in found]
    assert numbers == sorted({x >> shift for x in xs})
    assert len(found) <= most
    assert shift == 0 or len({x >> (shift - 1) for x in xs}) > most
    for number, each in zip(numbers, found, strict=True):
        held = [point for point in points if point[0] >> shift == number]
        low, high = min(held, key=lambda point: point[2]), max(held, key=lambda point: point[2])
        assert each._replace(mean=0.0) == Bucket(
            len(held),
            0.0,
            low[2],
            low[0],
            low[1],
            high[2],
            high[0],
            high[1],
            held[0][0],
            held[-1][0],
            min(point[1] for point in held),
            max(point[1] for point in held),
        )
        assert isfinite(each.mean)
        assert each.low <= each.mean <= each.high or isclose(each.mean, each.low, rel_tol=1e-9)
    narrow = bucketed(xs, times, values, min(finer, shift))
    assert [each._replace(mean=0.0) for each in merged(narrow, shift)] == [
        each._replace(mean=0.0) for each in found
    ]


def test_a_mean_of_the_greatest_floats_is_finite() -> None:
    """A sum that overflows is no reason to answer infinity."""
    greatest = 1.7976931348623157e308

    assert mean_of([(greatest, 3), (greatest, 5)]) == greatest
    assert mean_of([(-greatest, 1), (greatest, 1)]) == 0
