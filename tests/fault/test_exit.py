"""How a program may leave, on each Python that this machine has: nothing that was accepted is lost.

The Pythons that it does not have are named in the summary of every test run.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from rundial.api.adopt import sync
from rundial.api.client import Client
from tests.support.interpreters import FOUND, environment
from tests.support.program import ServerProgram
from tests.support.scripts import PRELUDE
from tests.support.stored import Stored, read

PROJECT = "exit"
TIMEOUT_S = 40

pytestmark = pytest.mark.fault

LOGGING = """
    import os, signal, threading
    from sys import exit
    run = rd.init(**given)
    for step in range(500):
        assert run.log({"x": float(step), "y": -step}, step=step)
    assert run.log_text("line")
    with run.trace("span"):
        pass
"""
# How a program ends; its exit status; the status of its run.
ENDS = {
    "end": ("", 0, "completed"),
    "sys.exit": ("    sys.exit(3)\n", 3, "failed"),
    "SystemExit": ("    raise SystemExit(3)\n", 3, "failed"),
    "caught": ("    try: sys.exit(3)\n    except SystemExit: pass\n", 0, "completed"),
    "function": ("    def work(): raise SystemExit(3)\n    work()\n", 3, "failed"),
    "main": ("    def main(): return 0\n    raise SystemExit(main())\n", 0, "completed"),
    "imported": ("    def work(): exit(3)\n    work()\n", 3, "failed"),
    "imported, 0": ("    def work(): exit(0)\n    work()\n", 0, "completed"),
    "text": ("    def work(): exit('no data')\n    work()\n", 1, "failed"),
    "exception": ("    raise KeyError('mine')\n", 1, "failed"),
    # Pythons differ in how they end then, of a program given by `-c`.
    # Where the tests themselves run in the background, SIGINT is ignored: not so in a program at a terminal.
    "interrupt": (
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    threading.Event().wait(9)\n",
        None,
        "aborted",
    ),
    "SIGTERM": ("    os.kill(os.getpid(), 15)\n    threading.Event().wait(9)\n", 143, "aborted"),
    "thread": ("    threading.Thread(target=run.log, args=({'x': 500.0},)).start()\n", 0, "completed"),
}


def run_id(way: str) -> str:
    """Name the run of one way to leave."""
    return f"run-{way.replace(', ', '-')}"


def stored(server: ServerProgram, run_id: str) -> Stored:
    """Read a run back."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        return read(client, PROJECT, run_id)


@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("version", FOUND)
def test_a_program_that_leaves_without_finish_loses_nothing(
    server: ServerProgram, tmp_path: Path, version: str, mode: str
) -> None:
    """Its end, sys.exit, an exception, Ctrl-C, SIGTERM: all is stored once, and so is how it ended."""
    spool = tmp_path / "spool"
    options: dict[str, Any] = {
        "project": PROJECT,
        "mode": mode,
        "endpoint": server.url,
        "api_key": server.key,
        "spool_directory": str(spool),
        "ring_bytes": 1 << 20,
    }
    for way, (line, status, _) in ENDS.items():
        given = json.dumps({**options, "run_id": run_id(way)})
        done = subprocess.run(
            [FOUND[version], "-c", PRELUDE + dedent(LOGGING + line), given],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            env=environment(),
        )
        assert done.returncode == status or (status is None and done.returncode), done.stderr
        assert "Traceback" not in done.stderr or way in ("exception", "interrupt"), done.stderr
        assert way != "text" or done.stderr.startswith("no data\n")
        assert way != "exception" or "KeyError: 'mine'" in done.stderr
    report = sync([spool], endpoint=server.url, api_key=server.key, timeout_s=30)

    assert [result.why for result in report.results] == [""] * (len(ENDS) if mode == "offline" else 0)
    for way, (_, _, ended) in ENDS.items():
        found = stored(server, run_id(way))
        steps = sorted(step for name, step, _ in found.points if name == "y")
        assert steps == list(range(500))
        assert (found.lines, len(found.spans)) == (["line"], 1)
        assert found.details["status"] == ended, way
        assert found.details["ledger"]["complete"], found.details["ledger"]
    assert [path for path in spool.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("version", FOUND)
def test_forked_children_that_log_and_return_lose_nothing(
    server: ServerProgram, tmp_path: Path, version: str
) -> None:
    """Four processes at once in one spool directory, on each Python: each one's points are stored once."""
    options = {"project": PROJECT, "run_id": "forked", "endpoint": server.url, "api_key": server.key}
    script = """
    import multiprocessing
    run = rd.init(**given)
    def work(number):
        for step in range(200):
            assert run.log({f"x{number}": float(step)}, step=step)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert run.finish(20)
    """
    given = json.dumps({**options, "spool_directory": str(tmp_path / "spool"), "ring_bytes": 1 << 20})
    done = subprocess.run(
        # 3.12 and later warn of a fork beside threads; ours are written for it.
        [FOUND[version], "-W", "ignore::DeprecationWarning", "-c", PRELUDE + dedent(script), given],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    sync([tmp_path / "spool"], endpoint=server.url, api_key=server.key, timeout_s=30)

    found = stored(server, "forked")
    for number in range(4):
        assert sorted(step for name, step, _ in found.points if name == f"x{number}") == list(range(200))
    assert found.details["ledger"]["complete"], found.details["ledger"]
