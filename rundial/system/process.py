"""This process: memory, CPU, threads and open files."""

from __future__ import annotations

import time

from rundial.clock import Clock
from rundial.system.rate import Rate
from rundial.system.readings import MIB


class ThisProcess:
    """What this process uses; its children are not in it.

    Args:
        clock: What CPU time is measured against.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        # Imported on the sampler's thread: a run that ends before its first sample does without.
        import psutil

        self._process = psutil.Process()
        self._cpu = Rate(time.process_time(), clock=clock)

    def read(self) -> dict[str, float]:
        """Return what it uses now; CPU as a percentage of one core."""
        with self._process.oneshot():
            found = {
                "system/process.rss_mb": self._process.memory_info().rss / MIB,
                "system/process.threads": float(self._process.num_threads()),
                "system/process.open_files": float(self._process.num_fds()),
            }
        rate = self._cpu.of(time.process_time())
        return found if rate is None else {"system/process.cpu_percent": 100 * rate, **found}
