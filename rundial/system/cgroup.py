"""The limits that a container or a scheduler has set, read from control groups of either version.

The tightest limit on the way from this process's own group up to the root of what can be seen is the
one that counts, and the use that it is compared with is that group's. Nothing is remembered: limits
may change while a job runs, and a reading costs a few small files.

Source:
    Linux, Documentation/admin-guide/cgroup-v1 (memory.rst, ../scheduler/sched-bwc.rst) and cgroup-v2.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_V2 = ""


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """How much memory a group may use.

    Attributes:
        limit_bytes: The limit.
        used_bytes: What the group uses, without the file cache that it can do without.
    """

    limit_bytes: int
    used_bytes: int


@dataclass(frozen=True, slots=True)
class CpuLimit:
    """How much of the machine's CPU time a group may use.

    Attributes:
        cores: The limit, in cores; may be a fraction.
        used_s: CPU seconds that the group has used so far.
    """

    cores: float
    used_s: float


class Cgroup:
    """The groups of this process.

    Args:
        proc: Where the kernel says which they are.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        groups = _groups(_text(proc / "self" / "cgroup"))
        mounts = _mounts(_text(proc / "self" / "mountinfo"))
        self._levels = {
            controller: tuple(_levels(group, *mounts[controller]))
            for controller, group in groups.items()
            if controller in mounts
        }

    def memory(self) -> MemoryLimit | None:
        """Return the tightest memory limit, None where there is none."""
        old = [(level, "memory.limit_in_bytes") for level in self._levels.get("memory", ())]
        new = [(level, "memory.max") for level in self._levels.get(_V2, ())]
        limits = [(limit, level) for level, name in old + new if (limit := _integer(level / name))]
        if not limits:
            return None
        limit, level = min(limits)
        # The two versions share no name here, but for the cache of a version 1 group without its children.
        used = _integer(level / "memory.current") or _integer(level / "memory.usage_in_bytes") or 0
        stat = level / "memory.stat"
        cache = _field(stat, "total_inactive_file") or _field(stat, "inactive_file")
        return MemoryLimit(limit, max(0, used - cache))

    def cpu(self) -> CpuLimit | None:
        """Return the tightest CPU limit, None where there is none."""
        old = [(_quota_v1(level), level) for level in self._levels.get("cpu", ())]
        new = [(_quota_v2(level), level) for level in self._levels.get(_V2, ())]
        limits = [(cores, level) for cores, level in old + new if cores]
        if not limits:
            return None
        cores, level = min(limits)
        used_s = self._cpu_used_s(level)
        return None if used_s is None else CpuLimit(cores, used_s)

    def _cpu_used_s(self, level: Path) -> float | None:
        if level in self._levels.get(_V2, ()):
            return _field(level / "cpu.stat", "usage_usec") / 1e6
        # Version 1 may count in another tree than it limits; the level of the same depth is the same group.
        depth = self._levels["cpu"].index(level)
        accounts = self._levels.get("cpuacct", ())
        used_ns = _integer(accounts[depth] / "cpuacct.usage") if depth < len(accounts) else None
        return None if used_ns is None else used_ns / 1e9


def _groups(text: str) -> dict[str, str]:
    """Which group this process is in, by controller; version 2's one tree is the controller `""`."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, group = line.split(":", 2)
        found.update(dict.fromkeys(controllers.split(","), group))
    return found


def _mounts(text: str) -> dict[str, tuple[str, Path]]:
    """Where each tree is mounted, and which of its groups is mounted there."""
    found: dict[str, tuple[str, Path]] = {}
    for line in text.splitlines():
        place, _, kind = line.partition(" - ")
        root, point = place.split()[3:5]
        filesystem, _, options = kind.split()[:3]
        mount = root, Path(point.replace("\\040", " "))
        if filesystem == "cgroup2":
            found.setdefault(_V2, mount)
        elif filesystem == "cgroup":
            for option in options.split(","):
                found.setdefault(option, mount)
    return found


def _levels(group: str, root: str, point: Path) -> Iterator[Path]:
    """Directories from the process's group up to what is mounted."""
    try:
        relative = PurePosixPath(group).relative_to(root)
    except ValueError:
        # A container whose view of the tree begins at its own group.
        relative = PurePosixPath()
    if ".." in relative.parts:
        relative = PurePosixPath()
    here = point / relative
    while True:
        yield here
        if here in (point, here.parent):
            return
        here = here.parent


def _quota_v1(level: Path) -> float | None:
    quota, period = _integer(level / "cpu.cfs_quota_us"), _integer(level / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _quota_v2(level: Path) -> float | None:
    quota, _, period = _text(level / "cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.strip().isdigit() else None


def _integer(path: Path) -> int | None:
    """The number in a file; None for no file and for `max`."""
    text = _text(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _field(path: Path, name: str) -> int:
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
