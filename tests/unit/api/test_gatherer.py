"""A run's environment: told once, on a thread, without secrets, and never in the way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rundial.api.gatherer import Gatherer
from rundial.api.run import Run
from tests.support import recorded
from tests.support.scripts import run_script

Start = Callable[..., Run]

SCRIPT = """
    run = rd.init(project="digits", mode="offline", spool_directory=given["spool"], capture_diff=True,
                  config={"lr": 0.1, "api_key": "do-not-send-1", "url": "https://me:do-not-send-2@host"})
    run.log({"x": 1})
    assert len(run.config["api_key"]) == 13
    run.finish()
"""


def environments(directory: Path) -> list[Mapping[str, Any]]:
    """What was told, of each run on disk."""
    return [
        event.body
        for event in recorded.read(directory).events
        if event.event_name == "rundial.run.environment"
    ]


def test_run_tells_its_environment_once(start: Start, spool_dir: Path, home: Path) -> None:
    """Command line, directory, Python, host and packages are there from the start, once."""
    run = start()
    run.finish(10)
    (found,) = environments(spool_dir)

    assert found["cwd"] == str(home / "work")
    assert found["command"][0] == sys.orig_argv[0]
    assert found["python"]["version"] == sys.version.split()[0]
    assert found["host"]["cpus"] == os.cpu_count()
    assert "pytest" in found["packages"]
    assert set(found) >= {"variables", "git", "program"}


def test_runs_of_one_program_look_once(
    start: Start, spool_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program of many short runs tells each one's environment, and does not look again for each."""
    for _ in range(3):
        start().finish(10)
    monkeypatch.chdir("/")
    start().finish(10)

    found = environments(spool_dir)
    assert len(found) == 4
    assert sorted(each["cwd"] == "/" for each in found) == [False, False, False, True]
    assert all(each["packages"] for each in found)


def test_runs_after_the_first_start_no_thread() -> None:
    """What was found is told at once; a difference that was not gathered is."""
    told: list[Mapping[str, Any]] = []
    first, second, third = (Gatherer(told.append, with_diff=which) for which in (False, False, True))
    first.start()
    first.close(30)
    for thread in threading.enumerate():
        if thread.name == "rundial-environment":
            thread.join(15)
    second.start(first)
    assert len(told) == 2
    assert told[1]["packages"]
    third.start(second)
    third.close(30)

    assert len(told) == 3


def test_environment_is_not_gathered_when_switched_off(start: Start, spool_dir: Path) -> None:
    """Who wants none of it sends none of it, and other ranks never do."""
    start(capture_environment=False).finish(10)
    start(run_id="shared", distributed="all", distributed_rank=3).finish(10)

    assert environments(spool_dir) == []


def test_no_secret_of_config_or_command_line_leaves(tmp_path: Path, spool_dir: Path, home: Path) -> None:
    """A script's secrets are in nothing that it has put on disk to be sent; its own config keeps them."""
    work = home / "work"
    subprocess.run(["git", "init", "-q"], cwd=work, check=True)
    (work / "settings.py").write_text("PASSWORD = 'old'\n")
    subprocess.run(["git", "add", "."], cwd=work, check=True)
    name = ["-c", "user.name=t", "-c", "user.email=t@e"]
    subprocess.run(["git", *name, "commit", "-qm", "x"], cwd=work, check=True)
    (work / "settings.py").write_text("PASSWORD = 'do-not-send-3'\n")
    done = run_script(SCRIPT, spool=str(spool_dir))
    (found,) = environments(spool_dir)

    assert done.status == 0, done.stderr
    assert found["git"]["dirty"] is True
    assert "+PASSWORD = '[redacted]'" in found["diff"]["text"]
    told = str(recorded.read(spool_dir).events)
    assert "do-not-send" not in told
    assert "'lr': 0.1" in told


@pytest.mark.fault
def test_close_tells_what_there_is_and_nothing_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends while git still hangs tells the rest of its environment, once, and goes."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "git").write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", None, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    told: list[Mapping[str, Any]] = []
    gatherer = Gatherer(told.append, with_diff=True)
    gatherer.start()
    gatherer.close(4.0)

    assert len(told) == 1
    assert "python" in told[0]
    assert "git" not in told[0]
    for thread in threading.enumerate():
        if thread.name == "rundial-environment":
            thread.join(15)
    assert len(told) == 1


def test_forked_child_tells_nothing(start: Start, spool_dir: Path) -> None:
    """The environment is the run's, and its children do not repeat it."""
    done = run_script(
        """
    import os
    run = rd.init(project="digits", mode="offline", spool_directory=given["spool"])
    pid = os.fork()
    if pid == 0:
        run.log({"x": 1})
        os._exit(0 if run.finish(20) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    run.finish()
        """,
        spool=str(spool_dir),
    )

    assert done.status == 0, done.stderr
    assert len(environments(spool_dir)) == 1
