"""The tracker's own cost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rundial.system.owncost import Burden, OwnCost
from tests.support.clock import ManualClock
from tests.unit.system.builders import write

BURDEN = Burden(
    ring_filled=0.25, queue_depth=7, spool_bytes=1 << 20, written_bytes=3 << 20, sent_bytes=2 << 20
)


@pytest.fixture
def worker() -> Iterator[int]:
    """The kernel's number of a thread that has our name, for as long as the test runs."""
    over, begun = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        over.wait(15)

    thread = threading.Thread(target=wait, name="rundial-worker", daemon=True)
    thread.start()
    assert begun.wait(5)
    assert thread.native_id is not None
    yield thread.native_id
    over.set()
    thread.join()


def test_own_cost_tells_what_is_on_its_way(tmp_path: Path) -> None:
    """Ring, queue, spool and traffic of the tracker are series like any other."""
    assert OwnCost(lambda: BURDEN, proc=tmp_path).read() == {
        "system/rundial.ring_percent": 25,
        "system/rundial.queue_depth": 7,
        "system/rundial.spool_mb": 1,
        "system/rundial.written_mb": 3,
        "system/rundial.sent_mb": 2,
    }


def test_own_cpu_is_that_of_our_threads_alone(tmp_path: Path, clock: ManualClock, worker: int) -> None:
    """The user's threads are not our cost; a thread that ends takes nothing back."""
    task = f"self/task/{worker}/schedstat"
    main = f"self/task/{threading.main_thread().native_id}/schedstat"
    write(tmp_path, {task: "1000000000 5 5", main: "1 1 1"})
    cost = OwnCost(lambda: BURDEN, proc=tmp_path, clock=clock)
    clock.advance(10)
    write(tmp_path, {task: "1500000000 5 5", main: "9000000000 1 1"})
    first = cost.read()["system/rundial.cpu_percent"]
    clock.advance(10)
    # The same number again, of a thread that has just begun.
    write(tmp_path, {task: "200000000 5 5"})

    assert first == pytest.approx(5)
    assert cost.read()["system/rundial.cpu_percent"] == pytest.approx(0)


@pytest.mark.usefixtures("worker")
def test_own_cpu_is_read_from_the_kernel(clock: ManualClock) -> None:
    """On this machine's own kernel the figure is there; where the kernel does not tell, none is made up."""
    cost = OwnCost(lambda: BURDEN, clock=clock)
    clock.advance(1)
    found = cost.read()

    if Path("/proc/self/task").exists():
        assert 0 <= found["system/rundial.cpu_percent"] < 100
    else:
        assert "system/rundial.cpu_percent" not in found
