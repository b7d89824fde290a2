"""`rundial artifact` at a terminal: a bar while bytes move, and nothing of it in a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.program import ServerProgram

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]


def on_a_terminal(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run a command whose stderr is a terminal; returns its status, its stdout and what the terminal got."""
    ours, theirs = pty.openpty()
    given = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", **environment}
    command = [sys.executable, "-m", "rundial", "artifact", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True, env=given) as child:
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 65_536)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not piece:
                break
            seen += piece
        out, _ = child.communicate(timeout=30)
    os.close(ours)
    return child.returncode, out, seen.decode()


def test_a_person_sees_a_bar_and_a_pipe_sees_the_result_alone(server: ServerProgram, tmp_path: Path) -> None:
    """Uploading and downloading show how far they are, on stderr, and only where it is a terminal."""
    (tmp_path / "model.bin").write_bytes(os.urandom(3 * 2**20))
    where = {
        "RUNDIAL_ENDPOINT": server.url,
        "RUNDIAL_API_KEY": server.key,
        "RUNDIAL_WORKSPACE": "default-workspace",
        "RUNDIAL_PROJECT": "digits",
    }

    put = on_a_terminal("put", str(tmp_path / "model.bin"), **where)
    got = on_a_terminal("get", "model.bin", "--to", str(tmp_path / "back"), **where)
    as_json = on_a_terminal("verify", "model.bin", "--json", **where)

    assert put[:2] == (0, "model.bin:v0 (latest)\n")
    assert "uploading" in put[2]
    assert "MiB/3.0 MiB" in put[2]
    assert got[0] == 0
    assert "downloading" in got[2]
    assert (as_json[0], as_json[2]) == (0, "")
    assert (tmp_path / "back" / "model.bin").read_bytes() == (tmp_path / "model.bin").read_bytes()
