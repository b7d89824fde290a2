"""Taking records in the published client's JSON: once each, beside OTLP's, and honest about the rest."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from rundial.server import keys
from tests.support import otlp
from tests.support.server import LocalServer, Reply, fresh_id

T0_MS = otlp.T0 // 1_000_000


def point(
    local: LocalServer, run: str, step: int = 0, value: object = 0.5, **more: object
) -> dict[str, object]:
    """A point."""
    place = {"projectId": local.project_id(), "runId": run}
    return {**place, "metricKey": "loss", "step": step, "timestampMs": T0_MS, "value": value, **more}


def line(local: LocalServer, run: str, sequence: int, message: str, **more: object) -> dict[str, object]:
    """A line."""
    place = {"projectId": local.project_id(), "runId": run, "timestampMs": T0_MS, "level": "info"}
    return {**place, "sequence": sequence, "message": message, "truncated": False, **more}


def span(local: LocalServer, run: str, number: int, **more: object) -> dict[str, object]:
    """A span."""
    place = {
        "projectId": local.project_id(),
        "runId": run,
        "traceId": f"{1:032x}",
        "spanId": f"{number:016x}",
    }
    times = {"startNs": str(otlp.T0), "endNs": str(otlp.T0 + 5)}
    rest = {"parentSpanId": None, "name": "step", "kind": "internal", "status": "ok", "attrsJson": "{}"}
    return {**place, **times, **rest, "events": [], **more}


def ingest(local: LocalServer, name: str, records: list[Any], **more: Any) -> Reply:
    """Send records."""
    path = {"points": "metrics", "lines": "logs", "spans": "traces"}[name]
    return local.post(f"/api/v1/ingest/{path}", {name: records}, **more)


def test_records_are_stored_once_however_often_they_are_sent(local: LocalServer) -> None:
    """The client sends no id of a request or a record: what a record says is what identifies it."""
    run = fresh_id()
    sent = {
        "points": [point(local, run, step) for step in range(5)],
        "lines": [line(local, run, number, "same") for number in range(3)],
        "spans": [span(local, run, number) for number in (1, 2)],
    }
    for name, records in [*sent.items()] * 3:
        reply = ingest(local, name, records)
        assert (reply.status, reply.json["accepted"]) == (200, len(records))
        assert reply.json["requestId"] == reply.headers["x-request-id"]

    assert local.details(run)["counts"] == {"points": 5, "lines": 3, "spans": 2}


def test_two_values_of_one_step_and_millisecond_are_both_kept(local: LocalServer) -> None:
    """The wire has whole milliseconds, and a loop is faster: the one accepted last is shown, none is lost."""
    run = fresh_id()
    for value in (1.0, 2.0, 1.0):
        ingest(local, "points", [point(local, run, 7, value)])

    assert local.details(run)["counts"]["points"] == 2
    assert local.curve(run, "loss") == [(7, 2.0)]


def test_both_protocols_fill_one_series(local: LocalServer) -> None:
    """A curve that was begun over OTLP goes on where JSON takes over, with its contexts."""
    run = fresh_id()
    local.export("metrics", otlp.curve(run, "loss", [4.0, 3.0]))
    ingest(local, "points", [point(local, run, 2, 2.0), point(local, run, 3, -1, context={"split": "val"})])

    body = {"projectId": local.project_id(), "runId": run, "metricKeys": ["loss"]}
    series = local.post("/api/v1/query/series", body).json["series"]

    shown = {str(each["context"]): [point["value"] for point in each["points"]] for each in series}
    assert shown == {"{}": [4.0, 3.0, 2.0], "{'split': 'val'}": [-1.0]}


def test_a_span_keeps_what_the_client_says_of_it(local: LocalServer) -> None:
    """Attributes, events, model, tokens and cost are there, under OpenTelemetry's names."""
    run = fresh_id()
    event = {"name": "chunk", "timestampNs": str(otlp.T0 + 1), "attrsJson": '{"n":1}'}
    said = {"model": "m-1", "genAiSystem": "acme", "tokensIn": "12", "tokensOut": "3", "costUsd": 0.25}
    ingest(
        local,
        "spans",
        [
            span(
                local,
                run,
                1,
                kind="tool",
                attrsJson='{"a":[1,2]}',
                events=[event],
                parentSpanId=f"{9:016x}",
                **said,
            )
        ],
    )

    found = local.spans(run)[0]
    assert found["attributes"] == {
        "a": [1, 2],
        "gen_ai.request.model": "m-1",
        "gen_ai.provider.name": "acme",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "rundial.cost_usd": 0.25,
        "rundial.span.kind": "tool",
    }
    assert found["events"] == [{"name": "chunk", "timestampNs": str(otlp.T0 + 1), "attributes": {"n": 1}}]
    assert (found["traceId"], found["parentSpanId"], found["status"]) == (f"{1:032x}", f"{9:016x}", "ok")


def test_what_the_client_lost_is_in_the_runs_ledger(local: LocalServer) -> None:
    """Its own counters are shown beside what is stored, the greatest of each."""
    run = fresh_id()
    for full, finite in ((5, 1), (3, 4), (0, 0)):
        said = {"droppedPointsQueueFull": full, "droppedPointsNonFinite": finite, "droppedLogLinesInvalid": 2}
        body = {"points": [point(local, run)], "clientDiagnostics": {**said, "capturedAtMs": T0_MS}}
        assert local.post("/api/v1/ingest/metrics", body).json["accepted"] == 1

    ledger = local.details(run)["ledger"]
    assert (ledger["points"]["dropped"], ledger["lines"]["dropped"]) == (
        {"queue_full": 5, "non_finite": 4},
        {"invalid": 2},
    )
    assert ledger["complete"] is False


BAD: dict[str, list[dict[str, object]]] = {
    "points": [
        {"value": "0.5"},
        {"value": True},
        {"value": 10**400},
        {"step": -1},
        {"step": 1.5},
        {"step": 2**63},
        {"timestampMs": 0},
        {"timestampMs": None},
        {"metricKey": ""},
        {"metricKey": "\ud800"},
        {"context": [1]},
        {"runId": "../x"},
        {"projectId": 3},
    ],
    "lines": [{"message": 3}, {"level": "loud"}, {"level": []}, {"sequence": -1}, {"timestampMs": 2**60}],
    "spans": [
        {"traceId": ""},
        {"spanId": None},
        {"name": None},
        {"startNs": "-1"},
        {"endNs": "x"},
        {"attrsJson": "[1]"},
        {"attrsJson": "{" * 9},
        {"events": {}},
        {"events": [1]},
        {"tokensIn": "many"},
    ],
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_costs_itself_alone(local: LocalServer, name: str) -> None:
    """Its neighbours are stored, and the answer says how many were refused and why (defect L3)."""
    run = fresh_id()
    make = {
        "points": point(local, run),
        "lines": line(local, run, 0, "good"),
        "spans": span(local, run, 1),
    }[name]
    bad: list[object] = [{**make, **each} for each in BAD[name]]
    reply = ingest(local, name, [*bad, None, "x", make])

    assert (reply.status, reply.json["accepted"], reply.json["rejected"]) == (200, 1, len(bad) + 2)
    assert reply.json["reasons"]
    assert local.details(run)["counts"][name] == 1


def test_text_that_no_store_can_hold_is_mended(local: LocalServer) -> None:
    """JSON can spell half of a surrogate pair; the line is kept without it."""
    run = fresh_id()
    reply = ingest(local, "lines", [line(local, run, 0, "a\ud800b")])

    body = {"projectId": local.project_id(), "runId": run}
    assert reply.json["accepted"] == 1
    assert [row["message"] for row in local.post("/api/v1/query/logs", body).json["rows"]] == ["a?b"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"points": {}}', 400),
        (b"\xff", 400),
        (b'{"points": ' + b"[" * 100_000, 400),
        (b'{"points": [' + b"{}," * 200_000 + b"{}]}", 413),
        (b'{"points": [' + b"1," * 600_000 + b"1]}", 413),
        (b'{"points": [' + b"1" * 10_000 + b"]}", 400),
    ],
    ids=["empty", "list", "nothing", "no list", "no text", "deep", "many records", "many values", "digits"],
)
def test_a_body_that_is_no_request_is_refused_whole(local: LocalServer, body: bytes, status: int) -> None:
    """Whatever someone sends, the answer is ours, and a small one."""
    reply = local.send("POST", "/api/v1/ingest/metrics", body, headers={"content-type": "application/json"})

    assert reply.status == status
    assert reply.error["code"] in ("INVALID_REQUEST", "PAYLOAD_TOO_LARGE")


def test_gzip_is_read_and_a_bomb_is_not(local: LocalServer) -> None:
    """A compressed request is the same request, and is bounded by what it unpacks to."""
    run = fresh_id()
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    good = gzip.compress(json.dumps({"points": [point(local, run)]}).encode())
    bomb = gzip.compress(b'{"points": [' + b" " * (17 << 20) + b"]}")

    assert local.send("POST", "/api/v1/ingest/metrics", good, headers=headers).json["accepted"] == 1
    assert local.send("POST", "/api/v1/ingest/metrics", bomb, headers=headers).status == 413


def test_an_unknown_project_is_refused_and_nothing_is_stored(local: LocalServer) -> None:
    """A project's id is never taken for a name; what is in the request besides waits with it."""
    run = fresh_id()
    reply = ingest(local, "points", [point(local, run), {**point(local, run), "projectId": "prj_0000"}])

    assert reply.status == 404
    assert local.get(f"/api/v1/workspaces/default-workspace/projects/digits/runs/{run}").status == 404


def test_a_key_of_one_project_writes_into_no_other(local: LocalServer) -> None:
    """The id of another project opens nothing."""
    run = fresh_id()
    local.project_id("other")
    key = local.make_key(keys.SCOPES, project_id=1)
    mine, theirs = local.project_id("digits"), local.project_id("other")
    assert mine != theirs

    replies = [
        ingest(local, "points", [{**point(local, run), "projectId": each}], key=key).status
        for each in (mine, theirs)
    ]

    assert sorted(replies) == [200, 404]


@pytest.mark.parametrize("name", ["points", "lines", "spans"])
def test_each_signal_needs_its_scope(local: LocalServer, name: str) -> None:
    """A key that may write one signal writes no other."""
    scope = {"points": keys.METRICS_WRITE, "lines": keys.LOGS_WRITE, "spans": keys.TRACES_WRITE}[name]
    others = local.make_key((keys.WRITE_SCOPES | {keys.PROJECT_READ}) - {scope})
    own = local.make_key([scope])

    assert ingest(local, name, [], key=others).status == 403
    assert ingest(local, name, [], key=own).status == 200
