"""The published client 1.0.0rc1, unchanged, against this server; each client reads what the other wrote."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from rundial.api.client import Client
from tests.support.program import ServerProgram
from tests.support.published import PublishedClient
from tests.support.scripts import run_script
from tests.support.stored import read

# The first of them installs it.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

PLACE = "/api/v1/workspaces/default-workspace/projects/digits/runs"


TRAINING = """
    run = rd.init(
        project="digits", workspace="default-workspace", endpoint=given["url"], api_key=given["key"],
        name="first", tags=["old"], config={"lr": 0.1}, spool_directory=given["spool"], system_metrics=False,
    )
    for step in range(300):
        assert run.log({"loss": 300.0 - step}, step=step)
    assert run.log_metric("twice", step=1, value=1.0, time_ms=1_700_000_000_000)
    assert run.log_metric("twice", step=1, value=-0.5, time_ms=1_700_000_000_000)
    for number in range(3):
        assert run.log_text(f"line {number}", level="warn")
    with run.trace("epoch", attrs={"epoch": 1}) as span:
        span.event("halfway", {"at": 0.5})
    assert run.tool_call("search", input={"q": "x"}, output="found")
    assert run.update_config({"batch": 32})
    assert run.flush(20)
    assert run.finish(20)
    # Not before the end: its flush answers True while a batch is still on its way.
    told = run.diagnostics()
    print(json.dumps({
        "run_id": run.run_id, "project_id": run.project_id, "accepted": told.accepted_points,
        "health": told.health, "dropped": told.dropped_points_non_retryable, "config": dict(run.config),
    }))
"""


@pytest.fixture
def trained(published: PublishedClient) -> dict[str, Any]:
    """What a training script that uses it says of itself at its end."""
    found = published.script(TRAINING)
    assert isinstance(found, dict)
    return found


def test_its_sdk_records_and_believes_that_all_of_it_arrived(trained: dict[str, Any]) -> None:
    """Every record is accepted, nothing is dropped or tried again, and the config comes back."""
    assert (trained["accepted"], trained["health"], trained["dropped"]) == (307, "healthy", 0)
    assert trained["config"] == {"lr": 0.1, "batch": 32.0}


def test_rundial_reads_what_it_wrote(server: ServerProgram, trained: dict[str, Any]) -> None:
    """Its points, lines, spans, config and status are those of any other run here."""
    with Client(server.url, api_key=server.key) as client:
        found = read(client, "digits", trained["run_id"])
    spans = server.rows(f"{PLACE}/{trained['run_id']}/spans", "spans")

    losses = [point for point in found.points if point[0] == "loss"]
    twice = sorted(value for name, _, value in found.points if name == "twice")
    assert sorted(losses) == [("loss", step, 300.0 - step) for step in range(300)]
    assert twice == [-0.5, 1.0]
    assert sorted(found.lines) == ["line 0", "line 1", "line 2"]
    assert [(each["name"], each["attributes"].get("rundial.span.kind")) for each in spans] == [
        ("epoch", None),
        ("tool:search", "tool"),
    ]
    assert spans[0]["events"][0]["name"] == "halfway"
    details = found.details
    assert (details["status"], details["runName"], details["tags"]) == ("completed", "first", ["old"])
    assert details["config"] == {"lr": 0.1, "batch": 32.0}


def test_it_reads_what_rundial_wrote(server: ServerProgram, published: PublishedClient) -> None:
    """Its queries and its exports show a run that came over OTLP."""
    done = run_script(
        """
        run = rd.init(project="digits", endpoint=given["url"], api_key=given["key"], config={"lr": 0.5})
        for step in range(50):
            run.log({"loss": -0.5 * step}, step=step)
        run.log_text("hello", level="error")
        assert run.finish(20)
        print(run.run_id)
        """,
        url=server.url,
        key=server.key,
    )
    run_id = done.stdout.split()[-1]

    found = published.script(
        """
        client = rd.Client(
            given["url"], api_key=given["key"], spool_directory=given["spool"], system_metrics=False
        )
        target = client.resolve_run_target(workspace="default-workspace", project="digits")
        place = {"project_id": target["projectId"], "run_id": given["run_id"]}
        series = client.query_series(**place, metric_keys=["loss"], max_points_per_series=100)["series"]
        print(json.dumps({
            "keys": [each["metricKey"] for each in client.list_metric_keys(**place)],
            "points": [[each["step"], each["value"]] for each in series[0]["points"]],
            "lines": [[each["level"], each["message"]] for each in client.query_logs(**place)["rows"]],
            "status": client.get_run_details(
                workspace_slug="default-workspace", project_slug="digits", run_id=given["run_id"]
            )["status"],
        }))
        client.close(1)
        """,
        run_id=run_id,
    )

    assert "loss" in found["keys"]
    assert found["points"] == [[step, -0.5 * step] for step in range(50)]
    assert (found["lines"], found["status"]) == ([["error", "hello"]], "completed")


def test_its_commands_work(published: PublishedClient, trained: dict[str, Any], tmp_path: Path) -> None:
    """Listing, tailing, exporting and asking who one is, with its own command line."""
    run_id = trained["run_id"]
    export = tmp_path / "points.csv"

    listed = published.command("run", "list")["result"]["runs"]
    assert [(each["runId"], each["status"]) for each in listed] == [(run_id, "completed")]
    assert published.command("run", "status", run_id)["run"]["runId"] == run_id
    series = published.command("metrics", "tail", run_id, "--keys", "loss")["series"]["series"]
    assert series[0]["points"][-1]["value"] == 1.0
    rows = published.command("logs", "tail", run_id, "--min-level", "warn")["logs"]["rows"]
    assert [each["message"] for each in rows] == ["line 2", "line 1", "line 0"]
    numbers = [each["sequence"] for each in rows]
    assert numbers == sorted(numbers, reverse=True)
    points = ["metrics", "export", run_id, "--keys", "loss", "--format", "csv", "--out", str(export)]
    assert published.command(*points)["rows"] == 300
    assert len(list(csv.DictReader(export.read_text().splitlines()))) == 300
    lines = tmp_path / "lines.json"
    assert published.command("logs", "export", run_id, "--format", "json", "--out", str(lines))["rows"] == 3
    exported = [each["message"] for each in json.loads(lines.read_text())["rows"]]
    assert exported == ["line 0", "line 1", "line 2"]
    assert published.command("auth", "whoami")["whoami"]["authenticated"] is True
    assert published.command("project", "ls")["projects"][0]["projectSlug"] == "digits"
    checks = {each["name"]: each["ok"] for each in published.command("doctor")["checks"]}
    assert checks == {"health_ready": True, "capabilities": True, "auth": True, "secret_store": True}
    assert published.command("doctor-capabilities")["capabilities"]["version"]


def test_a_run_of_its_command_sends_no_heartbeat_and_stays(
    published: PublishedClient, server: ServerProgram
) -> None:
    """Nobody promised a sign of life for such a run, so its silence is no crash; its command ends it."""
    run_id = published.command("run", "start", "--name", "by hand")["run"]["runId"]

    assert server.get(f"{PLACE}/{run_id}")["status"] == "running"
    assert published.command("run", "finish", run_id, "--state", "failed")["run"]["status"] == "failed"


def test_records_that_it_sends_again_are_stored_once(
    published: PublishedClient, server: ServerProgram, trained: dict[str, Any]
) -> None:
    """It repeats a request whose answer it missed, without any id; the store does not change."""
    before = server.get(f"{PLACE}/{trained['run_id']}")["counts"]

    again = published.script(
        """
        from rundial_sdk.models import LogEvent, MetricEvent
        from rundial_sdk.transport import HttpMetricsTransport

        T0 = 1_700_000_000_000
        place = (given["project"], given["run"])
        points = [MetricEvent(*place, "again", step, T0 + step, 0.5, step) for step in range(100)]
        lines = [LogEvent(*place, T0, number, "info", "again", False) for number in range(9)]
        transport = HttpMetricsTransport(given["url"], api_key=given["key"])
        sent = [transport.send_metrics(each) for each in [points, lines] * 3]
        print(json.dumps([each.accepted for each in sent]))
        """,
        project=trained["project_id"],
        run=trained["run_id"],
    )

    after = server.get(f"{PLACE}/{trained['run_id']}")["counts"]
    assert isinstance(before, dict)
    assert again == [100, 9] * 3
    assert after == {**before, "points": before["points"] + 100, "lines": before["lines"] + 9}


EVALUATION = """
    suite = rd.eval.suite(
        "arithmetic", dataset={"name": "sums", "version": "1", "artifactRef": "sums:v1"},
        scorers=["exact", {"name": "f1", "kind": "numeric"}], workspace="default-workspace", project="digits",
        endpoint=given["url"], api_key=given["key"], spool_directory=given["spool"], system_metrics=False,
    )
    ids = []
    for good in (True, False):
        with suite.run(config={"model": "m"}) as evaluation:
            with evaluation.run.trace("case") as span:
                assert evaluation.log_result("a", scores={"exact": good}, meta={"k": 1})
            assert evaluation.log_result(
                "b", scores={"exact": True, "f1": {"score": 0.5, "passed": True}}, trace="ab" * 16
            )
            assert evaluation.flush(20)
        ids.append(evaluation.eval_run_id)
    client = rd.Client(
        given["url"], api_key=given["key"], spool_directory=given["spool"] + "-2", system_metrics=False
    )
    target = client.resolve_run_target(workspace="default-workspace", project="digits")
    place = {"org_id": target["orgId"], "project_id": target["projectId"]}
    made = client.create_eval_run(**place, suite_id=suite.suite_id)["evalRun"]
    sent = client.log_eval_result(
        project_id=target["projectId"], eval_run_id=made["evalRunId"], example_id="a",
        scores={"exact": {"score": 1.0, "passed": True}}, trace_id="ab" * 16,
    )
    assert sent and client.flush(20)
    diff = client.query_eval_diff(
        project_id=target["projectId"], baseline_eval_run_id=ids[0], candidate_eval_run_id=ids[1]
    )
    client.close(2)
    print(json.dumps({"ids": [*ids, made["evalRunId"]], "rows": diff["rows"], "span": span.trace_id}))
"""


def test_its_evaluations_are_stored_and_compared(published: PublishedClient, server: ServerProgram) -> None:
    """Its suite, its results in spans and outside, its own diff in Python and on its command line."""
    found = published.script(EVALUATION)

    compared = {(row["exampleId"], row["scorer"]): (row["delta"], row["regressed"]) for row in found["rows"]}
    assert compared == {("a", "exact"): (-1.0, True), ("b", "exact"): (0.0, False), ("b", "f1"): (0.0, False)}
    told = published.command("evals", "diff", *found["ids"][:2])
    assert (told["ok"], told["regressions"]) == (True, 1)
    runs = PLACE.removesuffix("/runs") + "/evals/runs"
    rows = server.rows(f"{runs}/{found['ids'][1]}/results", "rows")
    assert [(row["exampleId"], row["passed"], row["meta"]) for row in rows] == [
        ("a", False, {"k": 1}),
        ("b", True, {}),
        ("b", True, {}),
    ]
    assert rows[0]["traceId"] == found["span"]
    assert [row["exampleId"] for row in server.rows(f"{runs}/{found['ids'][2]}/results", "rows")] == ["a"]
    assert server.get(f"{runs}/{found['ids'][0]}")["suiteName"] == "arithmetic"
