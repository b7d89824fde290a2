"""Evaluations by the client's calls, and by suites, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rundial as rd
from rundial.api.client import Client
from rundial.errors import RundialRequestError
from tests.support.clock import ManualClock
from tests.support.processes import own_parts
from tests.support.server import LocalServer
from tests.support.waiting import wait_until

PLACE = {"workspace_slug": "default-workspace", "project_slug": "digits"}
DATASET = {"name": "sums", "version": "1", "artifactRef": "sums:v1"}
CASES = [{"id": "one", "input": 1, "expected": 2}, {"id": "two", "input": 2, "expected": 4}]


@pytest.fixture
def client(local: LocalServer, spool_dir: Path) -> Iterator[Client]:
    """A client with the owner's key; what it starts in this process ends with the test."""
    with own_parts(), Client(local.url, api_key=local.key, spool_directory=spool_dir) as made:
        yield made


def rows(client: Client, eval_run_id: str, **more: Any) -> list[tuple[str, str, Any, Any]]:
    """The results of an evaluation run."""
    found = client.iter_eval_results(**PLACE, eval_run_id=eval_run_id, page_size=1, **more)
    return [(row["exampleId"], row["scorer"], row["score"], row["passed"]) for row in found]


def begun(client: Client, local: LocalServer) -> str:
    """An evaluation run that the server made."""
    project_id = local.project_id()
    made = client.create_eval_suite(
        org_id="org_1", project_id=project_id, name="s", dataset=DATASET, scorers=["exact", max]
    )
    assert [each["name"] for each in made["suite"]["scorers"]] == ["exact", "max"]
    found = client.create_eval_run(
        org_id="org_1", project_id=project_id, suite_id=made["suite"]["suiteId"], config={"model": "m"}
    )
    return str(found["evalRun"]["evalRunId"])


def test_result_that_a_client_sends_is_there_when_it_returns(client: Client, local: LocalServer) -> None:
    """One row for each scorer, read back a page at a time."""
    eval_run, project_id = begun(client, local), local.project_id()

    for example, good in (("a", True), ("b", False)):
        assert client.log_eval_result(
            project_id=project_id,
            eval_run_id=eval_run,
            example_id=example,
            scores={"exact": good, "f1": {"score": 0.5, "meta": {"own": 1}}},
            trace_id=f"00-{'ab' * 16}-{'cd' * 8}-01",
            meta={"shared": 2},
        )

    assert rows(client, eval_run) == [
        ("a", "exact", 1.0, True),
        ("a", "f1", 0.5, None),
        ("b", "exact", 0.0, False),
        ("b", "f1", 0.5, None),
    ]
    assert rows(client, eval_run, outcome="failed") == [("b", "exact", 0.0, False)]
    first, second, *_ = client.iter_eval_results(**PLACE, eval_run_id=eval_run)
    assert (first["traceId"], first["spanId"], first["meta"]) == ("ab" * 16, "cd" * 8, {"shared": 2})
    assert second["meta"] == {"shared": 2, "own": 1}
    details = client.get_eval_run(**PLACE, eval_run_id=eval_run)
    assert (details["config"], details["counts"]["examples"]) == ({"model": "m"}, 2)
    assert [each["evalRunId"] for each in client.list_eval_runs(**PLACE, suite="s")] == [eval_run]


def test_result_that_cannot_be_sent_is_told_and_counted(client: Client, local: LocalServer) -> None:
    """It is False, and never an exception in an evaluation: wrong, refused, or without a server."""
    eval_run, project_id = begun(client, local), local.project_id()
    place = {"project_id": project_id, "example_id": "a"}

    assert not client.log_eval_result(**place, eval_run_id=eval_run, scores={"exact": "yes"})
    assert not client.log_eval_result(**place, eval_run_id="nobody", scores={"exact": True})
    local.stop()
    assert not client.log_eval_result(**place, eval_run_id=eval_run, scores={"exact": True})

    assert client.diagnostics().ledger.lines.dropped == {"invalid": 1, "rejected": 2}


def test_strict_client_raises_what_it_could_not_send(local: LocalServer, spool_dir: Path) -> None:
    """In tests a result that is lost is an error of the call."""
    project_id = local.project_id()
    with (
        own_parts(),
        Client(local.url, api_key=local.key, spool_directory=spool_dir, strict=True) as client,
        pytest.raises(RundialRequestError, match="nobody"),
    ):
        client.log_eval_result(
            project_id=project_id, eval_run_id="nobody", example_id="a", scores={"exact": True}
        )


def test_suite_of_a_client_records_through_it(client: Client, local: LocalServer) -> None:
    """Its run is of the server's making, and ends when the evaluation is complete."""
    suite = client.eval_suite(
        org_id="org_1",
        project_id=local.project_id(),
        name="doubling",
        dataset=CASES,
        scorers=[{"name": "exact", "function": lambda output, expected: output == expected}],
    )

    evaluation = suite.run(config={"model": "m"})
    evaluation.evaluate(lambda case: case["input"] * 2)
    assert evaluation.complete(timeout_seconds=15)

    spans = {
        span["name"]: span["spanId"] for span in client.list_spans(**PLACE, run_id=evaluation.run.run_id)
    }
    assert rows(client, evaluation.eval_run_id) == [("one", "exact", 1.0, True), ("two", "exact", 1.0, True)]
    found = list(client.iter_eval_results(**PLACE, eval_run_id=evaluation.eval_run_id))
    assert [row["spanId"] for row in found] == [spans["case:one"], spans["case:two"]]
    run = client.get_run_details(**PLACE, run_id=evaluation.run.run_id)
    assert (run["kind"], run["runName"], run["status"]) == ("eval", "doubling", "completed")
    assert client.get_eval_run(**PLACE, eval_run_id=evaluation.eval_run_id)["config"] == {"model": "m"}


def test_suite_by_the_id_of_its_project_asks_at_once(local: LocalServer, spool_dir: Path) -> None:
    """As the published client's did: a project that is not there is told before anything runs."""
    with own_parts():
        known: dict[str, Any] = {"endpoint": local.url, "api_key": local.key, "spool_directory": spool_dir}
        with pytest.raises(RundialRequestError, match="prj_none"):
            rd.eval.suite("s", dataset=CASES, scorers=["exact"], project_id="prj_none", **known)
        suite = rd.eval.suite(
            "s", dataset=CASES, scorers=["exact"], org_id="org_1", project_id=local.project_id(), **known
        )
        with suite.run(run_id="run-of-mine", eval_run_id="mine") as evaluation:
            assert [evaluation.log_result(case, scores={"exact": True}) for case in evaluation] == [
                True,
                True,
            ]
            assert evaluation.flush(15)

    with Client(local.url, api_key=local.key) as client:
        assert rows(client, "mine") == [("one", "exact", 1.0, True), ("two", "exact", 1.0, True)]
        assert client.get_eval_run(**PLACE, eval_run_id="mine")["runId"] == "run-of-mine"


def test_suite_goes_on_while_its_server_is_away(spool_dir: Path) -> None:
    """Nobody waits and nothing is raised; what waits on disk is delivered by whoever comes next."""
    with own_parts():
        suite = rd.eval.suite(
            "s",
            dataset=CASES,
            scorers=["exact"],
            project="digits",
            endpoint="http://127.0.0.1:1",
            api_key="rdk_test",
            spool_directory=spool_dir,
        )
        for case in suite:
            assert suite.log_result(case, scores={"exact": True})
        assert suite.last is not None
        ledger = suite.last.run.diagnostics().ledger.lines

    assert (ledger.recorded, ledger.waiting, ledger.lost) == (2, 2, 0)


def test_evaluations_go_when_their_projects_retention_ends(
    client: Client, local: LocalServer, clock: ManualClock
) -> None:
    """They are part of their run, and are kept as long as it is."""
    eval_run = begun(client, local)
    path = "/api/v1/workspaces/default-workspace/projects/digits"
    assert local.send("PATCH", path, b'{"retentionDays": 1}').status == 200
    clock.advance(3 * 86_400)

    local.services.janitor.wake()
    wait_until(lambda: local.get(f"{path}/evals/runs/{eval_run}").status == 404, 15)

    with pytest.raises(RundialRequestError, match="there is no evaluation run"):
        client.get_eval_run(**PLACE, eval_run_id=eval_run)
