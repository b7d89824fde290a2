"""What is followed on the command line shows each record as the server stores it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.account import Account

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PLACE = ("--workspace", "default-workspace", "--project", "digits")

LIVE = """
import sys, rundial as rd
with rd.init(project="digits", run_id=sys.argv[1], config={}) as run:
    for number, line in enumerate(sys.stdin):
        run.log({"loss": 1.0 / (number + 1)}, step=number)
        run.log_text(line.strip())
        run.flush()
"""


@pytest.mark.parametrize("command", ["logs tail", "run watch"])
def test_follow_shows_each_line_as_it_is_stored_and_ends_with_the_run(account: Account, command: str) -> None:
    """No line is missed and none comes twice, whenever the command was started."""
    run_id = command.replace(" ", "-")
    variables = os.environ | {"XDG_CONFIG_HOME": str(account.config)}
    follow = ["--follow"] if command == "logs tail" else []
    writer = subprocess.Popen(
        [sys.executable, "-c", LIVE, run_id], stdin=subprocess.PIPE, text=True, env=variables
    )
    assert writer.stdin is not None
    writer.stdin.write("before\n")
    writer.stdin.flush()
    while account.rundial("logs", "tail", run_id, *PLACE, "--json").stdout.count("before") == 0:
        pass
    args = [
        sys.executable,
        "-m",
        "rundial",
        *command.split(),
        run_id,
        *PLACE,
        *follow,
        "--interval-seconds",
        "0.5",
    ]
    reader = subprocess.Popen(args, stdout=subprocess.PIPE, text=True, env=variables)
    assert reader.stdout is not None
    seen: list[str] = []
    for word in ("before", "first", "second"):
        if word != "before":
            writer.stdin.write(f"{word}\n")
            writer.stdin.flush()
        while not seen or word not in seen[-1]:
            seen.append(reader.stdout.readline())
            assert seen[-1], "it ended before the run did"
    writer.stdin.close()
    assert writer.wait(30) == 0
    seen += reader.stdout.readlines()
    assert reader.wait(30) == 0
    reader.stdout.close()

    lines = [word for word in ("before", "first", "second") for line in seen if f"  {word}" in line]
    assert lines == ["before", "first", "second"]


def test_follow_reads_by_looks_where_the_key_may_not_stream(account: Account) -> None:
    """A key without `stream:read` sees the same lines, a moment later."""
    made = account.rundial("auth", "key", "create", *PLACE, "--scope", "project:read", "--json").found[
        "result"
    ]
    done = account.rundial("logs", "tail", account.run_id, *PLACE, "--follow", RUNDIAL_API_KEY=made["key"])

    assert done.status == 0
    assert "all is well" in done.stdout
