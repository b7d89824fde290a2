#!/usr/bin/env python3
"""Run every operational command against a live server and say of each whether it passed.

    RUNDIAL_API_KEY=... python user_tests/cli_operational_parity_smoke.py --workspace NAME --project NAME

The key needs `metrics:write`, `logs:write` and `project:read` in the project. A run is started, recorded
into, read back and finished; it stays there, named `cli-parity-smoke`. Nothing of this account is
changed: the commands have a configuration directory of their own. Exit status 1 when a command failed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0
STEPS = 20
LINE = "a line of the smoke test"
RECORD = """
import os, sys, rundial
run = rundial.init(
    workspace=sys.argv[1], project=sys.argv[2], run_id=sys.argv[3], resume="allow",
    endpoint=os.environ["RUNDIAL_ENDPOINT"], system_metrics=False, spool_directory=sys.argv[4],
)
for step in range(int(sys.argv[5])):
    run.log({"smoke/value": step / 3}, step=step)
run.log_text(sys.argv[6])
sys.exit(0 if run.flush(30) and run.leave(5) is not False else 1)
"""


class Wrong(Exception):
    """A command did something else than it should; the text says what."""


class Smoke:
    """The commands, in the order in which a person would use them.

    Args:
        workspace: Slug.
        project: Slug.
        place: A directory of its own.
        endpoint: The server; None is what the environment or the default says.
    """

    def __init__(self, workspace: str, project: str, place: Path, endpoint: str | None) -> None:
        self._target = ("--workspace", workspace, "--project", project)
        self._workspace, self._project, self._place = workspace, project, place
        self._environment = {**os.environ, "XDG_CONFIG_HOME": str(place / "config")}
        if endpoint:
            self._environment["RUNDIAL_ENDPOINT"] = endpoint
        self._environment.setdefault("RUNDIAL_ENDPOINT", "http://127.0.0.1:8787")
        self._run_id = ""

    def checks(self) -> list[tuple[str, Callable[[], None]]]:
        """Return each command's name and its check."""
        return [
            ("auth whoami", self._whoami),
            ("workspace ls", self._workspaces),
            ("project ls", self._projects),
            ("target ls", self._targets),
            ("run start", self._start),
            ("(recording into the run)", self._record),
            ("run list", self._list),
            ("run status", self._status),
            ("metrics tail", self._metrics_tail),
            ("metrics export", self._metrics_export),
            ("logs tail", self._logs_tail),
            ("logs export", self._logs_export),
            ("run finish", self._finish),
            ("doctor", self._doctor),
        ]

    def _whoami(self) -> None:
        _need(self._command("auth", "whoami")["whoami"].get("authenticated") is True, "not authenticated")

    def _workspaces(self) -> None:
        found = self._command("workspace", "ls")["workspaces"]
        _need(any(row["workspaceSlug"] == self._workspace for row in found), "the workspace is not listed")

    def _projects(self) -> None:
        found = self._command("project", "ls", "--workspace", self._workspace)
        _need(isinstance(found["projects"], list), "no list of projects")

    def _targets(self) -> None:
        found = self._command("target", "ls")
        _need(isinstance(found["targets"], list), "no list of targets")

    def _start(self) -> None:
        found = self._command(
            "run", "start", *self._target, "--name", "cli-parity-smoke", "--kind", "training"
        )["run"]
        self._run_id = found["runId"]
        _need(bool(self._run_id) and found["project"] == self._project, f"unexpected: {found}")

    def _record(self) -> None:
        words = (self._workspace, self._project, self._run_id, str(self._place / "spool"), str(STEPS), LINE)
        done = subprocess.run(
            [sys.executable, "-c", RECORD, *words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        _need(done.returncode == 0, f"exit status {done.returncode}: {done.stderr.strip()[-300:]}")

    def _list(self) -> None:
        runs = self._command("run", "list", *self._target, "--limit", "100")["result"]["runs"]
        _need(self._run_id in {row["runId"] for row in runs}, "the run is not listed")

    def _status(self) -> None:
        found = self._command("run", "status", self._need_run(), *self._target)["run"]
        _need(found["status"] == "running", f"its status is {found['status']}")
        _need(found["counts"]["points"] >= STEPS, f"{found['counts']['points']} points are stored")

    def _metrics_tail(self) -> None:
        args = ("metrics", "tail", self._need_run(), *self._target, "--keys", "smoke/value", "--points", "3")
        (series,) = self._command(*args)["series"]
        values = [point["value"] for point in series["points"]]
        _need(values == [step / 3 for step in range(STEPS - 3, STEPS)], f"unexpected: {values}")

    def _metrics_export(self) -> None:
        out = self._place / "metrics.csv"
        args = (
            "metrics",
            "export",
            self._need_run(),
            *self._target,
            "--keys",
            "smoke/value",
            "--format",
            "csv",
        )
        self._command(*args, "--out", str(out))
        with out.open(newline="") as file:
            rows = list(csv.DictReader(file))
        found = [float(row["value"]) for row in rows]
        _need(found == [step / 3 for step in range(STEPS)], f"unexpected: {found}")

    def _logs_tail(self) -> None:
        found = self._command("logs", "tail", self._need_run(), *self._target)["logs"]
        _need(LINE in {row["message"] for row in found}, "the line is missing")

    def _logs_export(self) -> None:
        out = self._place / "logs.json"
        self._command("logs", "export", self._need_run(), *self._target, "--out", str(out))
        found = json.loads(out.read_text())["rows"]
        _need(LINE in {row["message"] for row in found}, "the line is missing")

    def _finish(self) -> None:
        found = self._command("run", "finish", self._need_run(), *self._target, "--state", "completed")["run"]
        _need(found["status"] == "completed", f"its status is {found['status']}")

    def _doctor(self) -> None:
        checks = self._command("doctor")["checks"]
        wrong = [each["name"] for each in checks if not each["ok"]]
        _need(not wrong, f"failed: {', '.join(wrong)}")

    def _need_run(self) -> str:
        _need(bool(self._run_id), "there is no run: `run start` failed")
        return self._run_id

    def _command(self, *args: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "rundial", *args, "--json", "--non-interactive"],
            env=self._environment,
            cwd=self._place,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        _need(
            done.returncode == 0,
            f"exit status {done.returncode}: {(done.stderr or done.stdout).strip()[:300]}",
        )
        found = json.loads(done.stdout)
        _need(isinstance(found, dict) and found.get("ok") is True, f"unexpected: {done.stdout[:200]}")
        return dict(found)


def main() -> int:
    """Run; return the exit status."""
    parser = argparse.ArgumentParser(description="Try every operational command against a live server.")
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--project", required=True)
    parser.add_argument("--endpoint", help="the server; RUNDIAL_ENDPOINT, else http://127.0.0.1:8787")
    arguments = parser.parse_args()
    if not os.environ.get("RUNDIAL_API_KEY", "").strip():
        parser.error("set RUNDIAL_API_KEY to a key of the server")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="rundial-smoke-") as place:
        smoke = Smoke(arguments.workspace, arguments.project, Path(place), arguments.endpoint)
        checks = smoke.checks()
        for name, check in checks:
            why = _tried(check)
            failed += why is not None
            sys.stdout.write(f"PASS  {name}\n" if why is None else f"FAIL  {name}: {why}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(checks) - failed} of {len(checks)} passed\n")
    return 1 if failed else 0


def _tried(check: Callable[[], None]) -> str | None:
    """Return why a check failed, None when it passed."""
    try:
        check()
    except Wrong as error:
        return str(error)
    except (OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _need(is_right: bool, why: str) -> None:
    if not is_right:
        raise Wrong(why)


if __name__ == "__main__":
    raise SystemExit(main())
