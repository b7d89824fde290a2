"""Evaluations whose process or server is killed: every result that was accepted is stored once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rundial.api.client import Client
from tests.support.program import ServerProgram
from tests.support.rounds import rounds
from tests.support.scripts import start_script

ROUNDS = 3
PLACE = {"workspace_slug": "default-workspace", "project_slug": "digits"}
EVALUATION = """
    import itertools

    suite = rd.eval.suite(
        "endless", dataset="endless:v1", scorers=["exact", "f1"], project="digits", mode=given["mode"],
        endpoint=given["url"], api_key=given["key"], spool_directory=given["spool"], system_metrics=False,
        capture_environment=False,
    )
    evaluation = suite.run(eval_run_id=given["eval_run"])
    for number in itertools.count():
        with evaluation.run.trace("case"):
            assert evaluation.log_result(number, scores={"exact": number % 2 == 0, "f1": number / 2})
        print(number, flush=True)
"""

pytestmark = pytest.mark.fault


def stored(server: ServerProgram, eval_run: str) -> list[dict[str, Any]]:
    """The rows of an evaluation run."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        return [dict(row) for row in client.iter_eval_results(**PLACE, eval_run_id=eval_run)]


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_killed_evaluation_is_stored_whole_after_sync(
    server: ServerProgram, tmp_path: Path, mode: str
) -> None:
    """Every result that was accepted before a SIGKILL is stored once, linked to a span; the ledger closes."""
    for number in range(rounds(ROUNDS)):
        eval_run, spool = f"{mode}-{number}", str(tmp_path / f"spool-{number}")
        given = {"url": server.url, "key": server.key, "spool": spool, "mode": mode, "eval_run": eval_run}
        accepted = -1
        with start_script(EVALUATION, **given) as script:
            assert script.stdout is not None
            for line in script.stdout:
                accepted = int(line)
                if accepted == 40 + 25 * number:
                    script.send_signal(signal.SIGKILL)
            script.wait(20)
        assert script.returncode == -signal.SIGKILL
        done = subprocess.run(
            [sys.executable, "-m", "rundial", "sync", spool, "--endpoint", server.url, "--json"],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "RUNDIAL_API_KEY": server.key},
        )
        assert done.returncode == 0, done.stdout + done.stderr

        rows = stored(server, eval_run)
        examples = sorted({int(row["exampleId"]) for row in rows})
        assert accepted < len(examples) <= accepted + 2
        assert examples == list(range(len(examples)))
        assert len(rows) == 2 * len(examples)
        assert all(row["traceId"] and row["spanId"] for row in rows)
        with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
            run_id = client.get_eval_run(**PLACE, eval_run_id=eval_run)["runId"]
            ledger = client.get_run_details(**PLACE, run_id=run_id)["ledger"]
        assert isinstance(ledger, dict)
        assert (ledger["lines"]["recorded"], ledger["lines"]["missing"]) == (len(examples), 0)


def test_results_outlive_a_server_that_is_killed(server: ServerProgram, tmp_path: Path) -> None:
    """An evaluation goes on without its server, and what it found is there once when the server is back."""
    url, key = server.url, server.key
    script = start_script(
        """
        suite = rd.eval.suite(
            "night", dataset=[{"id": number} for number in range(300)], scorers=["exact"], project="digits",
            endpoint=given["url"], api_key=given["key"], spool_directory=given["spool"], system_metrics=False,
        )
        with suite.run(eval_run_id="outage") as evaluation:
            for number, case in enumerate(evaluation):
                assert evaluation.log_result(case, scores={"exact": True})
                if number == 100:
                    print("going", flush=True)
                    sys.stdin.readline()
            print("done", flush=True)
            sys.stdin.readline()
            assert evaluation.flush(60)
        """,
        url=url,
        key=key,
        spool=str(tmp_path / "spool"),
    )
    with script:
        assert script.stdout is not None
        assert script.stdin is not None
        assert script.stdout.readline() == "going\n"
        server.kill()
        script.stdin.write("\n")
        script.stdin.flush()
        assert script.stdout.readline() == "done\n"
        server.start()
        _, errors = script.communicate("\n", 80)
    assert script.returncode == 0, errors

    rows = stored(server, "outage")
    assert sorted(int(row["exampleId"]) for row in rows) == list(range(300))
