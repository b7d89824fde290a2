"""`kill -9` again and again: of who brings home what a killed process left, and while the ring wraps."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rundial.api.client import Client
from rundial.recorder import layout
from rundial.recorder.mapping import RingFile
from tests.fault.test_kill import after, assert_all_there, sync
from tests.support.numbered import SIGNALS, Progress, Victims
from tests.support.program import ServerProgram
from tests.support.ringwriter import laps_of
from tests.support.rounds import rounds
from tests.support.stored import Stored, read
from tests.support.waiting import wait_until

PROJECT = "again"
MAX_KILLS = 12
SYNC_TIMEOUT_S = 30

pytestmark = pytest.mark.fault


@pytest.fixture
def options(server: ServerProgram, tmp_path: Path) -> dict[str, Any]:
    """Arguments of the run that is killed first."""
    return {
        "project": PROJECT,
        "run_id": "first",
        "mode": "offline",
        "endpoint": server.url,
        "api_key": server.key,
        "spool_directory": str(tmp_path / "spool"),
    }


def stored(server: ServerProgram, run_id: str) -> Stored:
    """Read a run back."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        return read(client, PROJECT, run_id)


def assert_home(server: ServerProgram, run_id: str, progress: Progress, threads: int) -> None:
    """All that a run accepted is stored once, and its ledger closes."""
    found = stored(server, run_id)
    assert_all_there(found, progress, threads)
    assert found.details["ledger"]["complete"], found.details["ledger"]


def files_under(root: Path) -> list[tuple[str, int, int]]:
    """What can be seen to change while a spool is worked on."""
    found = []
    for directory, _, names in os.walk(root):
        for name in names:
            try:
                state = os.stat(os.path.join(directory, name))
            except FileNotFoundError:
                continue
            found.append((os.path.join(directory, name), state.st_size, state.st_mtime_ns))
    return found


def sync_until_change(spool: Path, server: ServerProgram, change: int, *, endpoint: str = "") -> bool:
    """Run `rundial sync`, end it with SIGKILL at a change of the spool's files; whether it ended well."""
    child = subprocess.Popen(
        [sys.executable, "-m", "rundial", "sync", str(spool), "--endpoint", endpoint or server.url, "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "RUNDIAL_API_KEY": server.key},
    )
    pause = threading.Event()
    before = files_under(spool)
    while change and child.poll() is None:
        pause.wait(0.0005)
        now = files_under(spool)
        change -= now != before
        before = now
    child.kill()
    return child.wait(SYNC_TIMEOUT_S) == 0


def test_a_sync_that_is_killed_again_and_again_stores_everything_once(
    server: ServerProgram, victims: Victims, options: dict[str, Any], tmp_path: Path
) -> None:
    """`rundial sync` may die while it recovers or sends; the one that is left alone brings all home."""
    rng = random.Random()
    spool = Path(options["spool_directory"])
    for number in range(rounds(2)):
        run_id = f"killed-{number}"
        until = after(rng.uniform(0.2, 0.4))
        progress = victims.kill_one(tmp_path, 4, {**options, "run_id": run_id}, until=until)

        # The first one finds no server: however fast it is, it cannot end well.
        kills = int(not sync_until_change(spool, server, 1, endpoint="http://127.0.0.1:9"))
        # Each time a little later, so that every step is died in.
        while kills < MAX_KILLS and not sync_until_change(spool, server, kills // 2 + rng.randrange(1, 4)):
            kills += 1
        sync(spool, server)

        assert kills >= 1
        assert_home(server, run_id, progress, 4)
        assert files_under(spool) == []
        progress.path.unlink()


def test_a_run_that_is_killed_while_it_adopts_leaves_all_of_it_to_the_next(
    server: ServerProgram, victims: Victims, options: dict[str, Any], tmp_path: Path
) -> None:
    """Each run delivers what the killed ones before it left, until it is killed itself."""
    rng = random.Random()
    progress: dict[str, Progress] = {}
    for number in range(rounds(5)):
        run_id = f"chain-{number}"
        place = tmp_path / run_id
        place.mkdir()
        online = {**options, "run_id": run_id, "mode": "online"}
        progress[run_id] = victims.kill_one(place, 2, online, until=after(rng.uniform(0.01, 0.3)))
    sync(Path(options["spool_directory"]), server)

    for run_id, promised in progress.items():
        assert_home(server, run_id, promised, 2)
    assert files_under(Path(options["spool_directory"])) == []


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_run_killed_while_its_ring_wraps_is_stored_whole(
    server: ServerProgram, victims: Victims, options: dict[str, Any], tmp_path: Path, mode: str
) -> None:
    """Eight threads that go round a small ring several times a second lose nothing that was accepted."""
    rng = random.Random()
    for number in range(rounds(1)):
        run_id = f"wraps-{mode}-{number}"
        place = tmp_path / run_id
        place.mkdir()
        small = {"mode": mode, "ring_bytes": 1 << 20, "flush_interval_seconds": 0.01}
        settings = {**options, **small, "run_id": run_id}
        spool = Path(options["spool_directory"])
        laps = rng.uniform(2.0, 4.0)

        def has_wrapped(progress: Progress, spool: Path = spool, laps: float = laps) -> None:
            del progress
            (ring,) = spool.glob("*.ring")
            wait_until(lambda: laps_of(ring) >= laps, 60)

        progress = victims.kill_one(place, 8, settings, until=has_wrapped, line_characters=4000)
        sync(spool, server)

        assert_home_but_refused(stored(server, run_id), progress, 8)


def assert_home_but_refused(found: Stored, progress: Progress, threads: int) -> None:
    """As `assert_home`, where the ring was full now and then: only the ledger tells of a refused span."""
    ledger = found.details["ledger"]
    for signal in SIGNALS:
        assert ledger[signal]["recorded"] == ledger[signal]["stored"], ledger
        assert ledger[signal]["missing"] == ledger[signal]["evicted"] == 0, ledger
        assert set(ledger[signal]["dropped"]) <= {"queue_full"}, ledger
    ended = sum(progress.get(thread, "spans") for thread in range(threads))
    refused = ledger["spans"]["dropped"].get("queue_full", 0)
    numbers = {(span["name"], span["attributes"]["number"]) for span in found.spans}
    assert len(numbers) == len(found.spans)
    assert ended <= len(numbers) + refused <= ended + threads
    for thread in range(threads):
        progress.set(thread, "spans", 0)
    assert_all_there(replace(found, spans=[]), progress, threads)


def test_a_ring_of_another_boot_gives_only_what_can_be_trusted(
    server: ServerProgram, victims: Victims, options: dict[str, Any], tmp_path: Path
) -> None:
    """What a power cut left is read as far as it makes sense, and no value comes out that was not logged."""
    # Far more than lies before the page that is lost, and all of it in the ring alone.
    progress = victims.kill_one(
        tmp_path,
        1,
        {**options, "flush_interval_seconds": 60.0},
        until=lambda progress: wait_until(lambda: progress.get(0, "points") > 2000, 60),
    )
    spool = Path(options["spool_directory"])
    (path,) = spool.glob("*.ring")
    ring = RingFile.adopt(path)
    ring.words[layout.WORD_BOOT] ^= 1
    # A page in the middle that never reached the disk.
    middle = layout.HEADER_BYTES + 32 * 1024
    ring.memory[middle : middle + 4096] = bytes(4096)
    ring.close()

    sync(spool, server)

    found = stored(server, "first")
    steps = [step for name, step, _ in found.points if name == "t0/a"]
    assert steps == list(range(1, len(steps) + 1))
    assert all(value == (step if name.endswith("a") else -step) for name, step, value in found.points)
    assert 0 < len(steps) < progress.get(0, "points")
