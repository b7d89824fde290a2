"""A whole run through something that only knows OTLP: it stores requests and passes them on later."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from rundial.api.adopt import sync
from rundial.api.client import Client
from tests.support.collector import Collector
from tests.support.program import ServerProgram
from tests.support.relay import replay
from tests.support.scripts import run_script
from tests.support.shell import Done
from tests.support.stored import Stored, read

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

STEPS = 120
# Everything that a run can tell but for the bytes of files.
PROGRAM = """
with rd.init(**given["options"]) as run:
    run.config["depth"] = {"encoder": 12}
    for step in range(given["steps"]):
        run.log({"loss": 1 / (step + 1), "lr": 0.1}, step=step)
    run.log_text("half way")
    with run.trace("epoch") as span:
        span.event("sampled", {"n": 3})
        run.tool_call("search", input={"q": "otlp"}, output="found")
    run.log({"samples": rd.Table(columns=["word"], rows=[["one"]])}, step=7)
    run.summary["best"] = 0.5
cases = [{"id": "one", "text": "1+1", "expected": "2"}]
suite = rd.eval.suite("arithmetic", dataset=cases, scorers=["exact"], **given["eval_options"])
with suite.run() as evaluation:
    evaluation.log_result("one", scores={"exact": 1.0}, passed=True)
print(json.dumps([run.run_id, evaluation.eval_run_id, run.diagnostics().health]))
"""


@pytest.fixture(autouse=True)
def no_profile(server: ServerProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program knows nothing of the server, which has stored its address as a profile."""
    del server
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def collector() -> Iterator[Collector]:
    """What stands between the run and the server."""
    with Collector() as endpoint:
        yield endpoint


def stored(server: ServerProgram, run_id: str) -> Stored:
    """Read a run back."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        return read(client, "relay", run_id)


def options_of(tmp_path: Path, **more: object) -> dict[str, object]:
    """Arguments of `init`."""
    return {
        "project": "relay",
        "name": "carried",
        "tags": ["by", "hand"],
        "config": {"lr": 0.1, "layers": [1, 2]},
        "spool_directory": str(tmp_path / "spool"),
        "system_metrics": False,
        **more,
    }


def run_program(options: dict[str, object], steps: int = STEPS) -> Done:
    """Run it, the evaluation with what says where it goes."""
    where = ("project", "otlp_endpoint", "otlp_headers", "spool_directory", "finish_timeout_seconds")
    own = {name: value for name, value in options.items() if name in where}
    return run_script(PROGRAM, options=options, eval_options=own, steps=steps)


def assert_whole(server: ServerProgram, run_id: str, eval_run_id: str) -> None:
    """All that the program told is at the server, once, and its own account says so."""
    found = stored(server, run_id)
    details = found.details
    assert (details["status"], details["runName"]) == ("completed", "carried")
    assert details["config"] == {"lr": 0.1, "layers": [1, 2], "depth": {"encoder": 12}}
    assert details["summary"]["best"] == 0.5
    assert sorted(details["tags"]) == ["by", "hand"]
    losses = [(step, value) for name, step, value in found.points if name == "loss"]
    assert losses == [(step, 1 / (step + 1)) for step in range(STEPS)]
    assert found.lines == ["half way"]
    assert {span["name"] for span in found.spans} == {"epoch", "tool:search"}
    assert details["counts"] == {"points": 2 * STEPS, "lines": 1, "spans": 2}
    assert details["ledger"]["complete"], details["ledger"]
    at = "/api/v1/workspaces/default-workspace/projects/relay"
    (picture,) = server.rows(f"{at}/runs/{run_id}/media", "media")
    # Its bytes wait on the machine: OTLP carries no files.
    assert (picture["mediaKey"], picture["step"], picture["state"]) == ("samples", 7, "pending")
    (result,) = server.rows(f"{at}/evals/runs/{eval_run_id}/results", "rows")
    assert (result["exampleId"], result["score"], result["passed"]) == ("one", 1.0, True)


@pytest.mark.parametrize("how", ["argument", "OTEL_EXPORTER_OTLP_ENDPOINT", "three endpoints"])
def test_a_collector_alone_carries_a_whole_run(
    server: ServerProgram,
    collector: Collector,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """Where OTLP is all that there is, life, text, spans, results and media rows arrive too."""
    options = options_of(tmp_path)
    if how == "argument":
        options["otlp_endpoint"] = collector.url
        # What is said closer to the program counts: nothing goes here.
        monkeypatch.setenv("RUNDIAL_ENDPOINT", "http://127.0.0.1:1")
    elif how == "three endpoints":
        for signal in ("METRICS", "LOGS", "TRACES"):
            monkeypatch.setenv(
                f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", f"{collector.url}/v1/{signal.lower()}"
            )
    else:
        monkeypatch.setenv(how, collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b")
    done = run_program(options)

    assert (done.status, done.stderr) == (0, "")
    run_id, eval_run_id, health = json.loads(done.stdout)
    assert health == "healthy"
    assert {request.path for request in collector.requests} == {"/v1/metrics", "/v1/logs", "/v1/traces"}
    expected = {None} if how == "argument" else {"a b"}
    assert {request.headers.get("x-tenant") for request in collector.requests} == expected
    # In any order, and some of it twice: that is what a Collector may do.
    carried = list(collector.requests)
    random.Random(1).shuffle(carried)
    replay([*carried, *carried[::2]], server)
    assert_whole(server, run_id, eval_run_id)


def test_a_collector_that_comes_late_gets_it_from_sync(
    server: ServerProgram, collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waited for a Collector goes there with `rundial sync`, by each signal's own address."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.url}/v1/traces?tenant=7")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-token=general")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-token=logs")
    collector.stop()
    options = options_of(tmp_path, finish_timeout_seconds=0.2)
    done = run_program(options)
    assert done.status == 0
    assert "rundial sync" in done.stderr
    collector.start()
    run_id, eval_run_id, _ = json.loads(done.stdout)

    report = sync([tmp_path / "spool"])

    left = [
        (result.waiting["artifacts"], result.why) for result in report.results if any(result.waiting.values())
    ]
    assert left == [(1, f"files wait, and {collector.url} takes none: send them to a server with --to")]
    sent = {(request.path, request.headers["x-token"]) for request in collector.requests}
    assert sent == {("/v1/metrics", "general"), ("/v1/logs", "logs"), ("/v1/traces?tenant=7", "general")}
    replay(collector.requests, server)
    assert_whole(server, run_id, eval_run_id)


def test_no_header_goes_to_another_collector(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header may be a key: the environment's go to the endpoint beside them, and nowhere else."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-token=secret")
    options = options_of(tmp_path, otlp_endpoint=collector.url, otlp_headers={"x-mine": "mine"})
    done = run_program(options, steps=1)

    assert done.status == 0
    assert collector.requests
    assert all("x-token" not in request.headers for request in collector.requests)
    assert {
        request.headers.get("x-mine") for request in collector.requests if request.path == "/v1/traces"
    } == {"mine"}
