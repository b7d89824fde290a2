"""Runs in a notebook: what a cell shows, and what restarting, closing and killing the kernel leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rundial.api.client import Client
from tests.support import recorded, stored
from tests.support.notebook import Notebook
from tests.support.program import ServerProgram
from tests.support.scripts import run_script
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

BEGIN = "import rundial as rd; run = rd.init(project='digits', run_id={run_id!r}, {options})"
DEADLINE_S = 30


def begin(notebook: Notebook, run_id: str, **options: object) -> None:
    """Start a run in a cell and log to it in two others."""
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    assert "error" not in notebook.run(BEGIN.format(run_id=run_id, options=given))
    for step in range(2):
        assert "error" not in notebook.run(f"run.log({{'loss': 1.0}}, step={step});")


def ends(spool: Path) -> list[Any]:
    """How each run on disk ended."""
    events = recorded.read(spool).events
    return [event.body["status"] for event in events if event.event_name == "rundial.run.finish"]


def test_a_cell_that_ends_with_a_run_shows_its_card(spool_dir: Path) -> None:
    """A run is shown with its name and status, in the notebook's own way."""
    with Notebook() as notebook:
        begin(notebook, "run-1", mode="offline", spool_directory=str(spool_dir), name="<night>")
        shown = notebook.run("run")

    assert "&lt;night&gt;" in shown["text/html"]
    assert "running" in shown["text/html"]


def test_closing_a_notebook_completes_its_run_whatever_a_cell_has_raised(spool_dir: Path) -> None:
    """A typing mistake in an earlier cell does not make the run a failed one."""
    with Notebook() as notebook:
        begin(notebook, "run-1", mode="offline", spool_directory=str(spool_dir))
        assert "ZeroDivisionError" in notebook.run("1 / 0")["error"]
        notebook.shut_down()

    assert ends(spool_dir) == ["completed"]
    assert recorded.read(spool_dir).values("loss") == [1.0, 1.0]


def test_restarting_a_kernel_ends_its_run_and_delivers_it(server: ServerProgram) -> None:
    """The restart button loses nothing: the old run is whole on the server, and a new one starts."""
    with Notebook() as notebook:
        begin(notebook, "before")
        notebook.restart()
        begin(notebook, "after")
        assert notebook.run("run.finish(20)")["text/plain"] == "True"

    with Client(server.url, api_key=server.key) as client:
        found = [stored.read(client, "digits", run_id) for run_id in ("before", "after")]
    assert [each.details["status"] for each in found] == ["completed", "completed"]
    assert [len([name for name, _, _ in each.points if name == "loss"]) for each in found] == [2, 2]
    assert all(each.details["ledger"]["complete"] for each in found)


@pytest.mark.fault
def test_a_killed_kernels_run_is_delivered_by_the_next_one(server: ServerProgram) -> None:
    """A kernel that is killed, as for want of memory, loses nothing that a cell had logged."""
    with Notebook() as notebook, Client(server.url, api_key=server.key) as client:
        begin(notebook, "killed")
        notebook.kill()
        begin(notebook, "after")

        def has_arrived() -> bool:
            points = stored.read(client, "digits", "killed").points
            return len([name for name, _, _ in points if name == "loss"]) == 2

        wait_until(has_arrived, DEADLINE_S)


THREADED = """
import signal, threading
before = signal.getsignal(signal.SIGTERM)
made = []
def work():
    made.append(rd.init(project="digits", mode="offline", **given))
thread = threading.Thread(target=work)
thread.start(); thread.join()
assert signal.getsignal(signal.SIGTERM) is before, "a thread cannot set a handler, and none is there"
assert made[0].log({"loss": 1.0})
second = rd.init(project="digits", mode="offline", **given)
assert signal.getsignal(signal.SIGTERM) is not before
assert second.log({"loss": 2.0})
"""


def test_run_that_a_thread_starts_sets_no_handler_and_ends_in_order(spool_dir: Path) -> None:
    """A run may be started anywhere; the first one of the main thread sees to SIGTERM."""
    done = run_script(THREADED, spool_directory=str(spool_dir))

    assert done.status == 0, done.stderr
    assert ends(spool_dir) == ["completed", "completed"]
