"""pytest sessions as evaluations on a real server: alone, under xdist, with a worker that dies, and in CI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rundial.api.client import Client
from tests.support.program import ServerProgram
from tests.support.pytestsession import TESTS, VERDICTS, run_pytest
from tests.support.shell import rundial

# Each runs pytest with workers of its own.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PLACE = {"workspace_slug": "default-workspace", "project_slug": "digits"}
CRASH = """
    def test_crash():
        os._exit(3)
"""


def environment(server: ServerProgram, place: Path) -> dict[str, str]:
    """What a build knows of its server."""
    return {
        "RUNDIAL_ENDPOINT": server.url,
        "RUNDIAL_API_KEY": server.key,
        "RUNDIAL_PROJECT": "digits",
        "RUNDIAL_SPOOL_DIR": str(place / "spool"),
    }


def deliver(server: ServerProgram, place: Path) -> None:
    """Send what a session on a busy machine could not send in its few seconds."""
    if (place / "spool").exists():
        done = rundial("sync", str(place / "spool"), **environment(server, place))
        assert done.status == 0, done.stdout + done.stderr


def results(server: ServerProgram, eval_run: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows of an evaluation run, by test and scorer."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        rows = client.iter_eval_results(**PLACE, eval_run_id=eval_run)
        return {(row["exampleId"].removeprefix("test_it.py::"), row["scorer"]): dict(row) for row in rows}


def test_session_of_several_workers_is_one_evaluation(server: ServerProgram, tmp_path: Path) -> None:
    """Every test once, in the span that its worker traced; one whose worker died has failed."""
    place = tmp_path / "tests"
    done = run_pytest(
        place,
        *("-n", "2", "--max-worker-restart", "2", "--rundial-eval", "nightly", "--rundial-eval-run", "night"),
        tests=TESTS + CRASH,
        **environment(server, tmp_path),
    )

    assert done.status == 1, done.stdout + done.stderr
    assert "crashed while running" in done.stdout
    deliver(server, tmp_path)
    found = results(server, "night")
    said = {
        name: (row["passed"], row["meta"]["pytestOutcome"], row["meta"]["pytestWhen"])
        for (name, scorer), row in found.items()
        if scorer == "pytest"
    }
    crashed = said.pop("test_crash")
    assert said == VERDICTS
    assert crashed == (False, "failed", "???")
    assert found["test_passes", "f1"]["score"] == 0.5
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        run_id = client.get_eval_run(**PLACE, eval_run_id="night")["runId"]
        spans = {span["name"]: span for span in client.list_spans(**PLACE, run_id=run_id)}
        details = client.get_run_details(**PLACE, run_id=run_id)
    assert (details["status"], details["kind"], details["runName"]) == ("completed", "eval", "nightly")
    for test in ("test_passes", "test_fails", "test_each[a b[c]]"):
        span, row = spans[f"pytest:test_it.py::{test}"], found[test, "pytest"]
        assert (row["traceId"], row["spanId"]) == (span["traceId"], span["spanId"])
        assert span["attributes"]["rundial.eval.run"] == "night"


def test_group_of_tests_changes_no_name(server: ServerProgram, tmp_path: Path) -> None:
    """Results compare with those of a session that was divided otherwise."""
    tests = """
        import pytest

        @pytest.mark.xdist_group("one")
        @pytest.mark.parametrize("address", ["me@here"])
        def test_grouped(rundial_eval, address):
            assert rundial_eval.log(scores={"f1": 1})

        def test_alone():
            pass
    """
    options = ("-n", "1", "--dist", "loadgroup", "--rundial-eval", "unit", "--rundial-eval-run", "grouped")
    done = run_pytest(tmp_path / "tests", *options, tests=tests, **environment(server, tmp_path))

    assert done.status == 0, done.stdout + done.stderr
    deliver(server, tmp_path)
    found = results(server, "grouped")
    assert set(found) == {
        ("test_grouped[me@here]", "pytest"),
        ("test_grouped[me@here]", "f1"),
        ("test_alone", "pytest"),
    }
    assert found["test_grouped[me@here]", "pytest"]["spanId"]


def test_build_fails_for_what_got_worse_than_its_baseline(server: ServerProgram, tmp_path: Path) -> None:
    """One session on the main branch, one on a change, and a comparison that decides."""
    place, known = tmp_path / "tests", environment(server, tmp_path)
    passing = "def test_a(): pass\n\ndef test_b(): pass\n"
    broken = "def test_a(): pass\n\ndef test_b(): assert 1 == 2\n"
    for name, tests, status in (("main", passing, 0), ("change", broken, 1), ("again", passing, 0)):
        done = run_pytest(place, "--rundial-eval", "unit", "--rundial-eval-run", name, tests=tests, **known)
        assert done.status == status, done.stdout + done.stderr
        assert f"2 tests are in the evaluation {name}" in done.stdout

    deliver(server, tmp_path)
    worse = rundial("evals", "diff", "main", "change", "--fail-on-regression", **known)
    same = rundial("evals", "diff", "main", "again", "--fail-on-regression", "--fail-on-missing", **known)

    assert (worse.status, same.status) == (1, 0), worse.stderr + same.stderr
    assert "test_it.py::test_b" in worse.stdout


def test_session_joins_what_others_have_started(server: ServerProgram, tmp_path: Path) -> None:
    """By the published variables: its results are there, and the run goes on, for others will end it."""
    known = environment(server, tmp_path)
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        target = client.resolve_run_target(workspace="default-workspace", project="digits")
        dataset = {"name": "d", "version": "1", "artifactRef": "d:v1"}
        made = client.create_eval_suite(
            org_id=target["orgId"],
            project_id=target["projectId"],
            name="s",
            dataset=dataset,
            scorers=["unit"],
        )
        begun = client.create_eval_run(project_id=target["projectId"], suite_id=made["suite"]["suiteId"])
        joined = {
            "RUNDIAL_PROJECT_ID": target["projectId"],
            "RUNDIAL_RUN_ID": begun["evalRun"]["runId"],
            "RUNDIAL_EVAL_RUN_ID": begun["evalRun"]["evalRunId"],
            "RUNDIAL_EVAL_SCORER": "unit",
        }

        done = run_pytest(tmp_path / "tests", **{**known, **joined})

        assert done.status == 1, done.stdout + done.stderr
        deliver(server, tmp_path)
        found = results(server, joined["RUNDIAL_EVAL_RUN_ID"])
        details = client.get_run_details(**PLACE, run_id=joined["RUNDIAL_RUN_ID"])
    assert {name: row["passed"] for (name, scorer), row in found.items() if scorer == "unit"} == {
        name: verdict[0] for name, verdict in VERDICTS.items()
    }
    assert details["status"] == "running"


def test_file_that_cannot_be_collected_is_a_failure(server: ServerProgram, tmp_path: Path) -> None:
    """Its tests are missing for a reason, and the evaluation says which."""
    done = run_pytest(
        tmp_path / "tests",
        *("--rundial-eval", "unit", "--rundial-eval-run", "broken"),
        tests="import no_such_module_of_anybody\n",
        **environment(server, tmp_path),
    )

    assert done.status == 2
    deliver(server, tmp_path)
    (row,) = results(server, "broken").values()
    assert (row["exampleId"], row["passed"], row["meta"]["pytestWhen"]) == ("test_it.py", False, "collect")
    assert "no_such_module_of_anybody" in row["meta"]["message"]
