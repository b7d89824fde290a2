"""Resuming runs against a real server: online, offline, unreachable, and found out at sync."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.program import ServerProgram
from tests.support.scripts import run_script
from tests.support.server import fresh_id
from tests.support.shell import Done, rundial
from tests.support.stored import Stored

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

AWAY = "http://127.0.0.1:9"

LOG = """
    run = rd.init(project="digits", **given["init"])
    for value in given.get("values", [1.0]):
        assert run.log({"x": value})
    for step in given.get("steps", []):
        assert run.log({"x": float(step)}, step=step)
    if given.get("leave"):
        import os, signal
        assert run.flush(10)
        os.kill(os.getpid(), signal.SIGKILL)
    print(json.dumps({"finished": run.finish(20, status=given.get("status", "completed"))}))
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProgram]:
    """One server for the module; each test has runs of its own."""
    with ServerProgram(tmp_path_factory.mktemp("server") / "data") as program:
        yield program


class Account:
    """What one test does against the server.

    Attributes:
        run_id: The run that it is about.
        spool: Its spool directory.
    """

    def __init__(self, server: ServerProgram, spool: Path) -> None:
        self._server = server
        self.spool = spool
        self.run_id = fresh_id()

    def log(self, resume: str, *, mode: str = "online", spool: Path | None = None, **more: Any) -> Done:
        """Run a program that logs into the run."""
        init = {
            "run_id": self.run_id,
            "resume": resume,
            "mode": mode,
            "endpoint": more.pop("endpoint", self._server.url),
            "api_key": self._server.key,
            "spool_directory": str(spool or self.spool),
        }
        return run_script(LOG, init=init, **more)

    def sync(self, *directories: Path) -> Done:
        """Run `rundial sync --json`."""
        places = [str(each) for each in directories or (self.spool,)]
        environ = {"RUNDIAL_API_KEY": self._server.key, "RUNDIAL_ENDPOINT": self._server.url}
        return rundial("sync", *places, "--json", **environ)

    def stored(self) -> Stored:
        """What the server has."""
        from rundial.api.client import Client
        from tests.support.stored import read

        with Client(self._server.url, api_key=self._server.key) as client:
            return read(client, "digits", self.run_id)

    def has_run(self) -> bool:
        """Whether the server knows the run."""
        path = "/api/v1/workspaces/default-workspace/projects/digits/runs/query"
        return bool(self._server.rows(f"{path}?search={self.run_id}", "runs"))


@pytest.fixture
def account(shared: ServerProgram, tmp_path: Path) -> Account:
    """A run's account."""
    return Account(shared, tmp_path / "spool")


def steps_of(found: Stored) -> list[int]:
    """Every stored step of `x`, sorted."""
    return sorted(step for name, step, _ in found.points if name == "x")


def conflicts(done: Done) -> list[str]:
    """What a sync said of conflicts."""
    return [each["conflict"] for each in done.found["directories"]]


def test_never_makes_init_raise_for_an_id_that_exists(account: Account) -> None:
    """The program stops before it trains, and is told what to do; the run stays as it is."""
    assert account.log("never").status == 0
    again = account.log("never")

    assert again.status == 1
    assert "RundialRequestError" in again.stderr
    assert "exists already" in again.stderr
    assert 'resume="allow"' in again.stderr
    assert len(account.stored().points) == 1


def test_allow_goes_on_after_a_crash(account: Account) -> None:
    """A run that was killed is continued as its next attempt, behind its last step."""
    killed = account.log("allow", values=[1.0, 2.0, 3.0], leave=True)
    assert killed.status == -9
    assert account.log("allow", values=[4.0, 5.0]).status == 0

    found = account.stored()
    assert steps_of(found) == [0, 1, 2, 3, 4]
    assert (found.details["status"], found.details["attempt"]) == ("completed", 2)


def test_allow_makes_init_raise_for_a_run_that_has_ended(account: Account) -> None:
    """An ended run stays as it is."""
    assert account.log("never", status="failed").status == 0
    again = account.log("allow")

    assert again.status == 1
    assert 'resume="must"' in again.stderr
    details = account.stored().details
    assert (details["status"], details["attempt"]) == ("failed", 1)


def test_must_opens_an_ended_run_again(account: Account) -> None:
    """A run that was ended too early goes on, and ends as its last attempt ends."""
    assert account.log("never", steps=[100], status="failed").status == 0
    assert account.log("must").status == 0

    found = account.stored()
    assert steps_of(found) == [0, 100, 101]
    assert (found.details["status"], found.details["attempt"]) == ("completed", 2)


def test_must_makes_init_raise_for_a_run_that_is_missing_or_not_confirmed(account: Account) -> None:
    """A typing mistake makes no new run, and an unreachable server confirms nothing."""
    missing = account.log("must")
    unreachable = account.log("must", endpoint=AWAY)

    assert (missing.status, unreachable.status) == (1, 1)
    assert "no run" in missing.stderr
    assert "could not be confirmed" in unreachable.stderr
    assert not account.has_run()


def test_late_and_out_of_order_steps_are_kept(account: Account) -> None:
    """A program that went back to a checkpoint loses no point."""
    assert account.log("never", steps=[10, 5, 5, 7], values=[]).status == 0
    assert account.log("must", steps=[6], values=[]).status == 0

    assert steps_of(account.stored()) == [5, 5, 6, 7, 10]


def test_offline_attempts_of_a_run_merge_at_sync(account: Account, tmp_path: Path) -> None:
    """Attempts that were made offline, on two machines, are one run once they are synced."""
    other = tmp_path / "other"
    assert account.log("allow", mode="offline", values=[1.0, 2.0], leave=True).status == -9
    assert account.log("allow", mode="offline", values=[3.0]).status == 0
    assert account.log("allow", mode="offline", steps=[50], values=[], spool=other, leave=True).status == -9

    done = account.sync(account.spool, other)

    found = account.stored()
    assert done.status in (0, 1), done.stderr
    assert steps_of(found) == [0, 1, 2, 50]
    assert sorted(each["attempt"] for each in found.details["instances"]) == [1, 2, 3]
    assert not [path for path in (account.spool, other) if any(path.rglob("*.seg"))]


def test_offline_run_comes_online_as_the_same_run(account: Account) -> None:
    """What was recorded offline first and resumed online later is one curve."""
    assert account.log("never", mode="offline", values=[1.0, 2.0]).status == 0
    assert account.sync().status == 0
    assert account.log("must", values=[3.0]).status == 0

    assert steps_of(account.stored()) == [0, 1, 2]


def test_conflict_found_at_sync_keeps_the_data_and_is_told(account: Account, tmp_path: Path) -> None:
    """Two machines that both made a new run of one id: nothing is lost, and sync says so."""
    assert account.log("never", values=[1.0, 2.0]).status == 0
    assert account.log("never", mode="offline", spool=tmp_path / "other", values=[5.0]).status == 0

    done = account.sync(tmp_path / "other")
    again = account.sync(tmp_path / "other")

    assert done.status == 1
    (conflict,) = conflicts(done)
    assert "existed already" in conflict
    assert "kept as attempt 2" in conflict
    assert (again.status, again.found["directories"]) == (0, [])
    assert [value for _, _, value in account.stored().points] == [1.0, 5.0, 2.0]


def test_conflict_found_by_a_run_that_goes_on_is_told(account: Account, shared: ServerProgram) -> None:
    """A server that could not be asked at the start tells the conflict when it answers."""
    script = """
        run = rd.init(project="digits", **given["init"])
        run.log({"x": 1.0})
        print("started", flush=True)
        sys.stdin.readline()
        print(json.dumps({"finished": run.finish(30)}))
    """
    from tests.support.scripts import end_of, start_script

    assert account.log("never").status == 0
    shared.stop()
    init = {
        "run_id": account.run_id,
        "endpoint": shared.url,
        "api_key": shared.key,
        "spool_directory": str(account.spool),
        "init_timeout_seconds": 1,
    }
    program = start_script(script, init=init)
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "started\n"
    finally:
        shared.start()
        done = end_of(program)

    assert json.loads(done.stdout.splitlines()[-1]) == {"finished": True}
    assert "announced when the server answers" in done.stderr
    assert "existed already; its data is kept as attempt 2" in done.stderr
    assert account.stored().details["attempt"] == 2


def test_attempt_that_is_synced_late_does_not_overwrite_a_newer_curve(account: Account) -> None:
    """The old attempt's points are kept, and the newer attempt's are shown."""
    assert account.log("allow", mode="offline", values=[1.0]).status == 0
    assert account.log("must", mode="offline", values=[], steps=[0]).status == 0
    first, second = sorted(
        (path for path in (account.spool / account.run_id).iterdir()),
        key=lambda path: json.loads((path / "meta.json").read_text())["attempt"],
    )
    aside = first.rename(account.spool / "aside")
    assert account.sync().status == 0
    (account.spool / account.run_id).mkdir(exist_ok=True)
    aside.rename(first)
    assert account.sync().status == 0

    from rundial.api.client import Client

    with Client(account._server.url, api_key=account._server.key) as client:
        project = client.resolve_project_id(workspace_slug="default-workspace", project_slug="digits")
        found = client.query_series(project_id=project, run_id=account.run_id, metric_keys=["x"])
    assert [point["value"] for point in found["series"][0]["points"]] == [0.0]
    assert len(account.stored().points) == 2
    assert second != first
