"""Storing points: once each, in any order, with summaries and curves that follow from the rows alone."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from rundial.server import keys
from rundial.server.app import close_services, open_services
from rundial.server.curves import Shown
from rundial.server.keys import Principal
from rundial.server.rows import NO_STEP, Delivery, Target
from rundial.server.services import Services
from rundial.server.store.tables import instances, runs, series
from rundial.server.store.views import curve
from tests.support.clock import ManualClock

# PostgreSQL is another process, and a hundred examples of many commits each take it seconds.
pytestmark = pytest.mark.timeout(120)

OWNER = Principal("key", "test", frozenset({keys.ADMIN}), 0)
# Instance -> its attempt; the second attempt has two ranks.
ATTEMPTS = {"first": 1, "second-0": 2, "second-1": 2, "third": 3}
NAMES = ("loss", "accuracy")

Point = tuple[str, int, int, float]


@dataclass(frozen=True, slots=True)
class Sent:
    """Points that one instance sends in one request: (name, step, time, value)."""

    instance: str
    points: list[Point]


POINTS = st.tuples(
    st.sampled_from(NAMES), st.integers(NO_STEP, 4), st.integers(1, 3), st.integers(-3, 3).map(float)
)
SENT = st.builds(Sent, st.sampled_from(list(ATTEMPTS)), st.lists(POINTS, max_size=12))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def services(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """One store of each engine for all examples: each has a run of its own."""
    database = None if request.param == "sqlite" else request.getfixturevalue("postgres").database()
    opened = open_services(tmp_path_factory.mktemp("data"), ManualClock(), database=database)
    yield opened
    close_services(opened)


def store(services: Services, run_id: str, sent: list[Sent]) -> None:
    """Store requests, a transaction each."""
    for each in sent:
        attempt = ATTEMPTS[each.instance]
        target = Target(
            "lab", "p", "p", run_id, "training", attempt, None, each.instance, "", is_foreign=False
        )
        delivery = Delivery(target)
        for name, step, time, value in each.points:
            delivery.add_points(name, "", "{}", ([step], [time], [value]))
        with services.engines.writing.begin() as connection:
            assert services.intake.store(connection, OWNER, delivery, 1_000) is None


Row = tuple[int, int, int, int, float]


def expected(sent: list[Sent]) -> dict[str, list[Row]]:
    """Rows of each series as (attempt, step, order, time, value); of equal points the first stands."""
    found: dict[tuple[object, ...], None] = {}
    rows: dict[str, list[Row]] = {}
    for each in sent:
        for name, step, time, value in each.points:
            identity = (each.instance, name, step, time)
            if identity not in found:
                order = len(found)
                found[identity] = None
                rows.setdefault(name, []).append((ATTEMPTS[each.instance], step, order, time, value))
    return rows


def in_order_of_acceptance(sent: list[Sent]) -> list[Sent]:
    """The same requests with each one's points gathered by series, which is how they are accepted."""
    return [
        Sent(
            each.instance,
            [
                point
                for name in dict.fromkeys(p[0] for p in each.points)
                for point in each.points
                if point[0] == name
            ],
        )
        for each in sent
    ]


def summaries(services: Services, run_id: str) -> dict[str, tuple[object, ...]]:
    """What each series' summary says."""
    columns = series.c
    query = select(series).join(runs, runs.c.id == columns.run).where(runs.c.run_id == run_id)
    with services.engines.reading.begin() as connection:
        return {
            row.name: (
                row.count,
                row.min_value,
                row.max_value,
                (row.last_attempt, row.last_step, row.last_unix_ns, row.last_value),
            )
            for row in connection.execute(query)
        }


def counts(services: Services, run_id: str) -> Mapping[str, int]:
    """How many points of each instance are counted."""
    query = select(instances.c.instance, instances.c.points).join(runs, runs.c.id == instances.c.run)
    with services.engines.reading.begin() as connection:
        return {row.instance: row.points for row in connection.execute(query.where(runs.c.run_id == run_id))}


def curves(services: Services, run_id: str) -> dict[str, list[Shown]]:
    """What each series shows."""
    query = select(series.c.id, series.c.name).join(runs, runs.c.id == series.c.run)
    with services.engines.reading.begin() as connection:
        found = connection.execute(query.where(runs.c.run_id == run_id)).all()
        return {row.name: curve(services.events.points, connection, row.id).shown() for row in found}


@given(st.lists(SENT, max_size=6), st.randoms())
def test_store_keeps_each_point_once_whatever_is_sent_again_and_in_whatever_order(
    services: Services, sent: list[Sent], random: Random
) -> None:
    """Summaries and counts say what is stored, also of late points, and a resend changes nothing."""
    run_id = uuid.uuid4().hex
    again = [Sent(each.instance, random.sample(each.points, len(each.points))) for each in sent]
    random.shuffle(again)
    store(services, run_id, sent)
    said = (summaries(services, run_id), counts(services, run_id), curves(services, run_id))

    store(services, run_id, again)

    rows = expected(in_order_of_acceptance(sent))
    assert (summaries(services, run_id), counts(services, run_id), curves(services, run_id)) == said
    assert sum(said[1].values()) == sum(map(len, rows.values()))
    for name, held in rows.items():
        values = [row[-1] for row in held]
        attempt, step, _, time, value = max(held)
        assert said[0][name] == (len(held), min(values), max(values), (attempt, step, time, value))


@given(st.lists(SENT, max_size=6))
def test_a_curve_shows_at_each_step_the_latest_attempt_and_in_it_the_point_accepted_last(
    services: Services, sent: list[Sent]
) -> None:
    """A curve never falls back to an older attempt or an overwritten value; without a step all are shown."""
    run_id = uuid.uuid4().hex

    store(services, run_id, sent)

    shown = curves(services, run_id)
    for name, held in expected(in_order_of_acceptance(sent)).items():
        stepless = sorted((time, value) for _, step, _, time, value in held if step == NO_STEP)
        best = {row[1]: row for row in sorted(held) if row[1] != NO_STEP}
        stepped = [Shown(step, best[step][3], best[step][4]) for step in sorted(best)]
        assert shown[name] == [Shown(None, *each) for each in stepless] + stepped


def test_store_of_a_large_request_that_was_half_there_counts_the_other_half(services: Services) -> None:
    """A Collector that batches anew, over many statements, makes no summary count a point twice."""
    run_id = uuid.uuid4().hex
    whole: list[Point] = [(NAMES[number % 2], number, 1 + number, float(number)) for number in range(1_000)]
    store(services, run_id, [Sent("first", whole[300:600])])

    store(services, run_id, [Sent("first", whole)])

    assert counts(services, run_id) == {"first": 1_000}
    assert summaries(services, run_id) == {
        "loss": (500, 0.0, 998.0, (1, 998, 999, 998.0)),
        "accuracy": (500, 1.0, 999.0, (1, 999, 1_000, 999.0)),
    }


@pytest.mark.parametrize("again", [0, 4_094, 4_095, 4_096, 8_999])
def test_a_long_curve_of_which_one_step_was_logged_again_shows_the_newer_value(
    services: Services, again: int
) -> None:
    """One step that is there twice, wherever it is, is shown once."""
    run_id = uuid.uuid4().hex
    whole: list[Point] = [("loss", step, 10 + step, float(step)) for step in range(9_000)]
    late: list[Point] = [("loss", NO_STEP, 5, 7.0), ("loss", again, 9, -1.0)]

    store(services, run_id, [Sent("first", whole), Sent("third", late)])

    shown = [Shown(step, time, value) for _, step, time, value in whole]
    shown[again] = Shown(again, 9, -1.0)
    assert curves(services, run_id) == {"loss": [Shown(None, 5, 7.0), *shown]}
