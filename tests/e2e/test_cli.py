"""The commands against a real server with a real run on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.account import STEPS, Account
from tests.support.program import ServerProgram
from tests.support.shell import rundial

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]


def test_script_and_commands_need_no_setting_on_the_servers_account(account: Account) -> None:
    """`rundial server`, `rd.init(project=…)` and `rundial run list` work with nothing configured."""
    done = account.rundial("run", "list", "--json")

    assert done.status == 0
    (run,) = done.found["result"]["runs"]
    assert (run["runId"], run["runName"], run["status"]) == (account.run_id, "first", "completed")


def test_run_list_as_text_shows_the_run(account: Account) -> None:
    """A person sees id, status and name in one line."""
    (line,) = [line for line in account.rundial("run", "list").stdout.splitlines() if account.run_id in line]

    assert "completed" in line
    assert "first" in line


def test_run_list_filters_by_status_and_text(account: Account) -> None:
    """Filters are the server's, and several statuses may be named in one option."""
    listed = account.rundial("run", "list", "--status", "failed,completed", "--search", "fir", "--json")
    empty = account.rundial("run", "list", "--status", "failed", "--json")

    assert [run["runId"] for run in listed.found["result"]["runs"]] == [account.run_id]
    assert empty.found["result"]["runs"] == []


def test_run_status_shows_what_is_stored_and_that_it_is_complete(account: Account) -> None:
    """One command tells whether anything of a run is missing."""
    found = account.rundial("run", "status", account.run_id, "--json").found["run"]
    text = account.rundial("run", "status", account.run_id).stdout

    assert found["counts"] == {"points": 2 * STEPS, "lines": 2, "spans": 1}
    assert found["ledger"]["complete"] is True
    assert f"{2 * STEPS} points, 2 lines, 1 span" in text
    assert "complete: everything that was recorded is stored" in text


def test_metrics_tail_prints_the_last_points(account: Account) -> None:
    """The end of a curve, exactly, not a thinned curve."""
    found = account.rundial(
        "metrics", "tail", account.run_id, "--keys", "loss", "--points", "3", "--json"
    ).found
    text = account.rundial("metrics", "tail", account.run_id, "--points", "1").stdout

    (series,) = found["series"]
    assert [(p["step"], p["value"]) for p in series["points"]] == [
        (step, 1 / (step + 1)) for step in range(STEPS - 3, STEPS)
    ]
    assert "accuracy" in text
    assert "loss" in text


def test_logs_tail_prints_lines_oldest_first_and_escapes_control_characters(account: Account) -> None:
    """Text reads from top to bottom, and a log line cannot recolour the terminal."""
    text = account.rundial("logs", "tail", account.run_id).stdout
    found = account.rundial("logs", "tail", account.run_id, "--min-level", "warn", "--json").found

    assert text.index("all is well") < text.index("not so well")
    assert "\x1b" not in text
    assert [row["message"] for row in found["logs"]] == ["not so well\x1b[31m"]


def test_follow_ends_when_the_run_is_over(account: Account) -> None:
    """`--follow` on a finished run prints it and returns."""
    args = ("logs", "tail", account.run_id, "--follow", "--interval-seconds", "0.1")

    assert "all is well" in account.rundial(*args).stdout


@pytest.mark.parametrize(
    "args", [("run", "list"), ("run", "status", "r"), ("metrics", "tail", "r"), ("logs", "tail", "r")]
)
def test_wrong_key_exits_with_two(account: Account, args: tuple[str, ...]) -> None:
    """A script can tell "log in" from "went wrong", in every command."""
    done = account.rundial(*args, "--workspace", "w", "--project", "p", RUNDIAL_API_KEY="rdk_wrong_key")

    assert done.status == 2
    assert "Traceback" not in done.stderr
    assert "rdk_wrong_key" not in done.stderr


def test_unknown_run_exits_with_one_and_advice(account: Account) -> None:
    """A mistyped run id is one line and a next step."""
    done = account.rundial("run", "status", "run_nope", "--json")

    assert (done.status, done.stdout) == (1, "")
    assert json.loads(done.stderr)["error"]["exitCode"] == 1


def test_reader_that_goes_away_ends_the_command_quietly(account: Account) -> None:
    """`rundial … | head -1` prints no traceback."""
    command = f"{sys.executable} -m rundial logs tail {account.run_id} | true; echo ${{PIPESTATUS[0]}}"
    environment = os.environ | {"XDG_CONFIG_HOME": str(account.config)}
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=15, env=environment
    )

    assert (done.stdout, done.stderr) == ("1\n", "")


def test_json_once_is_not_json_for_ever(account: Account) -> None:
    """A command that reads changes no profile and no other file of the account's."""
    folder = account.config
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    account.rundial("run", "list", "--json")

    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert not account.rundial("run", "list").stdout.startswith("{")


def test_server_starts_although_the_profile_file_is_broken(home: Path, tmp_path: Path) -> None:
    """A broken config costs the convenience and is said; it does not cost the server."""
    folder = home / ".config" / "rundial"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("[broken\n")
    with ServerProgram(tmp_path / "data") as server:
        assert "the profile `local` was not stored" in server.output
        assert server.get("/api/v1/auth/whoami")["authenticated"] is True

    assert (folder / "config.toml").read_text() == "[broken\n"


@pytest.fixture
def killed(server: ServerProgram) -> str:
    """A run whose process recorded while its server was down, and was then killed with -9."""
    script = (
        "import os, signal, rundial as rd\n"
        "run = rd.init(project='digits', run_id='killed', init_timeout_seconds=1)\n"
        "for step in range(100): run.log({'loss': float(step)}, step=step)\n"
        "run.log_text('the last words')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    server.stop()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=15)
    assert done.returncode == -signal.SIGKILL, done.stderr
    server.start()
    return "killed"


def test_sync_delivers_what_a_killed_process_left_and_says_so_once(killed: str) -> None:
    """After kill -9, one `rundial sync` brings everything, and a second one finds nothing."""
    first = rundial("sync", "--json")
    second = rundial("sync", "--json")
    counts = rundial("run", "status", killed, "--json").found["run"]["counts"]

    assert first.status == 0
    assert [(each["runId"], each["delivered"]["points"]) for each in first.found["directories"]] == [
        (killed, 100)
    ]
    assert (second.status, second.found["directories"]) == (0, [])
    assert counts == {"points": 100, "lines": 1, "spans": 0}


def test_sync_without_a_server_says_what_waits_and_exits_with_one(server: ServerProgram, killed: str) -> None:
    """What could not be delivered is named with the reason, and stays for the next sync."""
    server.stop()
    done = rundial("sync", "--timeout", "1", "--json")

    assert done.status == 1
    assert done.found["waiting"]["points"] == 100
    assert done.found["directories"][0]["why"]
