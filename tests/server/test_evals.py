"""Evaluations: results by the published routes and by events, read back, compared, gone with their runs."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from rundial.server import keys
from rundial.server.store.eval_tables import eval_results, eval_runs
from rundial.server.store.removal import remove_some
from tests.support import otlp
from tests.support.server import LocalServer, fresh_id

AT = "/api/v1/workspaces/default-workspace/projects/digits"
DATASET = {"name": "sums", "version": "1", "artifactRef": "sums:v1"}
TRACE, SPAN = "ab" * 16, "cd" * 8


def place(local: LocalServer) -> dict[str, Any]:
    """What names the project in a body."""
    return {"projectId": local.project_id()}


def suite(local: LocalServer, name: str = "arithmetic", scorers: list[Any] | None = None) -> str:
    """A suite, and its id."""
    body = {**place(local), "name": name, "dataset": DATASET, "scorers": scorers or ["exact"]}
    answer = local.post("/api/v1/evals/suites", body)
    assert answer.status == 200, answer.body
    return str(answer.json["suite"]["suiteId"])


def begun(local: LocalServer, **more: Any) -> dict[str, Any]:
    """An evaluation run of the suite."""
    scorers = more.pop("scorers", None)
    body = {**place(local), "suiteId": suite(local, scorers=scorers), "config": {"model": "m"}, **more}
    answer = local.post("/api/v1/evals/runs", body)
    assert answer.status == 200, answer.body
    return dict(answer.json["evalRun"])


def scored(local: LocalServer, rows: Mapping[Any, Any], **more: Any) -> str:
    """An evaluation run with a row of scorer `exact` for each example: a score, a verdict, or both."""
    eval_run = begun(local, **more)["evalRunId"]
    sent = []
    for key, value in rows.items():
        example, scorer = key if isinstance(key, tuple) else (key, "exact")
        score, passed = value if isinstance(value, tuple) else (value, None)
        sent.append({"exampleId": example, "scorer": scorer, "score": score, "passed": passed})
    answer = local.post("/api/v1/evals/results", {**place(local), "evalRunId": eval_run, "rows": sent})
    assert answer.json["accepted"] == len(rows), answer.body
    return str(eval_run)


def diff(local: LocalServer, baseline: str, candidate: str, **more: Any) -> dict[str, Any]:
    """What is answered of two evaluation runs."""
    body = {**place(local), "baselineEvalRunId": baseline, "candidateEvalRunId": candidate, **more}
    answer = local.post("/api/v1/query/evals/diff", body)
    assert answer.status == 200, answer.body
    return answer.json


def results(local: LocalServer, eval_run: str, query: str = "") -> list[dict[str, Any]]:
    """The stored rows of an evaluation run."""
    found = local.get(f"{AT}/evals/runs/{eval_run}/results{query}").json["rows"]
    assert isinstance(found, list)
    return found


def result(seq: int, example: str, rows: list[dict[str, Any]], **more: Any) -> Any:
    """A result as a run sends it."""
    body = {"eval_run_id": "night", "example_id": example, "rows": rows, **more}
    return otlp.event(seq, "rundial.eval.result", body)


def test_suite_run_and_results_of_the_published_client_are_shown(local: LocalServer) -> None:
    """What its routes are given is what is read, with the run that the server started for it."""
    eval_run = begun(local)
    rows = [
        {
            "exampleId": "a",
            "scorer": "exact",
            "score": 1,
            "passed": True,
            "traceId": TRACE,
            "evidenceRef": {"artifactId": "art_1", "path": "a.txt"},
            "meta": {"why": "same"},
        },
        {"exampleId": "b", "scorer": "exact", "score": 0.0, "passed": False, "traceId": None, "meta": {}},
    ]
    sent = {**place(local), "evalRunId": eval_run["evalRunId"], "rows": rows}

    answers = [local.post("/api/v1/evals/results", sent).json["accepted"] for _ in range(2)]
    details = local.get(f"{AT}/evals/runs/{eval_run['evalRunId']}").json
    found = results(local, eval_run["evalRunId"])

    assert answers == [2, 2]
    assert [(row["exampleId"], row["score"], row["passed"]) for row in found] == [
        ("a", 1.0, True),
        ("b", 0.0, False),
    ]
    assert (found[0]["traceId"], found[0]["meta"]) == (TRACE, {"why": "same"})
    assert found[0]["evidenceRef"] == {"artifactId": "art_1", "path": "a.txt"}
    assert details["counts"] == {"examples": 2, "results": 2, "passed": 1, "failed": 1, "unjudged": 0}
    assert (details["suiteName"], details["config"]) == ("arithmetic", {"model": "m"})
    assert details["dataset"]["version"] == "1"
    assert [(each["scorer"], each["mean"], each["min"]) for each in details["stats"]] == [("exact", 0.5, 0.0)]
    run = local.details(eval_run["runId"])
    assert (run["kind"], run["runName"], run["status"]) == ("eval", "arithmetic", "running")


def test_suites_of_one_name_are_one_and_say_what_was_said_last(local: LocalServer) -> None:
    """Whoever makes a suite again, from another process, goes on with it."""
    first, second = suite(local), suite(local, scorers=["exact", {"name": "f1", "kind": "numeric"}])
    begun(local)

    assert first == second
    listed = local.get(f"{AT}/evals/runs?suite=arithmetic").json["evalRuns"]
    assert [each["suiteId"] for each in listed] == [first]


def test_eval_run_that_is_asked_for_again_is_the_same(local: LocalServer) -> None:
    """A request that is repeated begins nothing twice; the id of another suite's is refused."""
    first = begun(local, evalRunId="night", runId="run-a")
    again = begun(local, evalRunId="night", runId="run-a")
    other = suite(local, "geometry")
    body = {**place(local), "suiteId": other, "evalRunId": "night"}

    assert first == again
    assert first["runId"] == "run-a"
    assert local.post("/api/v1/evals/runs", body).error["code"] == "CONFLICT"
    assert local.post("/api/v1/evals/runs", {**place(local), "suiteId": "none"}).status == 404


def test_results_that_came_as_events_link_to_their_spans_and_are_in_the_ledger(local: LocalServer) -> None:
    """In any order, and any number of times: one row each, and as many lines as were recorded."""
    run = fresh_id()
    owner = otlp.resource(run)
    sent = [
        result(1, "a", [{"scorer": "exact", "score": 1.0, "passed": True}], trace_id=TRACE, span_id=SPAN),
        result(
            2, "b", [{"scorer": "exact", "passed": False}, {"scorer": "f1", "score": 0.25}], meta={"k": 1}
        ),
        result(3, "c", [{"scorer": "exact"}]),
        otlp.line(5, "hello"),
    ]
    start = {"eval_run_id": "night", "suite_id": "s1", "suite_name": "sums", "config": {"lr": 1}}
    said = {"lines": {"recorded": 4}, "points": {"recorded": 0}, "spans": {"recorded": 0}}
    rest = [otlp.event(4, "rundial.eval.start", start), otlp.event(6, "rundial.run.ledger", said)]

    for records in (sent, rest, sent, [*rest, *sent]):
        assert local.export("logs", otlp.logs(owner, records)).status == 200
    rows = results(local, "night")
    details = local.get(f"{AT}/evals/runs/night").json

    assert [(row["exampleId"], row["scorer"], row["score"], row["passed"]) for row in rows] == [
        ("a", "exact", 1.0, True),
        ("b", "exact", None, False),
        ("b", "f1", 0.25, None),
        ("c", "exact", None, None),
    ]
    assert (rows[0]["traceId"], rows[0]["spanId"], rows[1]["meta"]) == (TRACE, SPAN, {"k": 1})
    assert (details["runId"], details["suiteName"], details["config"]) == (run, "sums", {"lr": 1})
    assert details["counts"] == {"examples": 3, "results": 4, "passed": 1, "failed": 1, "unjudged": 2}
    found = local.details(run)
    assert (found["counts"]["lines"], found["ledger"]["complete"]) == (4, True)
    assert [row["exampleId"] for row in results(local, "night", "?outcome=unjudged&scorer=exact")] == ["c"]


def test_of_two_starts_the_later_one_says_what_is_evaluated(local: LocalServer) -> None:
    """In whichever order they arrive, and behind the first results; it began with the earlier one."""
    owner = otlp.resource(fresh_id())

    def start(seq: int, model: str, **more: Any) -> Any:
        body = {"eval_run_id": "night", "config": {"model": model}, **more}
        return otlp.event(seq, "rundial.eval.start", body)

    told = []
    for record in (
        result(9, "a", [{"scorer": "exact", "score": 1.0}]),
        start(5, "second", suite_id="s1", suite_name="sums"),
        start(3, "first"),
        start(7, "third"),
    ):
        assert local.export("logs", otlp.logs(owner, [record])).status == 200
        found = local.get(f"{AT}/evals/runs/night").json
        told.append((found["config"].get("model"), found["suiteName"]))

    assert told == [(None, None), ("second", "sums"), ("second", "sums"), ("third", "sums")]


def test_an_evaluation_run_is_the_same_in_whatever_order_its_records_arrive(local: LocalServer) -> None:
    """Starts, with a suite and without, at one time and at others, and results from before them all."""

    def start(night: str, seq: int, body: dict[str, Any]) -> Any:
        suite = (
            {"suite_id": f"{night}-{body['suite']}", "suite_name": body["name"]} if "suite" in body else {}
        )
        said = {"eval_run_id": night, "config": {"model": body["model"]}, **suite}
        return otlp.event(seq, "rundial.eval.start", said, time=otlp.T0 + body["at"])

    starts: list[dict[str, Any]] = [
        {"at": 10, "model": "a", "suite": "s", "name": "later"},
        {"at": 5, "model": "b", "suite": "s", "name": "early"},
        {"at": 7, "model": "c", "suite": "t", "name": "between"},
        {"at": 12, "model": "d"},
        {"at": 12, "model": "e"},
    ]
    seen = []
    for number, order in enumerate(list(itertools.permutations(range(6)))[::37]):
        night, owner = f"night-{number}", otlp.resource(f"run-{number}")
        scored = {"eval_run_id": night, "example_id": "a", "rows": [{"scorer": "exact", "score": 1.0}]}
        records = [start(night, place, each) for place, each in enumerate(starts)]
        records.append(otlp.event(9, "rundial.eval.result", scored, time=otlp.T0 + 1))
        for place in order:
            assert local.export("logs", otlp.logs(owner, [records[place]])).status == 200
        found = local.get(f"{AT}/evals/runs/{night}").json
        shown = {key: found[key] for key in ("suiteName", "config", "dataset", "startedAtMs")}
        with local.services.engines.reading.begin() as connection:
            held = select(eval_runs.c.started_unix_ns).where(eval_runs.c.eval_run_id == night)
            began = connection.execute(held).scalar_one()
        seen.append((shown, began))

    assert [each for each in seen if each != seen[0]] == []
    assert (seen[0][0]["suiteName"], seen[0][0]["config"]) == ("later", {"model": "e"})
    assert seen[0][1] == otlp.T0 + 5


def test_of_two_results_of_one_example_the_later_one_stands(local: LocalServer) -> None:
    """By the time of the call, whichever arrives last."""
    owner = otlp.resource(fresh_id())
    later = result(2, "a", [{"scorer": "exact", "score": 1.0}])
    earlier = result(1, "a", [{"scorer": "exact", "score": 0.0}])

    for record in (later, earlier):
        assert local.export("logs", otlp.logs(owner, [record])).status == 200

    assert [row["score"] for row in results(local, "night")] == [1.0]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"eval_run_id": "night", "example_id": "a", "rows": []},
        {"eval_run_id": "a b", "example_id": "a", "rows": [{"scorer": "s", "score": 1}]},
        {"eval_run_id": "night", "example_id": "", "rows": [{"scorer": "s", "score": 1}]},
        {"eval_run_id": "night", "example_id": "a", "rows": [{"score": 1}]},
        {"eval_run_id": "night", "example_id": "a", "rows": [{"scorer": "s", "score": "good"}]},
        {"eval_run_id": "night", "example_id": "a", "rows": [{"scorer": "s", "score": float("inf")}]},
        {"eval_run_id": "night", "example_id": "a", "trace_id": "zz", "rows": [{"scorer": "s"}]},
    ],
)
def test_event_that_is_no_result_is_refused_and_its_neighbours_stay(
    local: LocalServer, body: dict[str, Any]
) -> None:
    """The sender hears of it, and counts it rejected."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

    owner = otlp.resource(fresh_id())
    good = result(2, "b", [{"scorer": "exact", "score": 1.0}])

    reply = local.export("logs", otlp.logs(owner, [otlp.event(1, "rundial.eval.result", body), good]))

    told = ExportLogsServiceResponse.FromString(reply.body).partial_success
    assert (reply.status, told.rejected_log_records) == (200, 1)
    assert "rundial.eval.result" in told.error_message
    assert [row["exampleId"] for row in results(local, "night")] == ["b"]


def test_rows_that_cannot_be_kept_are_named(local: LocalServer) -> None:
    """By the JSON route, too; NaN is a row without a score that has not passed."""
    eval_run = begun(local)["evalRunId"]
    rows = [
        {"exampleId": "a", "scorer": "exact", "score": "NaN"},
        {"exampleId": "b", "scorer": "", "score": 1},
        {"exampleId": "c", "scorer": "exact", "score": 1, "evidenceRef": {"path": 3}},
    ]

    answer = local.post("/api/v1/evals/results", {**place(local), "evalRunId": eval_run, "rows": rows}).json

    assert (answer["accepted"], answer["rejected"], len(answer["reasons"])) == (1, 2, 2)
    assert [(row["score"], row["passed"]) for row in results(local, eval_run)] == [(None, False)]
    unknown = {**place(local), "evalRunId": "nobody", "rows": []}
    assert local.post("/api/v1/evals/results", unknown).error["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("before", "after", "more", "status"),
    [
        ((1, True), (0, False), {}, "regressed"),
        ((0, False), (1, True), {}, "improved"),
        # Both say that it passed: the score may move, unless somebody says by how much it may not.
        ((0.9, True), (0.8, True), {}, "unchanged"),
        ((0.9, True), (0.8, True), {"tolerance": 0.05}, "regressed"),
        ((0.9, True), (0.8, True), {"tolerance": 0.2}, "unchanged"),
        (0.5, 0.4, {}, "regressed"),
        (0.5, 0.6, {}, "improved"),
        (0.5, 0.5, {}, "unchanged"),
        (0.5, 0.45, {"tolerance": 0.1}, "unchanged"),
        # No score any more, where there was one.
        (0.5, "NaN", {}, "regressed"),
        ("NaN", 0.5, {}, "improved"),
        # Skipped is as if it were not there.
        (0.5, None, {}, "missing"),
        (None, 0.5, {}, "new"),
        (None, None, {}, "unchanged"),
    ],
)
def test_diff_says_how_an_example_stands(
    local: LocalServer, before: Any, after: Any, more: dict[str, Any], status: str
) -> None:
    """Verdicts decide where both sides have one, scores where not, and by how much when that is said."""
    found = diff(local, scored(local, {"a": before}), scored(local, {"a": after}), **more)

    assert [row["status"] for row in found["rows"]] == [status]
    assert found["rows"][0]["regressed"] is (status == "regressed")
    assert found["summary"] == {**dict.fromkeys(found["summary"], 0), status: 1}


def test_diff_knows_scorers_of_which_less_is_better(local: LocalServer) -> None:
    """A goal turns the comparison round, for that scorer alone."""
    scorers = [{"name": "latency", "config": {"goal": "minimize"}}, "exact"]
    baseline = scored(local, {("a", "latency"): 2.0, ("a", "exact"): 0.5}, scorers=scorers)
    candidate = scored(local, {("a", "latency"): 1.0, ("a", "exact"): 0.4}, scorers=scorers)

    found = diff(local, baseline, candidate)

    assert [(row["scorer"], row["status"]) for row in found["rows"]] == [
        ("exact", "regressed"),
        ("latency", "improved"),
    ]
    assert found["rows"][1]["delta"] == -1.0


def test_diff_shows_both_sides_and_what_is_only_in_one(local: LocalServer) -> None:
    """Regressions come first; rows have the published names; sums are over everything."""
    baseline = scored(local, {"a": (1, True), "b": (1, True), "c": (0, False), "d": (1, True)})
    candidate = scored(local, {"a": (1, True), "b": (0, False), "c": (1, True), "e": (1, True)})

    found = diff(local, baseline, candidate)

    assert [(row["exampleId"], row["status"]) for row in found["rows"]] == [
        ("b", "regressed"),
        ("d", "missing"),
        ("c", "improved"),
        ("e", "new"),
        ("a", "unchanged"),
    ]
    assert {key: found["rows"][0][key] for key in ("scorer", "delta", "regressed")} == {
        "scorer": "exact",
        "delta": -1.0,
        "regressed": True,
    }
    assert found["summary"] == {"regressed": 1, "missing": 1, "improved": 1, "new": 1, "unchanged": 1}
    (total,) = found["scorers"]
    assert (total["baselinePassed"], total["candidatePassed"]) == (3, 3)
    assert (total["baselineMean"], total["candidateMean"]) == (0.75, 0.75)
    assert (found["baseline"]["evalRunId"], found["candidate"]["evalRunId"]) == (baseline, candidate)
    assert (found["baseline"]["runStatus"], found["baseline"]["dataset"]["name"]) == ("running", "sums")
    only = diff(local, baseline, candidate, statuses=["missing", "new"], scorer="exact")["rows"]
    assert [row["exampleId"] for row in only] == ["d", "e"]
    assert diff(local, baseline, candidate, scorer="other")["rows"] == []
    unknown = {**place(local), "baselineEvalRunId": baseline, "candidateEvalRunId": "none"}
    assert local.post("/api/v1/query/evals/diff", unknown).error["code"] == "NOT_FOUND"


@pytest.mark.timeout(60)
def test_diff_of_ten_thousand_examples_is_read_in_pages(local: LocalServer) -> None:
    """Each example once, the regressions first, whatever the size of a page."""
    count = 10_000
    names = [f"tests/test_{number % 7}.py::test[{number}]" for number in range(count)]
    baseline = scored(local, dict.fromkeys(names, (1, True)))
    candidate = scored(
        local, {name: (0, False) if at % 100 == 0 else (1, True) for at, name in enumerate(names)}
    )

    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        found = diff(local, baseline, candidate, limit=1000, **({"cursor": cursor} if cursor else {}))
        rows += found["rows"]
        cursor = found["page"]["nextCursor"]
        if not found["page"]["hasMore"]:
            break

    assert sorted(row["exampleId"] for row in rows) == sorted(names)
    assert [row["regressed"] for row in rows] == [True] * 100 + [False] * (count - 100)
    assert found["summary"]["regressed"] == 100
    listed: list[str] = []
    query = "?limit=1000"
    while query:
        page = local.get(f"{AT}/evals/runs/{candidate}/results{query}").json
        listed += [row["exampleId"] for row in page["rows"]]
        after = page["page"]["nextCursor"]
        query = f"?limit=1000&cursor={after}" if after else ""
    assert listed == sorted(names)


def test_evaluations_go_with_their_run(local: LocalServer) -> None:
    """Deleting a run takes its evaluation runs and results; what comes late does not bring them back."""
    local.services.janitor.close()
    kept = scored(local, {"a": 1}, runId="run-kept")
    scored(local, {"a": 1}, runId="run-gone", evalRunId="night")
    late = otlp.logs(otlp.resource(fresh_id()), [result(1, "b", [{"scorer": "exact", "score": 1.0}])])

    assert local.send("DELETE", f"{AT}/runs/run-gone").status == 200
    assert local.export("logs", late).status == 200
    assert local.get(f"{AT}/evals/runs/night").status == 404
    clear = partial(remove_some, stored=local.services.events)
    while local.services.writer.submit(clear).result(10):
        pass

    with local.services.engines.reading.begin() as connection:
        left = connection.execute(select(eval_results.c.example_id)).scalars().all()
        named = connection.execute(select(eval_runs.c.eval_run_id)).scalars().all()
    assert (left, named) == (["a"], [kept])


def test_eval_runs_are_listed_in_pages_the_last_one_first(local: LocalServer) -> None:
    """With their counts, by suite and by run."""
    made = [scored(local, {"a": (number % 2, None)}, runId=f"run-{number}") for number in range(3)]

    first = local.get(f"{AT}/evals/runs?limit=2").json
    rest = local.get(f"{AT}/evals/runs?limit=2&cursor={first['page']['nextCursor']}").json

    listed = [each["evalRunId"] for each in (*first["evalRuns"], *rest["evalRuns"])]
    assert listed == made[::-1]
    assert rest["page"]["hasMore"] is False
    assert first["evalRuns"][0]["counts"]["results"] == 1
    of_run = local.get(f"{AT}/evals/runs?runId=run-1").json["evalRuns"]
    assert [each["evalRunId"] for each in of_run] == [made[1]]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_results_are_given_as_a_file(local: LocalServer, form: str) -> None:
    """Every result once, in each format, with numbers that are numbers and texts that no spreadsheet runs."""
    count = 5_000
    eval_run = scored(local, {f"{number:05}": (number / 7, number % 2 == 0) for number in range(count)})
    scored_late = {"exampleId": "=1+1", "scorer": "exact", "score": None, "passed": None}
    rows = {**place(local), "evalRunId": eval_run, "rows": [scored_late]}
    assert local.post("/api/v1/evals/results", rows).json["accepted"] == 1

    body = {**place(local), "evalRunId": eval_run, "format": form}
    reply = local.post("/api/v1/export/evals/file", body)

    assert (reply.status, f"{eval_run}-results.{form}" in reply.headers["content-disposition"]) == (200, True)
    read = {"jsonl": _json_lines, "csv": _csv, "parquet": _parquet}[form](reply.body)
    assert len(read) == count + 1
    assert read["00003"] == (3 / 7, False)
    assert read["=1+1" if form != "csv" else "'=1+1"] == (None, None)


def _json_lines(body: bytes) -> dict[str, Any]:
    rows = map(json.loads, body.splitlines())
    return {row["exampleId"]: (row["score"], row["passed"]) for row in rows}


def _csv(body: bytes) -> dict[str, Any]:
    verdicts = {"true": True, "false": False, "": None}
    return {
        row["exampleId"]: (float(row["score"]) if row["score"] else None, verdicts[row["passed"].lower()])
        for row in csv.DictReader(body.decode().splitlines())
    }


def _parquet(body: bytes) -> dict[str, Any]:
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist()
    return {row["exampleId"]: (row["score"], row["passed"]) for row in rows}


def test_key_that_may_not_write_evaluations_reads_them(local: LocalServer) -> None:
    """`evals:write` is what writing takes; `project:read` reads."""
    baseline = scored(local, {"a": 1})
    reader = local.make_key([keys.PROJECT_READ])
    body = {**place(local), "evalRunId": baseline, "rows": []}

    assert local.post("/api/v1/evals/results", body, key=reader).status == 403
    assert local.post("/api/v1/evals/results", body, key=local.make_key([keys.EVALS_WRITE])).status == 200
    assert local.get(f"{AT}/evals/runs/{baseline}", key=reader).status == 200


def test_org_of_another_workspace_is_refused(local: LocalServer) -> None:
    """The published client names its workspace too; a wrong one is no slip to pass over."""
    body = {**place(local), "orgId": "org_999", "name": "x", "dataset": DATASET, "scorers": ["s"]}

    assert local.post("/api/v1/evals/suites", body).error["code"] == "NOT_FOUND"
    assert local.post("/api/v1/evals/suites", {**body, "orgId": "org_1"}).status == 200
    for wrong in ({"dataset": {}}, {"scorers": [{"kind": "x"}]}, {"name": " "}, {"scorers": [3]}):
        assert local.post("/api/v1/evals/suites", {**body, "orgId": None, **wrong}).status == 400
