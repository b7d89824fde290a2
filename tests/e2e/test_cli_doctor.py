"""`rundial doctor`, against a real server."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.account import Account

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def test_doctor_finds_nothing_wrong_where_all_is_well(account: Account) -> None:
    """Every check is there, each with its name."""
    done = account.rundial("doctor", *(), "--json")

    assert done.status == 0, done.stdout
    names = {each["name"] for each in done.found["checks"]}
    assert {
        "health_ready",
        "capabilities",
        "auth",
        "secret_store",
        "clock",
        "spool",
        "ring",
        "versions",
    } <= names
    assert all(each["ok"] for each in done.found["checks"])


@pytest.mark.parametrize(
    ("variables", "name", "words"),
    [
        ({"RUNDIAL_ENDPOINT": "http://127.0.0.1:9"}, "health_ready", "rundial server"),
        ({"RUNDIAL_API_KEY": "rdk_wrong"}, "auth", "rundial auth login"),
        ({"RUNDIAL_WORKSPACE": "nowhere"}, "target", "rundial target use"),
        ({"OTEL_SDK_DISABLED": "true"}, "conflicts", "unset"),
        ({"RUNDIAL_SPOOL_DIR": "/proc/spool"}, "spool", "RUNDIAL_SPOOL_DIR"),
    ],
)
def test_doctor_names_what_is_wrong_and_what_to_type(
    account: Account, variables: dict[str, str], name: str, words: str
) -> None:
    """A person who knows nothing gets on with what is printed."""
    done = account.rundial("doctor", "--json", **variables)
    wrong = [each for each in done.found["checks"] if not each["ok"]]

    assert done.status == (2 if name == "auth" else 1)
    assert name in {each["name"] for each in wrong}
    (found,) = [each for each in wrong if each["name"] == name]
    assert words in found["next"]


def test_doctor_sees_what_a_killed_process_left(account: Account) -> None:
    """Orphans are counted, and the command that delivers them is named."""
    script = (
        "import os, signal, rundial as rd\n"
        "run = rd.init(project='digits', mode='offline')\n"
        "for step in range(100): run.log({'x': float(step)}, step=step)\n"
        "run.flush(5)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert done.returncode == -signal.SIGKILL, done.stderr
    before = sorted(str(path) for path in Path(".rundial_spool").rglob("*"))
    told = account.rundial("doctor", "--offline", "--json")

    (found,) = [each for each in told.found["checks"] if each["name"] == "spool_waiting"]
    assert told.status == 1
    assert "1 left behind" in found["detail"]
    assert " 0 B" not in found["detail"]
    assert found["next"].startswith("rundial sync")
    assert sorted(str(path) for path in Path(".rundial_spool").rglob("*")) == before
    assert told.found["ok"] is False
