"""Two users of one machine and one spool directory: neither reads, adopts or breaks what is the other's."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rundial.api.client import Client
from tests.support.program import ServerProgram
from tests.support.scripts import run_script
from tests.support.stored import Stored, read

PROJECT = "users"
FIRST, SECOND = 54321, 54322

pytestmark = pytest.mark.fault

PROGRAM = """
    import os, signal, traceback
    from pathlib import Path
    from rundial.api import adopt, leaving, session
    options, root = given["options"], Path(given["options"]["spool_directory"])
    # Loads all that a run and a sync need while the interpreter's own files can still be read.
    mine = {**options, "spool_directory": given["elsewhere"]}
    rd.init(**mine, run_id="loads").finish(20)
    adopt.sync([Path(given["elsewhere"])], endpoint=options["endpoint"], api_key=options["api_key"])
    os.umask(0)

    def as_user(user, work):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
                # A home that holds nothing: this process's own is another user's.
                os.environ["HOME"] = os.environ["XDG_CONFIG_HOME"] = "/nonexistent"
                os.write(writer, json.dumps(work()).encode())
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(writer)
        _, status = os.waitpid(child, 0)
        with os.fdopen(reader) as answer:
            return status, answer.read()

    def log_and_die():
        run = rd.init(**options, run_id="first")
        for step in range(100):
            assert run.log({"x": float(step)}, step=step)
        os.kill(os.getpid(), signal.SIGKILL)

    def look_around():
        refused = 0
        for path in given["files"]:
            try:
                open(path, "rb").close()
            except PermissionError:
                refused += 1
        run = rd.init(**options, run_id="second")
        for step in range(100):
            assert run.log({"x": float(step)}, step=step)
        assert run.finish(20)
        leaving.at_exit(session._SESSION)
        return [refused, send()]

    def send():
        report = adopt.sync([root], endpoint=options["endpoint"], api_key=options["api_key"])
        return [[result.run_id, result.why] for result in report.results]

    def files():
        return sorted(str(path) for path in root.rglob("*") if path.is_file())

    first = as_user(given["first"], log_and_die)[0]
    given["files"] = files()
    modes = {oct(path.stat().st_mode & 0o7777) for path in root.rglob("*") if path.is_file()}
    folders = {oct(path.stat().st_mode & 0o7777) for path in root.rglob("*") if path.is_dir()}
    second = as_user(given["second"], look_around)
    kept = [given["files"], files()]
    again = as_user(given["first"], send)
    print(json.dumps({"first": first, "second": second, "again": again, "modes": sorted(modes),
                      "folders": sorted(folders), "seen": len(given["files"]), "kept": kept,
                      "left": files()}))
"""


def stored(server: ServerProgram, run_id: str) -> Stored:
    """Read a run back."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        return read(client, PROJECT, run_id)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two other users")
def test_what_one_user_left_is_not_touched_by_another(server: ServerProgram, tmp_path: Path) -> None:
    """A killed run of one user waits, unread and whole, while another records and syncs beside it."""
    # Below a path that anyone may walk, as /tmp is; the test's own folder is root's.
    for each in (tmp_path, *tmp_path.parents):
        if each.owner() == "root" and str(each).startswith("/tmp/"):
            each.chmod(0o711)
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    options: dict[str, Any] = {
        "project": PROJECT,
        "mode": "offline",
        "endpoint": server.url,
        "api_key": server.key,
        "spool_directory": str(shared),
        "ring_bytes": 1 << 20,
    }
    elsewhere = str(tmp_path / "elsewhere")
    done = run_script(PROGRAM, options=options, elsewhere=elsewhere, first=FIRST, second=SECOND)
    assert done.status == 0, done.stderr
    found = done.found

    assert found["first"] == 9, done.stderr
    assert found["modes"] == ["0o600"]
    assert found["folders"] == ["0o700"]
    status, answer = found["second"]
    assert status == 0, done.stderr
    assert json.loads(answer) == [found["seen"], [["second", ""]]]
    before, kept_files = found["kept"]
    assert kept_files == before
    status, answer = found["again"]
    assert status == 0, done.stderr
    assert json.loads(answer) == [["first", ""]]
    assert found["left"] == []
    for run_id in ("first", "second"):
        kept = stored(server, run_id)
        assert [step for _, step, _ in kept.points] == list(range(100))
        assert kept.details["ledger"]["complete"], kept.details["ledger"]
