"""Curves through the API: long ones, several runs at once, ranges and buckets."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from rundial.server.store.rollups import rollups
from tests.support import otlp
from tests.support.server import LocalServer, fresh_id
from tests.support.waiting import wait_until

LONG = 40_000


def log(local: LocalServer, run: str, steps: range, *, spike: int | None = None, **more: Any) -> None:
    """Send `loss` at some steps: zero but for a spike."""
    numbers = [otlp.point(step, 9.0 if step == spike else 0.0) for step in steps]
    body = otlp.metrics((otlp.resource(run, **more), [otlp.gauge("loss", numbers)]))
    assert local.export("metrics", body).status == 200


def ask(local: LocalServer, run: str | list[str], **more: object) -> list[dict[str, Any]]:
    """The series of a query."""
    which = {"runId": run} if isinstance(run, str) else {"runIds": run}
    body = {"projectId": local.project_id(), "metricKeys": ["loss"], **which, **more}
    found = local.post("/api/v1/query/series", body)
    assert found.status == 200, found.json
    series = found.json["series"]
    assert isinstance(series, list)
    return series


def rolled_up(local: LocalServer) -> int:
    """How many buckets are kept."""
    with local.services.engines.reading.begin() as connection:
        return int(connection.execute(select(func.count()).select_from(rollups)).scalar_one())


@pytest.mark.inside
def test_a_spike_of_a_long_curve_stays_also_when_it_is_rolled_up(local: LocalServer) -> None:
    """One point of forty thousand is still there, before and after, and the second answer reads no points."""
    run = fresh_id()
    log(local, run, range(LONG), spike=12_345)

    first = ask(local, run, maxPointsPerSeries=100)
    wait_until(lambda: rolled_up(local) > 1_000, 10)
    again = ask(local, run, maxPointsPerSeries=100)

    assert first == again
    points = again[0]["points"]
    assert len(points) <= 100
    assert (points[0]["step"], points[-1]["step"]) == (0, LONG - 1)
    assert [each["value"] for each in points if each["step"] == 12_345] == [9.0]
    assert again[0]["totalPoints"] == LONG


@pytest.mark.inside
def test_a_later_attempt_replaces_what_was_rolled_up(local: LocalServer) -> None:
    """A run that goes on from a checkpoint shows its latest attempt, however it was read before."""
    run = fresh_id()
    log(local, run, range(LONG), spike=12_345)
    ask(local, run, maxPointsPerSeries=100)
    wait_until(lambda: rolled_up(local) > 1_000, 10)

    log(local, run, range(12_000, 13_000), spike=12_500, instance="instance-2", attempt=2)

    points = ask(local, run, maxPointsPerSeries=100)[0]["points"]
    assert [each["step"] for each in points if each["value"] == 9.0] == [12_500]


def test_buckets_tell_least_greatest_and_mean_of_a_range_of_steps(local: LocalServer) -> None:
    """What a chart draws as a band, for the part that is zoomed into."""
    run = fresh_id()
    log(local, run, range(1_000), spike=500)

    (series,) = ask(local, run, form="buckets", maxPointsPerSeries=4, startStep=480, endStep=543)

    assert series["totalPoints"] == 64
    held = [(each["firstStep"], each["lastStep"], each["count"]) for each in series["buckets"]]
    assert held == [(480, 495, 16), (496, 511, 16), (512, 527, 16), (528, 543, 16)]
    assert [each["mean"] for each in series["buckets"]] == [0.0, 9.0 / 16, 0.0, 0.0]
    assert [(each["max"], each["maxStep"]) for each in series["buckets"][:2]] == [(0.0, 480), (9.0, 500)]


def test_a_range_of_times_takes_the_points_in_it(local: LocalServer) -> None:
    """Both ends belong to it."""
    run = fresh_id()
    start_ms = otlp.T0 // 10**6
    numbers = [otlp.point(step, float(step), time=otlp.T0 + step * 10**6) for step in range(10)]
    body = otlp.metrics((otlp.resource(run), [otlp.gauge("loss", numbers)]))
    assert local.export("metrics", body).status == 200

    (series,) = ask(local, run, startMs=start_ms + 2, endMs=start_ms + 4)

    assert [each["step"] for each in series["points"]] == [2, 3, 4]


def test_several_runs_are_answered_at_once(local: LocalServer) -> None:
    """Series say whose they are, in the order in which the runs were asked for."""
    runs = [fresh_id(), fresh_id()]
    for place, run in enumerate(runs):
        log(local, run, range(3), spike=place)

    found = ask(local, runs[::-1])

    assert [each["runId"] for each in found] == runs[::-1]
    assert [[point["value"] for point in each["points"]] for each in found] == [[0, 9, 0], [9, 0, 0]]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"runId": "a", "runIds": ["b"]}, "neither or both of runId and runIds"),
        ({"runId": "a", "startStep": 3, "endStep": 2}, "startStep 3 is after endStep 2"),
        ({"runId": "a", "form": "buckets", "xAxis": "stepMetric"}, "buckets are ranges of steps"),
        ({"runIds": [str(each) for each in range(201)]}, "runIds has 201 ids"),
        ({"runIds": ["a", "b", "c"] * 4 + ["d"], "maxPointsPerSeries": 10**6}, "it must be 1 to 100,000"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(
    local: LocalServer, more: dict[str, object], message: str
) -> None:
    """With the reason."""
    body = {"projectId": local.project_id(), "metricKeys": ["loss"], **more}

    found = local.post("/api/v1/query/series", body)

    assert found.status == 400
    assert message in found.error["message"]
