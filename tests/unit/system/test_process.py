"""What this process uses."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from rundial.system.process import ThisProcess
from tests.support.waiting import wait_until


def test_process_counts_its_threads_and_open_files(tmp_path: Path) -> None:
    """A leak of threads or files shows as it happens."""
    process = ThisProcess()
    before = process.read()
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    with (tmp_path / "a").open("w"), (tmp_path / "b").open("w"):
        during = process.read()
    over.set()
    thread.join()

    assert before["system/process.rss_mb"] > 1
    assert during["system/process.threads"] == before["system/process.threads"] + 1
    assert during["system/process.open_files"] == before["system/process.open_files"] + 2


def test_process_cpu_is_a_share_of_one_core() -> None:
    """A program that computes is seen to compute."""
    process = ThisProcess()
    start = time.process_time()
    wait_until(lambda: sum(range(200_000)) > 0 and time.process_time() - start > 0.15, 10)

    assert process.read()["system/process.cpu_percent"] > 0
