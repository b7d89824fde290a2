"""What a run does where its files are taken away, or where no ring can be mapped."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from textwrap import dedent
from typing import IO, Any

import pytest

import rundial as rd
from rundial.api.adopt import sync
from rundial.api.client import Client
from tests.support.mounts import image_mounted, mounted, with_full_shared_memory, without_shared_memory
from tests.support.processes import own_parts
from tests.support.program import ServerProgram
from tests.support.scripts import PRELUDE, run_script, start_script
from tests.support.stored import Stored, read
from tests.support.waiting import wait_until

PROJECT = "place"

pytestmark = pytest.mark.fault


@pytest.fixture
def options(server: ServerProgram, tmp_path: Path) -> dict[str, Any]:
    """Arguments of a run."""
    return {
        "project": PROJECT,
        "run_id": "moved",
        "endpoint": server.url,
        "api_key": server.key,
        "spool_directory": str(tmp_path / "spool"),
        "ring_bytes": 1 << 20,
    }


def stored(server: ServerProgram, run_id: str) -> Stored:
    """Read a run back."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        return read(client, PROJECT, run_id)


LOGGING = """
    run = rd.init(**given)
    step = 0
    for command in sys.stdin:
        for _ in range(int(command)):
            step += 1
            assert run.log({"x": float(step)}, step=step)
        sys.stdout.write(f"{step}\\n")
        sys.stdout.flush()
"""


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_ring_that_lost_its_name_is_replaced_before_a_kill(
    server: ServerProgram, options: dict[str, Any], mode: str
) -> None:
    """When somebody deletes the ring's file, the run makes another, and a SIGKILL then loses nothing."""
    spool = Path(options["spool_directory"])
    with start_script(LOGGING, **options, mode=mode) as script:
        assert script.stdin is not None
        assert script.stdout is not None

        def log(count: int, orders: IO[str] = script.stdin, answers: IO[str] = script.stdout) -> None:
            orders.write(f"{count}\n")
            orders.flush()
            assert answers.readline()

        log(1000)
        (ring,) = spool.glob("*.ring")
        ring.unlink()
        log(1000)
        wait_until(lambda: bool(list(spool.glob("*.ring"))), 10)
        # The spool is told of its new ring a moment after that is there.
        (meta,) = spool.glob("*/*/meta.json")
        wait_until(lambda: Path(json.loads(meta.read_text())["ring_path"]).exists(), 10)
        log(1000)
        script.kill()
        assert script.wait(10) == -9
    report = sync([spool], endpoint=server.url, api_key=server.key, timeout_s=30)

    assert [result.why for result in report.results] == [""]
    found = stored(server, "moved")
    assert [step for _, step, _ in found.points] == list(range(1, 3001))
    assert found.details["ledger"]["complete"], found.details["ledger"]
    assert list(spool.rglob("*.ring")) == []


def test_a_spool_and_ring_removed_under_a_live_run_cost_nothing_that_was_sent(
    server: ServerProgram, options: dict[str, Any]
) -> None:
    """`rm -rf` of the whole spool directory, again and again: the run goes on, each point is stored once."""
    spool = Path(options["spool_directory"])
    with own_parts():
        live = rd.init(**options)
        for first in range(1, 2001, 500):
            for step in range(first, first + 500):
                assert live.log({"x": float(step)}, step=step)
            if first < 1501:
                assert live.flush(10)
                shutil.rmtree(spool)
                wait_until(lambda: bool(list(spool.glob("*.ring")) and list(spool.glob("*/*/lock"))), 10)
        assert live.finish(10)
        account = live.diagnostics().ledger

    found = stored(server, "moved")
    assert [step for _, step, _ in found.points] == list(range(1, 2001))
    assert account.closes
    assert account.points.lost == 0
    assert found.details["ledger"]["complete"], found.details["ledger"]


ONE_RUN = """
    run = rd.init(**given)
    for step in range(100):
        assert run.log({"x": float(step)}, step=step)
    durability = run.diagnostics().durability
    run.finish(10)
    print(json.dumps({"durability": durability, "closes": run.diagnostics().ledger.closes}))
"""


# The least that btrfs takes, with a little over.
BTRFS_BYTES = 120 << 20


@contextmanager
def no_place_for_a_ring(kind: str, tmp_path: Path) -> Iterator[Path]:
    """Mount a file system that is not on the list of those which a ring may be mapped on."""
    with ExitStack() as stack:
        if kind == "ramfs":
            yield stack.enter_context(mounted(tmp_path / kind, kind))
        else:
            image = tmp_path / "image"
            yield stack.enter_context(
                image_mounted(image, tmp_path / kind, kind=kind, size_bytes=BTRFS_BYTES)
            )


@pytest.mark.parametrize("kind", ["ramfs", "btrfs"])
def test_on_a_file_system_that_holds_no_ring_the_ring_is_in_shared_memory(
    server: ServerProgram, options: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    """On a file system that may not be safe to map the ring is in `/dev/shm`, and the run says so."""
    with no_place_for_a_ring(kind, tmp_path) as place, own_parts():
        live = rd.init(**{**options, "spool_directory": str(place / "spool")})
        for step in range(100):
            assert live.log({"x": float(step)}, step=step)
        durability = live.diagnostics().durability
        assert live.finish(10)

    assert durability == "host"
    assert len(stored(server, "moved").points) == 100


FULL = """
    run = rd.init(**given["options"])
    try:
        with open(given["filler"], "wb", buffering=0) as filler:
            while filler.write(bytes(1 << 20)):
                pass
    except OSError:
        pass
    kept = sum(run.log({"x": float(step)}, step=step) for step in range(20_000))
    run.flush(20)
    ledger = run.diagnostics().ledger
    run.finish(5)
    print(json.dumps({"kept": kept, "closes": ledger.closes, "recorded": ledger.points.recorded,
                      "delivered": ledger.points.delivered, "lost": ledger.points.lost}))
"""


def test_a_full_btrfs_ends_no_run(server: ServerProgram, options: dict[str, Any], tmp_path: Path) -> None:
    """Where a full disk would end a process that has mapped a file of it, the run goes on and counts."""
    with no_place_for_a_ring("btrfs", tmp_path) as place:
        given = {**options, "spool_directory": str(place / "spool")}
        done = run_script(FULL, options=given, filler=str(place / "filler"), timeout_s=60)

    assert done.status == 0, done.stderr
    found = done.found
    assert found["closes"]
    assert found["recorded"] == found["kept"] > 0
    assert found["delivered"] == len(stored(server, "moved").points)


@pytest.mark.parametrize(
    "shared_memory", [without_shared_memory, with_full_shared_memory], ids=["none", "full"]
)
def test_without_shared_memory_either_the_ring_is_in_memory(
    server: ServerProgram, options: dict[str, Any], tmp_path: Path, shared_memory: Callable[..., list[str]]
) -> None:
    """Where nothing can be mapped a run works all the same, and `durability` says that it is memory."""
    with mounted(tmp_path / "ramfs", "ramfs") as place:
        given = json.dumps({**options, "spool_directory": str(place / "spool")})
        command = shared_memory(sys.executable, "-c", PRELUDE + dedent(ONE_RUN), given)
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"durability": "memory", "closes": True}
    found = stored(server, "moved")
    assert len(found.points) == 100
    assert found.details["ledger"]["complete"], found.details["ledger"]
