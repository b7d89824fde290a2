"""The machine: CPU, memory, load, disk and network; in a container, as much of it as the container has.

Disk and network are the machine's counters since it started, as they always were under these names.
"""

from __future__ import annotations

import os
from typing import Any

from rundial.clock import Clock
from rundial.system.cgroup import Cgroup
from rundial.system.rate import MIN_ELAPSED_S, Rate
from rundial.system.readings import MIB, Source

_LOOPBACK = ("lo", "lo0")


class Host:
    """What the machine has and uses.

    Args:
        directory: Where the run's records wait; the file system that is watched.
        cgroup: The limits to respect; this process's own when None.
        clock: What CPU time is measured against.
    """

    def __init__(self, directory: str, *, cgroup: Cgroup | None = None, clock: Clock | None = None) -> None:
        # Imported on the sampler's thread: a run that ends before its first sample does without.
        import psutil

        self._psutil = psutil
        self._directory = directory
        self._cgroup = cgroup or Cgroup()
        self._times = self._cpu_times()
        limit = self._cgroup.cpu()
        self._used = Rate(limit.used_s if limit else 0.0, clock=clock)

    @property
    def sources(self) -> list[Source]:
        """What can be read, each on its own."""
        return [self.cpu, self.memory, self.load, self.disk, self.file_system, self.network]

    def cpu(self) -> dict[str, float]:
        """How busy the CPUs are that this process may use."""
        cores = float(_cores())
        limit = self._cgroup.cpu()
        if limit is not None and limit.cores < cores:
            rate = self._used.of(limit.used_s)
            # A group may exceed its quota for a moment; more than all of it is no answer.
            percent = None if rate is None else min(100.0, 100 * rate / limit.cores)
            cores = limit.cores
        else:
            percent = self._busy_percent()
        found = {"system/cpu.count": cores}
        return found if percent is None else {"system/cpu.percent": percent, **found}

    def memory(self) -> dict[str, float]:
        """How much of the memory is in use that this process may use."""
        whole = self._psutil.virtual_memory()
        total, used = whole.total, whole.total - whole.available
        limit = self._cgroup.memory()
        if limit is not None and limit.limit_bytes < total:
            total, used = limit.limit_bytes, limit.used_bytes
        return {
            "system/memory.percent": 100 * used / total,
            "system/memory.used_mb": used / MIB,
            "system/memory.total_mb": total / MIB,
        }

    def load(self) -> dict[str, float]:
        """How many threads want a core, on average."""
        averages = zip(("1m", "5m", "15m"), os.getloadavg(), strict=True)
        return {f"system/load.{span}": average for span, average in averages}

    def disk(self) -> dict[str, float]:
        """What the machine's disks have read and written."""
        # psutil's repair of counters that wrap takes a lock of its own, which a fork could leave taken.
        count = self._psutil.disk_io_counters(nowrap=False)
        if count is None:
            return {}
        return {
            "system/disk.read_mb": count.read_bytes / MIB,
            "system/disk.write_mb": count.write_bytes / MIB,
        }

    def file_system(self) -> dict[str, float]:
        """How full the file system is that the run's records wait on."""
        return {"system/disk.percent": float(self._psutil.disk_usage(self._directory).percent)}

    def network(self) -> dict[str, float]:
        """What the machine's network interfaces have sent and received, but for the loopback."""
        counts = self._psutil.net_io_counters(pernic=True, nowrap=False)
        real = [count for name, count in counts.items() if name not in _LOOPBACK]
        return {
            "system/network.sent_mb": sum(count.bytes_sent for count in real) / MIB,
            "system/network.recv_mb": sum(count.bytes_recv for count in real) / MIB,
        }

    def _busy_percent(self) -> float | None:
        before, now = self._times, self._cpu_times()
        total, idle = now[0] - before[0], now[1] - before[1]
        if total < MIN_ELAPSED_S:
            return None
        self._times = now
        return min(100.0, max(0.0, 100 * (total - idle) / total))

    def _cpu_times(self) -> tuple[float, float]:
        """CPU seconds since the machine started, of all cores: altogether, and idle."""
        times: Any = self._psutil.cpu_times()
        # Linux counts a guest's time twice.
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        return total, times.idle + getattr(times, "iowait", 0.0)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
