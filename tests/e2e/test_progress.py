"""Bars: on a person's terminal while something takes long, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.account import Account
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PLACE = ("--workspace", "default-workspace", "--project", "digits")
OFFLINE = """
import rundial as rd
with rd.init(project="digits", mode="offline", system_metrics=False) as run:
    for step in range(1_000):
        run.log({"loss": 1.0}, step=step)
    with open("weights", "w") as file:
        file.write("1" * 100_000)
    run.log_artifact("weights")
"""


@pytest.fixture
def left(account: Account) -> None:
    """What a run without a server has left in the directory of the test."""
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"XDG_CONFIG_HOME": str(account.config)},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("left")
def test_sync_on_a_terminal_shows_how_far_it_is(account: Account) -> None:
    """A person sees that it goes on, with what; the bar is gone once it is done."""
    with Terminal("sync", environment={"XDG_CONFIG_HOME": str(account.config)}) as terminal:
        assert terminal.wait() == 0

    assert "syncing " in terminal.text
    assert "1,001/1,001 run_" in terminal.text
    assert "(1 of 1)" in terminal.text
    assert terminal.text.rpartition("\r\x1b[K")[2].startswith("run_")


@pytest.mark.usefixtures("left")
def test_warning_stands_above_the_bar(account: Account) -> None:
    """What the sender says of a server that is away begins a line of its own."""
    place = {"XDG_CONFIG_HOME": str(account.config), "RUNDIAL_API_KEY": "rdk_x"}
    with Terminal("sync", "--to", "http://127.0.0.1:9", "--timeout", "2", environment=place) as terminal:
        assert terminal.wait() == 1

    warned = [line for line in terminal.text.split("\n") if "no connection" in line and "rundial: " in line]
    assert warned
    assert all(line.rpartition("\r\x1b[K")[2].startswith("rundial: ") for line in warned)


@pytest.mark.usefixtures("left")
@pytest.mark.parametrize(
    ("flags", "noted"), [((), "delivering what ended processes left behind\n"), (("--quiet",), "")]
)
def test_sync_in_a_script_says_one_line_beside_its_result(
    account: Account, flags: tuple[str, ...], noted: str
) -> None:
    """A log of a job is not filled with bars; --quiet says nothing."""
    done = account.rundial("sync", *flags)

    assert (done.status, done.stderr) == (0, noted)
    assert ("delivered 1,000 points" in done.stdout) is (flags == ())


@pytest.mark.usefixtures("left")
def test_sync_as_json_prints_the_object_alone(account: Account) -> None:
    """A program reads stdout, and nothing is on stderr."""
    done = account.rundial("sync", "--json")

    assert (done.status, done.stderr) == (0, "")
    assert done.found["directories"][0]["delivered"] == {
        "points": 1000,
        "lines": 0,
        "spans": 0,
        "artifacts": 1,
    }


@pytest.mark.parametrize(
    ("more", "seen"), [((), "50/50"), (("--keys", "loss"), "\rm.csv 0\x1b[K"), (("--json",), "")]
)
def test_export_counts_also_where_nobody_knows_how_much_there_is(
    account: Account, home: Path, more: tuple[str, ...], seen: str
) -> None:
    """Without the extra `cli` too."""
    out = str(home / "work" / "m.csv")
    args = ("metrics", "export", account.run_id, *PLACE, "--out", out, "--format", "csv", *more)
    with Terminal(*args, environment={"XDG_CONFIG_HOME": str(account.config)}) as terminal:
        assert terminal.wait() == 0, terminal.text

    assert seen in terminal.text
    assert ("\x1b[K" in terminal.text) is (seen != "")
