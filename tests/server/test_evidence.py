"""Spans, text lines and the ledger as they are read back."""

from __future__ import annotations

import itertools

import pytest

from tests.support import otlp
from tests.support.server import LocalServer, fresh_id

_ANNOUNCED = {
    "trace_id": (7).to_bytes(16, "big").hex(),
    "span_id": (1).to_bytes(8, "big").hex(),
    "parent_span_id": "",
    "name": "epoch",
    "kind": "internal",
    "start_unix_ns": otlp.T0 + 1,
    "attributes": {"epoch": 1},
}


def _send(local: LocalServer, run: str, state: str) -> None:
    owner = otlp.resource(run)
    if state == "running":
        reply = local.export("logs", otlp.logs(owner, [otlp.event(40, "rundial.span.start", _ANNOUNCED)]))
    else:
        held = otlp.span(1, "epoch", is_interrupted=state == "interrupted")
        reply = local.export("traces", otlp.spans(owner, [held]))
    assert reply.body == b""


@pytest.mark.parametrize("order", list(itertools.permutations(["running", "interrupted", "ended"])))
def test_an_ended_span_stands_in_any_order_of_arrival(local: LocalServer, order: tuple[str, ...]) -> None:
    """A span that ended is never shown as open or cut off, however late its other halves come."""
    run = fresh_id()
    for state in order:
        _send(local, run, state)

    (span,) = local.spans(run)
    assert (span["running"], span["interrupted"], span["endNs"]) == (False, False, str(otlp.T0 + 501))
    assert local.details(run)["counts"] == {"points": 0, "lines": 0, "spans": 1}


@pytest.mark.parametrize("order", list(itertools.permutations(["running", "interrupted"])))
def test_an_interrupted_span_stands_over_its_announcement(local: LocalServer, order: tuple[str, ...]) -> None:
    """After a crash a span is shown as cut off, not as still running."""
    run = fresh_id()
    for state in order:
        _send(local, run, state)

    (span,) = local.spans(run)
    assert (span["running"], span["interrupted"]) == (False, True)


def test_an_open_span_is_shown_running_and_counted_nowhere(local: LocalServer) -> None:
    """An announcement is not a text line and not yet a span."""
    run = fresh_id()
    _send(local, run, "running")

    (span,) = local.spans(run)
    logs = local.post("/api/v1/query/logs", {"projectId": local.project_id(), "runId": run}).json
    assert (span["running"], span["endNs"], span["attributes"]) == (True, None, {"epoch": 1})
    assert logs["rows"] == []
    assert local.details(run)["counts"] == {"points": 0, "lines": 0, "spans": 0}


def test_spans_are_listed_by_start_and_paged(local: LocalServer) -> None:
    """A trace of any size can be read, each span once."""
    run = fresh_id()
    held = [otlp.span(number, f"s{number}", parent=1 if number > 1 else 0) for number in range(1, 6)]
    local.export("traces", otlp.spans(otlp.resource(run), held))
    path = f"/api/v1/workspaces/default-workspace/projects/digits/runs/{run}/spans?limit=2"
    names: list[str] = []
    cursor = ""
    for _ in range(3):
        answer = local.get(path + cursor).json
        names += [span["name"] for span in answer["spans"]]
        cursor = f"&cursor={answer['page']['nextCursor']}"

    assert names == ["s1", "s2", "s3", "s4", "s5"]
    assert answer["page"] == {"hasMore": False, "nextCursor": None}
    assert answer["spans"][0]["parentSpanId"] == (1).to_bytes(8, "big").hex()


def test_text_lines_are_filtered_searched_and_paged_from_the_newest(local: LocalServer) -> None:
    """A person finds a line by its level and its words, and events are never among the lines."""
    run = fresh_id()
    records = [otlp.line(seq, f"line {seq}", severity=17 if seq % 2 else 9) for seq in range(1, 7)]
    records.append(otlp.event(7, "rundial.run.heartbeat", {}))
    local.export("logs", otlp.logs(otlp.resource(run), records))
    asked = {"projectId": local.project_id(), "runId": run}

    first = local.post("/api/v1/query/logs", {**asked, "limit": 4}).json
    second = local.post(
        "/api/v1/query/logs", {**asked, "limit": 4, "cursor": first["page"]["nextCursor"]}
    ).json
    errors = local.post("/api/v1/query/logs", {**asked, "minLevel": "error", "order": "asc"}).json
    found = local.post("/api/v1/query/logs", {**asked, "text": "ne 4"}).json
    nothing = local.post("/api/v1/query/logs", {**asked, "text": "%"}).json

    assert [row["sequence"] for row in first["rows"] + second["rows"]] == [6, 5, 4, 3, 2, 1]
    assert second["page"]["hasMore"] is False
    assert [(row["sequence"], row["level"]) for row in errors["rows"]] == [
        (1, "error"),
        (3, "error"),
        (5, "error"),
    ]
    assert [row["message"] for row in found["rows"]] == ["line 4"]
    assert nothing["rows"] == []


def test_exported_points_are_every_stored_row(local: LocalServer) -> None:
    """Nothing that was stored is hidden from an export, older attempts included."""
    run = fresh_id()
    for attempt, instance in ((1, "first"), (2, "second")):
        local.export("metrics", otlp.curve(run, "loss", [1.0, 2.0], instance=instance, attempt=attempt))
    asked: dict[str, object] = {"projectId": local.project_id(), "runId": run, "limit": 3, "startMs": 0}
    first = local.post("/api/v1/export/metrics", asked).json
    second = local.post("/api/v1/export/metrics", {**asked, "cursor": first["page"]["nextCursor"]}).json
    none = local.post("/api/v1/export/metrics", {**asked, "endMs": 5}).json

    rows = [(row["step"], row["attempt"], row["value"]) for row in first["rows"] + second["rows"]]
    assert rows == [(0, 1, 1.0), (0, 2, 1.0), (1, 1, 2.0), (1, 2, 2.0)]
    assert (second["page"]["hasMore"], none["rows"]) == (False, [])


def test_a_thinned_curve_keeps_its_spike(local: LocalServer) -> None:
    """One bad step among thousands stays visible at any zoom."""
    run = fresh_id()
    numbers = [1.0] * 3_000
    numbers[1_234] = 99.0
    local.export("metrics", otlp.curve(run, "loss", numbers))

    thinned = local.curve(run, "loss", max_points=20)

    assert len(thinned) <= 20
    assert (1_234, 99.0) in thinned
    assert (thinned[0][0], thinned[-1][0]) == (0, 2_999)


def _ledger(recorded: int, **losses: object) -> dict[str, object]:
    nothing: dict[str, object] = {"recorded": 0, "dropped": {}, "evicted": 0, "rejected": 0}
    points = {**nothing, "recorded": recorded, **losses}
    return {"points": points, "lines": nothing, "spans": nothing}


def test_the_ledger_closes_when_everything_recorded_is_stored(local: LocalServer) -> None:
    """The run page says "complete" when, and only when, it is."""
    run = fresh_id()
    owner = otlp.resource(run)
    local.export("metrics", otlp.curve(run, "loss", [1.0, 2.0]))
    unreported = local.details(run)["ledger"]
    local.export("logs", otlp.logs(owner, [otlp.event(5, "rundial.run.ledger", _ledger(3))]))
    open_one = local.details(run)["ledger"]

    local.export("metrics", otlp.curve(run, "loss", [1.0, 2.0, 3.0]))

    closed = local.details(run)["ledger"]
    assert (unreported["complete"], unreported["points"]["missing"]) == (False, 0)
    assert (open_one["complete"], open_one["points"]["missing"]) == (False, 1)
    assert (closed["complete"], closed["points"]["missing"], closed["points"]["stored"]) == (True, 0, 3)


def test_the_ledger_says_what_was_lost_and_why(local: LocalServer) -> None:
    """A loss that the client counted is shown with its reason and is not reported as missing."""
    run = fresh_id()
    local.export("metrics", otlp.curve(run, "loss", [1.0]))
    body = _ledger(4, dropped={"queue_full": 7, "non_finite": 0}, evicted=2, rejected=1)
    local.export("logs", otlp.logs(otlp.resource(run), [otlp.event(5, "rundial.run.ledger", body)]))

    points = local.details(run)["ledger"]["points"]

    assert points == {
        "recorded": 4,
        "stored": 1,
        "missing": 0,
        "dropped": {"queue_full": 7},
        "evicted": 2,
        "rejected": 1,
    }
    assert local.details(run)["ledger"]["complete"] is False


def test_the_ledger_keeps_the_account_of_files(local: LocalServer) -> None:
    """A run that lost a checkpoint is not complete, however many points it has."""
    run = fresh_id()
    files = {"recorded": 5, "dropped": {"queue_full": 1}, "evicted": 2, "rejected": 1}
    body = {**_ledger(1), "artifacts": files}
    local.export("metrics", otlp.curve(run, "loss", [1.0]))
    local.export("logs", otlp.logs(otlp.resource(run), [otlp.event(5, "rundial.run.ledger", body)]))

    ledger = local.details(run)["ledger"]
    assert ledger["artifacts"] == files
    assert ledger["points"]["missing"] == 0
    assert ledger["complete"] is False


def test_the_ledger_takes_the_greatest_counters_whatever_the_order(local: LocalServer) -> None:
    """An older ledger event that comes late, or one under a known number, never turns counters back."""
    run = fresh_id()
    owner = otlp.resource(run)
    for recorded in (5, 3, 9, 9, 1):
        local.export("logs", otlp.logs(owner, [otlp.event(5, "rundial.run.ledger", _ledger(recorded))]))

    assert local.details(run)["ledger"]["points"]["recorded"] == 9


def test_a_surplus_of_one_instance_never_hides_what_another_misses(local: LocalServer) -> None:
    """Each process's records are compared with its own ledger."""
    run = fresh_id()
    local.export("metrics", otlp.curve(run, "loss", [1.0, 2.0, 3.0], instance="one"))
    for instance, recorded in (("one", 2), ("two", 1)):
        owner = otlp.resource(run, instance=instance)
        local.export("logs", otlp.logs(owner, [otlp.event(5, "rundial.run.ledger", _ledger(recorded))]))

    ledger = local.details(run)["ledger"]

    assert (ledger["points"]["missing"], ledger["complete"]) == (1, False)
