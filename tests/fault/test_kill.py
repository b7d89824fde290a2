"""`kill -9` at any moment loses nothing that was accepted."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rundial as rd
from rundial.api import adopt
from rundial.api.client import Client
from tests.support.numbered import Progress, Victims
from tests.support.program import ServerProgram
from tests.support.rounds import rounds
from tests.support.stored import Stored, read
from tests.support.waiting import wait_until

# For each of six ways: more than 50 in all.
ROUNDS = 9
PROJECT = "killed"

pytestmark = pytest.mark.fault


def after(seconds: float) -> Callable[[Progress], None]:
    """Kill at that moment, wherever the program is then."""

    def wait(progress: Progress) -> None:
        del progress
        threading.Event().wait(seconds)

    return wait


def sync(spool: Path, server: ServerProgram) -> dict[str, Any]:
    """Run `rundial sync` and return what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "rundial", "sync", str(spool), "--endpoint", server.url, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "RUNDIAL_API_KEY": server.key},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def assert_all_there(stored: Stored, progress: Progress, threads: int) -> None:
    """Every accepted number is stored exactly once, and beyond them at most the one in flight."""
    points = Counter((name, step) for name, step, _ in stored.points)
    lines = Counter(tuple(line.split()[:2]) for line in stored.lines)
    spans = Counter((span["name"], span["attributes"].get("number")) for span in stored.spans)
    for thread in range(threads):
        for key in ("a", "b"):
            name = f"t{thread}/{key}"
            numbers = sorted(step for (which, step), _ in points.items() if which == name)
            _assert_numbers(numbers, progress.get(thread, "points"))
        numbers = sorted(int(number) for which, number in lines if which == f"t{thread}")
        _assert_numbers(numbers, progress.get(thread, "lines"))
        numbers = sorted(number for which, number in spans if which == f"t{thread}")
        _assert_numbers(numbers, progress.get(thread, "spans"))
    assert set(points.values()) | set(lines.values()) | set(spans.values()) <= {1}
    for name, step, value in stored.points:
        assert value == (step if name.endswith("a") else -step)


def _assert_numbers(numbers: list[int], accepted: int) -> None:
    assert numbers == list(range(1, len(numbers) + 1))
    assert accepted <= len(numbers) <= accepted + 1


@pytest.mark.parametrize("threads", [1, 4, 8])
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_killed_run_is_stored_whole_after_sync(
    server: ServerProgram, victims: Victims, tmp_path: Path, mode: str, threads: int
) -> None:
    """Everything that log, log_text and trace accepted before a SIGKILL is stored once; the ledger closes."""
    rng = random.Random()
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        for number in range(rounds(ROUNDS)):
            place = tmp_path / f"round{number}"
            place.mkdir()
            run_id = f"killed-{mode}-{threads}-{number}"
            options = {
                "project": PROJECT,
                "run_id": run_id,
                "mode": mode,
                "endpoint": server.url,
                "api_key": server.key,
                "spool_directory": str(place / "spool"),
                # So that it dies with all in the ring as well as between the encoder's steps.
                "flush_interval_seconds": rng.choice([0.01, 0.25]),
            }

            until = after(rng.uniform(0.005, 0.1))
            progress = victims.kill_one(place, threads, options, until=until)
            report = adopt.sync([place / "spool"], endpoint=server.url, api_key=server.key, timeout_s=30)

            assert [result.why for result in report.results] == [""]
            stored = read(client, PROJECT, run_id)
            assert_all_there(stored, progress, threads)
            assert stored.details["ledger"]["complete"], stored.details["ledger"]
            assert [path for path in (place / "spool").rglob("*") if path.is_file()] == []


def test_a_second_sync_changes_nothing(server: ServerProgram, victims: Victims, tmp_path: Path) -> None:
    """`rundial sync` may be repeated, also over a copy of what was delivered already."""
    spool = tmp_path / "spool"
    options: dict[str, Any] = {
        "project": PROJECT,
        "run_id": "twice",
        "mode": "offline",
        "endpoint": server.url,
        "spool_directory": str(spool),
    }
    progress = victims.kill_one(tmp_path, 1, options, until=after(0.2))
    subprocess.run(["cp", "-a", str(spool), str(tmp_path / "copy")], check=True)

    sync(spool, server)
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        before = read(client, PROJECT, "twice")
        sync(tmp_path / "copy", server)
        again = read(client, PROJECT, "twice")

    assert_all_there(again, progress, 1)
    assert again.points == before.points
    assert again.lines == before.lines
    assert again.details["counts"] == before.details["counts"]
    assert again.details["ledger"]["complete"]


def test_the_next_run_delivers_what_a_killed_one_left(
    server: ServerProgram, victims: Victims, tmp_path: Path
) -> None:
    """An online init on the same spool directory delivers an earlier process's records by itself."""
    spool = tmp_path / "spool"
    options: dict[str, Any] = {
        "project": PROJECT,
        "run_id": "left",
        "mode": "online",
        "endpoint": server.url,
        "api_key": server.key,
        "spool_directory": str(spool),
    }
    progress = victims.kill_one(tmp_path, 4, options, until=after(0.3))

    with rd.init(**{**options, "run_id": "next"}) as run:
        run.log({"x": 1.0})
        wait_until(lambda: not list(spool.glob("left/*")), 20)

    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        stored = read(client, PROJECT, "left")
    assert_all_there(stored, progress, 4)
    assert stored.details["ledger"]["complete"], stored.details["ledger"]
