"""Programs that record through a client and end in every way."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from rundial.api.adopt import sync
from rundial.api.client import Client
from tests.support.program import ServerProgram
from tests.support.scripts import run_script, start_script
from tests.support.stored import Stored, read

PROJECT = "clients"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]


@pytest.fixture
def given(server: ServerProgram, tmp_path: Path) -> dict[str, Any]:
    """What a script needs: where the server is, a run that was announced, and a spool."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        project_id = client.resolve_run_target(project=PROJECT)["projectId"]
        client.announce_run(project_id=project_id, run_id="shared")
    return {
        "url": server.url,
        "key": server.key,
        "project_id": project_id,
        "spool": str(tmp_path / "spool"),
    }


def stored(server: ServerProgram, run_id: str = "shared") -> Stored:
    """Read a run back."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        return read(client, PROJECT, run_id)


LOGGING = """
    client = rd.Client(given["url"], api_key=given["key"], spool_directory=given["spool"])
    place = {"project_id": given["project_id"], "run_id": "shared"}
    for step in range(200):
        assert client.log_metric(**place, metric_key="x", step=step, value=step)
    assert client.log_text(**place, message="done")
"""


@pytest.mark.parametrize("end", ["", "    sys.exit(3)", "    raise ValueError('diverged')"])
def test_a_program_that_closes_no_client_loses_nothing_and_ends_no_run(
    server: ServerProgram, given: dict[str, Any], end: str
) -> None:
    """However a program ends, what it logged into another's run arrives, and that run goes on."""
    done = run_script(LOGGING + end, **given)

    found = stored(server)
    assert done.status == (0 if not end else 3 if "exit" in end else 1)
    assert sorted(found.points) == [("x", step, float(step)) for step in range(200)]
    assert (found.lines, found.details["status"]) == (["done"], "running")
    assert list(Path(given["spool"]).rglob("*.seg")) == []


def test_sigterm_ends_a_program_and_not_the_run_that_it_joined(
    server: ServerProgram, given: dict[str, Any]
) -> None:
    """A worker that is told to leave delivers what it has; the run is its starter's."""
    script = start_script(LOGGING + "    print('ready', flush=True)\n    sys.stdin.read()", **given)
    with script:
        assert script.stdout is not None
        assert script.stdout.readline() == "ready\n"
        script.send_signal(signal.SIGTERM)
        script.communicate(timeout=40)

    found = stored(server)
    assert (len(found.points), found.details["status"]) == (200, "running")


def test_a_killed_program_loses_nothing_that_it_logged_through_a_client(
    server: ServerProgram, given: dict[str, Any]
) -> None:
    """A kill right after the last call costs nothing: `rundial sync` delivers into the right project."""
    script = start_script(LOGGING + "    import os; os.kill(os.getpid(), 9)", **given)
    with script:
        script.communicate(timeout=40)
    assert script.returncode == -9
    report = sync([Path(given["spool"])], endpoint=server.url, api_key=server.key)
    assert [result.why for result in report.results] == [""]

    found = stored(server)
    assert sorted(found.points) == [("x", step, float(step)) for step in range(200)]
    assert found.lines == ["done"]


FORKING = """
    import os
    client = rd.Client(given["url"], api_key=given["key"], spool_directory=given["spool"])
    place = {"project_id": given["project_id"], "run_id": "shared"}
    assert client.log_metric(**place, metric_key="parent", step=0, value=0)
    for number in range(4):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                ok = client.whoami()["authenticated"]
                ok &= client.log_metric(**place, metric_key="child", step=number, value=number)
                ok &= client.log_metric(
                    project_id=given["project_id"], run_id="other", metric_key="o", step=number, value=1
                )
                status = 0 if ok and client.close(20) else 2
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert client.whoami()["authenticated"]
    assert client.log_metric(**place, metric_key="parent", step=1, value=1)
    assert client.close(20)
"""


def test_forked_children_record_through_the_client_of_their_parent(
    server: ServerProgram, given: dict[str, Any]
) -> None:
    """A client that is there when a process forks works in both, each with connections of its own."""
    done = run_script(FORKING, **given)
    assert (done.status, done.stderr) == (0, "")

    found = stored(server)
    assert sorted(found.points) == [
        *(("child", number, float(number)) for number in range(4)),
        ("parent", 0, 0.0),
        ("parent", 1, 1.0),
    ]
    assert len(stored(server, "other").points) == 4
