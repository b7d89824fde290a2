"""What a run says about itself, as the server folds and shows it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.support import otlp
from tests.support.clock import ManualClock
from tests.support.server import LocalServer, fresh_id

Event = tuple[int, str, dict[str, object]]


def tell(local: LocalServer, run: str, *events: Event, **more: Any) -> None:
    """Send run events."""
    records = [otlp.event(seq, f"rundial.run.{name}", body) for seq, name, body in events]
    assert local.export("logs", otlp.logs(otlp.resource(run, **more), records)).status == 200


def log(local: LocalServer, run: str, name: str, *numbers: float, **more: Any) -> None:
    """Send one series, a point a step."""
    assert local.export("metrics", otlp.curve(run, name, numbers, **more)).status == 200


def test_config_changes_are_merged_at_any_depth_in_any_order(local: LocalServer) -> None:
    """A nested write that arrives before what it changes changes it all the same."""
    run = fresh_id()
    tell(local, run, (3, "config", {"entries": [{"path": ["model", "depth"], "value": 4}]}))
    tell(local, run, (4, "config", {"removed": [["old"]]}))
    tell(local, run, (1, "start", {"config": {"model": {"depth": 3, "heads": 2}, "old": 1, "seed": 2**62}}))
    tell(local, run, (2, "config", {"config": {"layers": [1, [2.5, None, True]]}}))

    assert local.details(run)["config"] == {
        "model": {"depth": 4, "heads": 2},
        "seed": 2**62,
        "layers": [1, [2.5, None, True]],
    }


def test_config_beyond_the_bound_is_counted_in_the_answer(local: LocalServer) -> None:
    """A config without an end costs the server a bounded place, and its details say what is missing."""
    run = fresh_id()
    halves = [{f"key{number:05d}": number for number in range(at, at + 10_004)} for at in (10_004, 0)]
    for seq, half in enumerate(halves, 1):
        tell(local, run, (seq, "config", {"config": half}))
    tell(local, run, (3, "summary", {"summary": {f"best{number:05d}": 1 for number in range(20_003)}}))
    tell(local, run, (4, "config", {"config": {"key20007": "again", "key00000": "kept"}}))

    details = local.details(run)
    assert list(details["config"]) == [f"key{number:05d}" for number in range(20_000)]
    assert details["config"]["key00000"] == "kept"
    assert details["configOmitted"] == 8
    assert (len(details["summary"]), details["summaryOmitted"]) == (20_000, 3)


def test_config_keeps_nan_and_infinities(local: LocalServer) -> None:
    """What JSON has no word for is stored as it is and answered as a word."""
    run = fresh_id()
    tell(local, run, (1, "start", {"config": {"clip": math.inf, "floor": -math.inf, "pad": [math.nan]}}))

    assert local.details(run)["config"] == {"clip": "Infinity", "floor": "-Infinity", "pad": ["NaN"]}


def test_summary_shows_each_plain_metric_and_what_was_set_over_it(local: LocalServer) -> None:
    """A run table has figures without a line of code, and the program's own where it set them."""
    run = fresh_id()
    log(local, run, "loss", 3.0, 1.0, 2.0)
    log(local, run, "acc", 0.1, 0.9, 0.5)
    log(local, run, "system/cpu", 50.0)
    owner = otlp.resource(run)
    context = [otlp.gauge("val", [otlp.point(0, 9.0, split="val")])]
    local.export("metrics", otlp.metrics((owner, context)))
    tell(local, run, (1, "summary", {"summary": {"acc": 0.95, "note": "early stop"}}))

    details = local.details(run)
    assert details["summary"] == {"loss": 2.0, "acc": 0.95, "note": "early stop"}
    assert details["summaryOmitted"] == 0


def test_summary_follows_the_metrics_definitions(local: LocalServer) -> None:
    """The rule that a metric was given decides, whenever it was given."""
    run = fresh_id()
    rules = {"last": 2.0, "min": 1.0, "max": 3.0, "mean": 2.0}
    for number, rule in enumerate(rules):
        log(local, run, f"by/{rule}", 3.0, 1.0, 2.0)
        tell(local, run, (number, "metric", {"name": f"by/{rule}", "summary": rule}))
    for name in ("best/acc", "best/loss", "hidden"):
        log(local, run, name, 3.0, 1.0, 2.0)
    tell(
        local,
        run,
        (10, "metric", {"name": "best/*", "summary": "best"}),
        (11, "metric", {"name": "best/acc", "summary": "best", "goal": "maximize"}),
        (12, "metric", {"name": "hidden", "summary": "none"}),
    )

    details = local.details(run)
    expected = {f"by/{rule}": value for rule, value in rules.items()}
    assert details["summary"] == expected | {"best/acc": 3.0, "best/loss": 1.0}
    assert {each["name"] for each in details["metrics"]} >= {"best/*", "best/acc", "hidden"}


def test_mean_of_many_requests_is_that_of_all_points_and_never_leaves_a_floats_range(
    local: LocalServer,
) -> None:
    """A mean is kept and not computed, and no value that a float can hold stops a request."""
    run = fresh_id()
    sent = {"plain": [3.0, 1.0, 2.0, 6.0, -1.0], "great": [1.7e308] * 5, "small": [5e-324] * 5}
    for name, values in sent.items():
        for step, value in enumerate(values):
            point = otlp.metrics((otlp.resource(run), [otlp.gauge(name, [otlp.point(step, value)])]))
            assert local.export("metrics", point).status == 200
        tell(local, run, (len(name), "metric", {"name": name, "summary": "mean"}))
    assert local.export("metrics", otlp.curve(run, "plain", [3.0])).status == 200

    summary = local.details(run)["summary"]
    assert summary["plain"] == pytest.approx(2.2)
    assert 1e289 < summary["great"] < 1.8e308
    assert abs(summary["small"]) < 1e-200


def test_summary_of_ranks_shows_the_lowest_one(local: LocalServer) -> None:
    """A run whose ranks all record has one value a metric, and always the same one's."""
    run = fresh_id()
    for rank in (10, 2):
        point = otlp.point(0, float(rank))
        point.attributes.extend(otlp.pairs({"rundial.rank": str(rank)}))
        owner = otlp.resource(run, instance=f"rank-{rank}", rundial__rank=rank)
        local.export("metrics", otlp.metrics((owner, [otlp.gauge("loss", [point])])))

    assert local.details(run)["summary"] == {"loss": 2.0}


def test_series_are_shown_over_their_step_metric(local: LocalServer) -> None:
    """A metric that was logged once an epoch is drawn over epochs, joined by step."""
    run = fresh_id()
    log(local, run, "val/loss", 3.0, 2.0, 1.0)
    log(local, run, "epoch", 10.0, 20.0)
    tell(local, run, (1, "metric", {"name": "val/*", "step_metric": "epoch"}))
    asked = {"projectId": local.project_id(), "runId": run, "metricKeys": ["val/loss"]}

    by_step, defined, named = (
        local.post("/api/v1/query/series", asked | more).json["series"][0]
        for more in ({}, {"xAxis": "stepMetric"}, {"xMetric": "never"})
    )

    assert (by_step["stepMetric"], by_step["xMetric"]) == ("epoch", None)
    assert "x" not in by_step["points"][0]
    assert defined["xMetric"] == "epoch"
    assert [point["x"] for point in defined["points"]] == [10.0, 20.0, None]
    assert [point["x"] for point in named["points"]] == [None, None, None]


def test_keys_say_how_each_metric_is_to_be_read(local: LocalServer) -> None:
    """A chart finds its axis and its rule beside the name."""
    run = fresh_id()
    log(local, run, "val/loss", 3.0)
    log(local, run, "loss", 3.0)
    tell(local, run, (1, "metric", {"name": "val/*", "step_metric": "epoch", "summary": "min"}))

    keys = local.get(f"/api/v1/metrics/keys?projectId={local.project_id()}&runId={run}").json["keys"]
    read = {each["metricKey"]: (each["stepMetric"], each["summaryRule"], each["goal"]) for each in keys}
    assert read == {"loss": (None, "last", "minimize"), "val/loss": ("epoch", "min", "minimize")}


def test_alerts_are_listed_newest_first(local: LocalServer) -> None:
    """What a program wanted to be seen is beside the run, each alert once."""
    run = fresh_id()
    first: Event = (1, "alert", {"title": "slow", "text": "data loading", "level": "warn"})
    tell(local, run, first, (2, "alert", {"title": "nan", "text": "", "level": "error", "held_back": 3}))
    tell(local, run, first)

    alerts = local.details(run)["alerts"]
    assert [(each["title"], each["level"], each["heldBack"]) for each in alerts] == [
        ("nan", "error", 3),
        ("slow", "warn", 0),
    ]
    assert {each["instanceId"] for each in alerts} == {"instance-1"}


def test_a_wish_to_stop_is_for_the_attempt_that_was_there(local: LocalServer) -> None:
    """Stopping a run does not stop the one that continues it."""
    run = fresh_id()
    tell(local, run, (1, "start", {"name": "night"}))
    before = local.get(f"/api/v1/runs/{run}/control").json

    asked = local.post(f"/api/v1/runs/{run}/stop", {"reason": "enough"})
    stopped = local.get(f"/api/v1/runs/{run}/control?attempt=1").json
    shown = local.details(run)["stopRequested"]
    tell(local, run, (1, "start", {"name": "night"}), instance="two", attempt=2)

    assert (before["stop"], before["reason"]) == (False, None)
    assert (asked.status, asked.json) == (200, {"runId": run, "attempt": 1, "stop": True})
    assert (stopped["stop"], stopped["reason"], shown) == (True, "enough", True)
    assert local.get(f"/api/v1/runs/{run}/control?attempt=2").json["stop"] is False
    assert local.get(f"/api/v1/runs/{run}/control?attempt=1").json["stop"] is True
    assert local.details(run)["stopRequested"] is False
    deed = local.get("/api/v1/workspaces/default-workspace/audit").json["events"][0]
    assert (deed["action"], deed["targetId"]) == ("run.stop", run)
    assert deed["details"] == {"projectSlug": "digits", "attempt": 1, "reason": "enough"}


def test_a_run_that_has_ended_cannot_be_stopped(local: LocalServer) -> None:
    """Who asks too late is told."""
    run = fresh_id()
    tell(local, run, (1, "finish", {"status": "completed"}))

    late = local.post(f"/api/v1/runs/{run}/stop", {})
    assert (late.status, late.error["code"]) == (409, "CONFLICT")
    assert local.post("/api/v1/runs/nothing/stop", {}).status == 404


@pytest.mark.inside
@pytest.mark.parametrize(
    ("scopes", "may_stop", "may_ask"),
    [
        ({"project:read"}, False, True),
        ({"metrics:write"}, True, True),
    ],
)
def test_stopping_needs_a_key_that_may_write(
    local: LocalServer, scopes: set[str], may_stop: bool, may_ask: bool
) -> None:
    """Whoever may only look cannot stop a run; the run's own key can ask."""
    run = fresh_id()
    tell(local, run, (1, "start", {}))
    key = local.make_key(scopes)

    assert (local.get(f"/api/v1/runs/{run}/control", key=key).status == 200) is may_ask
    assert (local.post(f"/api/v1/runs/{run}/stop", {}, key=key).status == 200) is may_stop


def test_preempting_is_shown_for_its_attempt(local: LocalServer, clock: ManualClock) -> None:
    """A run that has fallen silent shows that its machine was taken away."""
    run = fresh_id()
    clock.advance(1000)
    tell(local, run, (1, "start", {}), (2, "preempting", {"reason": "SIGUSR1"}))
    noted = local.details(run)["preempting"]
    tell(local, run, (1, "start", {}), instance="two", attempt=2)

    assert noted == {"reason": "SIGUSR1", "atMs": otlp.T0 // 1_000_000}
    assert local.details(run)["preempting"] is None
