"""The smoke test that a user runs against their own server."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.support.program import ServerProgram

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SMOKE = ROOT / "user_tests" / "cli_operational_parity_smoke.py"


def _smoke(url: str, key: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, str(SMOKE), "--workspace", "default-workspace", "--project", "smoke"],
        env=os.environ | {"RUNDIAL_API_KEY": key, "RUNDIAL_ENDPOINT": url},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.stderr == ""
    assert key not in done.stdout
    return done.returncode, done.stdout.splitlines()


def test_every_operational_command_passes_against_a_live_server(server: ServerProgram) -> None:
    """One script tells whether a server and this installation go together."""
    status, lines = _smoke(server.url, server.key)

    assert (status, [line for line in lines if line.startswith("FAIL")]) == (0, [])
    assert len([line for line in lines if line.startswith("PASS")]) == 14


def test_failure_is_said_of_each_command(server: ServerProgram) -> None:
    """With a key that nobody knows, every command is named, and the exit status says it."""
    status, lines = _smoke(server.url, "rdk_of_nobody")

    assert status == 1
    assert [line for line in lines if line.startswith("PASS")] == []
    assert len([line for line in lines if line.startswith("FAIL")]) == 14
