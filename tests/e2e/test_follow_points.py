"""`rundial metrics tail --follow`: points as they are stored, wherever it runs and whatever is cut."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.faltering import Faltering
from tests.support.program import ServerProgram
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

# Logs a point for each number that it is told, and says so once the server has it, or the disk.
LIVE = """
import sys, rundial as rd
with rd.init(project="digits", run_id="live", config={}) as run:
    for line in sys.stdin:
        number, deadline_s = line.split()
        run.log({"loss": 1.0 / (int(number) + 1), "free": float(number)}, step=int(number))
        run.flush(float(deadline_s))
        print(number, flush=True)
"""
TAIL = ("metrics", "tail", "live", "--project", "digits", "--follow")


class Writer:
    """A run that is told what to log, a step at a time."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", LIVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def log(self, step: int, *, deadline_s: float = 20) -> None:
        """Log a step and wait until it is delivered, or for as long as there is time."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(f"{step} {deadline_s}\n")
        self._child.stdin.flush()
        assert self._child.stdout.readline().strip() == str(step)

    def finish(self) -> None:
        """End the run."""
        self._child.communicate(timeout=40)
        assert self._child.returncode == 0

    def kill(self) -> None:
        """End it at once."""
        self._child.kill()
        self._child.communicate()


@pytest.fixture
def writer(server: ServerProgram) -> Iterator[Writer]:
    """A run on the server with a first step."""
    made = Writer()
    made.log(0)
    yield made
    made.kill()


@contextmanager
def tailing(*args: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a pipe."""
    reader = subprocess.Popen(
        [sys.executable, "-m", "rundial", *TAIL, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield reader
    finally:
        reader.kill()
        reader.communicate()


def steps_in(lines: list[str], name: str = "loss") -> list[int]:
    """The steps of a series' lines."""
    return [int(line.split()[1]) for line in lines if line.split()[:1] == [name]]


def rest_of(reader: subprocess.Popen[str]) -> tuple[list[str], str]:
    """What it prints up to its end, and what it says beside."""
    assert reader.stdout is not None
    assert reader.stderr is not None
    lines = reader.stdout.readlines()
    told = reader.stderr.read()
    reader.wait(40)
    return lines, told


def until(reader: subprocess.Popen[str], lines: list[str], step: int, name: str = "loss") -> None:
    """Read lines until a step's is there."""
    assert reader.stdout is not None
    while step not in steps_in(lines, name):
        lines.append(reader.stdout.readline())
        assert lines[-1], "it ended before the run did"


def test_each_point_is_printed_once_and_a_killed_server_costs_none(
    server: ServerProgram, writer: Writer
) -> None:
    """The stream goes on where it was, with what was stored meanwhile, and ends with the run."""
    lines: list[str] = []
    with tailing() as reader:
        until(reader, lines, 0)
        writer.log(1)
        until(reader, lines, 1)
        server.kill()
        writer.log(2, deadline_s=0.1)
        server.start()
        writer.log(3)
        until(reader, lines, 3)
        writer.finish()
        rest, told = rest_of(reader)
        lines += rest

    assert reader.returncode == 0, told
    assert sorted(steps_in(lines)) == [0, 1, 2, 3]
    assert sorted(steps_in(lines, "free")) == [0, 1, 2, 3]
    assert [line for line in lines if line.startswith("SERIES")] == lines[:1]
    assert told.count("broke off") + told.count("could not be reached") == 1
    assert "Traceback" not in told


def test_json_is_one_object_for_what_came_together(writer: Writer) -> None:
    """As without `--follow`, and only with what is new."""
    with tailing("--json", "--keys", "loss") as reader:
        assert reader.stdout is not None
        first = json.loads(reader.stdout.readline())
        writer.log(1)
        second = json.loads(reader.stdout.readline())
        writer.finish()
        assert rest_of(reader) == ([], "")

    def shown(found: dict[str, Any]) -> list[tuple[str, int, float]]:
        rows = [(row["metricKey"], point) for row in found["series"] for point in row["points"]]
        return [(name, point["step"], point["value"]) for name, point in rows]

    assert (first["ok"], shown(first)) == (True, [("loss", 0, 1.0)])
    assert (second["ok"], shown(second)) == (True, [("loss", 1, 0.5)])


def test_interrupt_leaves_the_run_as_it_is_in_a_pipe(writer: Writer) -> None:
    """`kill -INT` is how a person leaves: quietly, with status 0."""
    lines: list[str] = []
    with tailing() as reader:
        until(reader, lines, 0)
        reader.send_signal(signal.SIGINT)
        told = rest_of(reader)[1]

    assert (reader.returncode, told) == (0, "")


def test_points_stand_below_each_other_on_a_terminal(writer: Writer) -> None:
    """What came later is no narrower than what came first; Ctrl-C ends it."""
    with Terminal(*TAIL, "--keys", "loss", columns=80) as terminal:
        terminal.wait_for("loss")
        writer.log(1)
        writer.log(20)
        terminal.wait_for("0.047619")
        terminal.interrupt()
        assert terminal.wait() == 0

    lines = [line for line in terminal.text.splitlines() if line.startswith("loss")]
    assert len(lines) == 3
    assert len({line.index(":") for line in lines}) == 1


def test_series_that_come_up_later_are_shown(writer: Writer) -> None:
    """Without `--keys` nobody has to know beforehand what is logged."""
    lines: list[str] = []
    begin = "import rundial as rd; run = rd.init(project='digits', run_id='live', resume='allow');"
    code = f"{begin} run.log({{'late': 1.0}}, step=9)"
    with tailing() as reader:
        until(reader, lines, 0)
        writer.kill()
        assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
        until(reader, lines, 9, "late")


def test_server_that_streams_no_points_is_looked_at(server: ServerProgram, writer: Writer) -> None:
    """An older server shows the same points, a look later."""
    lines: list[str] = []
    with (
        Faltering(server.url, lacks=("/api/v1/stream/metrics",)) as older,
        tailing("--endpoint", older.url, "--interval-seconds", "0.2", RUNDIAL_API_KEY=server.key) as reader,
    ):
        until(reader, lines, 0)
        writer.log(1)
        until(reader, lines, 1)
        writer.finish()
        rest, told = rest_of(reader)

    assert (reader.returncode, told) == (0, "")
    assert sorted(steps_in(lines + rest)) == [0, 1]
