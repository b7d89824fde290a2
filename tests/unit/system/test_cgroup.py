"""Limits of containers and schedulers, in the files of both versions of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from rundial.system.cgroup import Cgroup, CpuLimit, MemoryLimit
from tests.unit.system.builders import cgroup

GIB = 1 << 30
NO_LIMIT_V1 = "9223372036854771712"


def test_version_2_gives_memory_without_its_cache_and_cpu(tmp_path: Path) -> None:
    """A container's own limits are read, and the cache that it can do without is not called used."""
    found = cgroup(
        tmp_path,
        groups="0::/job",
        mounts=["/ cg cgroup2 rw"],
        files={
            "cg/job/memory.max": str(8 * GIB),
            "cg/job/memory.current": str(3 * GIB),
            "cg/job/memory.stat": f"anon 5\ninactive_file {GIB}",
            "cg/job/cpu.max": "250000 100000",
            "cg/job/cpu.stat": "usage_usec 7500000\nuser_usec 1",
        },
    )

    assert found.memory() == MemoryLimit(8 * GIB, 2 * GIB)
    assert found.cpu() == CpuLimit(2.5, 7.5)


def test_version_1_gives_memory_without_its_cache_and_cpu(tmp_path: Path) -> None:
    """The older files mean the same; CPU may be counted in another tree than it is limited in."""
    found = cgroup(
        tmp_path,
        groups="4:memory:/job\n2:cpuacct:/job\n1:cpu:/job\n0::/",
        mounts=["/ memory cgroup rw,memory", "/ cpu cgroup rw,cpu", "/ acct cgroup rw,cpuacct"],
        files={
            "memory/job/memory.limit_in_bytes": str(4 * GIB),
            "memory/memory.limit_in_bytes": NO_LIMIT_V1,
            "memory/job/memory.usage_in_bytes": str(GIB),
            "memory/job/memory.stat": f"inactive_file 1\ntotal_inactive_file {GIB // 2}",
            "cpu/job/cpu.cfs_quota_us": "50000",
            "cpu/job/cpu.cfs_period_us": "100000",
            "acct/job/cpuacct.usage": "2000000000",
        },
    )

    assert found.memory() == MemoryLimit(4 * GIB, GIB // 2)
    assert found.cpu() == CpuLimit(0.5, 2.0)


def test_the_tightest_limit_on_the_way_up_counts_with_its_own_use(tmp_path: Path) -> None:
    """A job in a step in a slice is killed by whichever limit comes first."""
    found = cgroup(
        tmp_path,
        groups="0::/slice/job",
        mounts=["/ cg cgroup2 rw"],
        files={
            "cg/slice/job/memory.max": "max",
            "cg/slice/job/memory.current": str(GIB),
            "cg/slice/memory.max": str(4 * GIB),
            "cg/slice/memory.current": str(3 * GIB),
            "cg/slice/job/cpu.max": "400000 100000",
            "cg/slice/job/cpu.stat": "usage_usec 1000000",
            "cg/slice/cpu.max": "max 100000",
        },
    )

    assert found.memory() == MemoryLimit(4 * GIB, 3 * GIB)
    assert found.cpu() == CpuLimit(4.0, 1.0)


@pytest.mark.parametrize(
    ("group", "mounted"),
    [("/docker/abc", "/docker/abc"), ("/", "/"), ("/elsewhere", "/docker/abc"), ("/../../job", "/")],
)
def test_a_container_that_sees_only_its_own_group_finds_it(tmp_path: Path, group: str, mounted: str) -> None:
    """However much of the tree a container is shown, its limit is found at the top of what it sees."""
    found = cgroup(
        tmp_path,
        groups=f"3:memory:{group}",
        mounts=[f"{mounted} memory cgroup rw,memory"],
        files={"memory/memory.limit_in_bytes": str(GIB), "memory/memory.usage_in_bytes": "5"},
    )

    assert found.memory() == MemoryLimit(GIB, 5)


def test_a_process_without_limits_has_none(tmp_path: Path) -> None:
    """No quota, `max`, and no control groups at all are the same: the machine is the limit."""
    unlimited = cgroup(
        tmp_path,
        groups="3:memory:/\n1:cpu,cpuacct:/\n0::/",
        mounts=["/ cg cgroup2 rw", "/ cpu cgroup rw,cpu,cpuacct"],
        files={
            "cg/memory.max": "max", "cg/cpu.max": "max 100000",
            "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000",
        },
    )  # fmt: skip  # the pairs read better side by side

    assert (unlimited.memory(), unlimited.cpu()) == (None, None)
    assert (Cgroup(tmp_path / "none").memory(), Cgroup(tmp_path / "none").cpu()) == (None, None)


def test_a_limit_that_is_changed_counts_from_then_on(tmp_path: Path) -> None:
    """A job whose limit is raised while it runs is measured against the new one."""
    files = {"cg/memory.max": str(GIB), "cg/memory.current": "1"}
    found = cgroup(tmp_path, groups="0::/", mounts=["/ cg cgroup2 rw"], files=files)
    before = found.memory()
    (tmp_path / "sys/cg/memory.max").write_text(str(2 * GIB))

    assert before == MemoryLimit(GIB, 1)
    assert found.memory() == MemoryLimit(2 * GIB, 1)
