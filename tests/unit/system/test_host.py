"""The machine's own figures, and a container's part of them."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from rundial.system.cgroup import Cgroup
from rundial.system.host import Host
from rundial.system.readings import MIB, Readings
from tests.support.clock import ManualClock
from tests.support.waiting import wait_until
from tests.unit.system.builders import cgroup, write


@pytest.fixture
def no_limits(tmp_path: Path) -> Cgroup:
    """Control groups without a limit, whatever this machine has."""
    return Cgroup(tmp_path / "no proc")


def test_host_tells_cpu_memory_load_and_file_system(tmp_path: Path, no_limits: Cgroup) -> None:
    """The machine's figures are there, in their ranges."""
    host = Host(str(tmp_path), cgroup=no_limits)
    found = host.memory() | host.load() | host.file_system()
    wait_until(lambda: "system/cpu.percent" in host.cpu(), 10)

    assert 0 < found["system/memory.percent"] < 100
    assert found["system/memory.total_mb"] == psutil.virtual_memory().total / MIB
    assert found["system/memory.used_mb"] < found["system/memory.total_mb"]
    assert 0 < found["system/disk.percent"] <= 100
    assert all(found[f"system/load.{span}"] >= 0 for span in ("1m", "5m", "15m"))
    assert 1 <= host.cpu()["system/cpu.count"] <= (os.cpu_count() or 1)


def test_host_has_no_cpu_share_of_a_moment(tmp_path: Path, no_limits: Cgroup) -> None:
    """A share of almost no time is left out rather than made up."""
    assert "system/cpu.percent" not in Host(str(tmp_path), cgroup=no_limits).cpu()


def test_network_leaves_the_loopback_out(tmp_path: Path, no_limits: Cgroup) -> None:
    """Traffic of a machine with itself is no traffic; what is left is psutil's own count."""
    counts = psutil.net_io_counters(pernic=True, nowrap=False)
    real = sum(count.bytes_sent for name, count in counts.items() if name not in ("lo", "lo0"))

    found = Host(str(tmp_path), cgroup=no_limits).network()["system/network.sent_mb"]
    assert real / MIB <= found < real / MIB + 1024


def test_host_in_a_container_is_measured_against_its_limits(tmp_path: Path, clock: ManualClock) -> None:
    """A container that has used all it may have is at 100 %, however large the machine is."""
    total = psutil.virtual_memory().total
    limits = cgroup(
        tmp_path,
        groups="0::/",
        mounts=["/ cg cgroup2 rw"],
        files={
            "cg/memory.max": str(total // 2), "cg/memory.current": str(total // 4),
            "cg/cpu.max": "50000 100000", "cg/cpu.stat": "usage_usec 0",
        },
    )  # fmt: skip  # the pairs read better side by side
    host = Host(str(tmp_path), cgroup=limits, clock=clock)
    clock.advance(10)
    write(tmp_path, {"sys/cg/cpu.stat": "usage_usec 4000000"})

    assert host.memory()["system/memory.percent"] == pytest.approx(50, abs=0.01)
    assert host.memory()["system/memory.total_mb"] == (total // 2) / MIB
    # Four of the five seconds that half a core has in ten.
    assert host.cpu() == {"system/cpu.percent": pytest.approx(80), "system/cpu.count": 0.5}


def test_a_limit_beyond_the_machine_is_none(tmp_path: Path) -> None:
    """A limit that the machine cannot reach does not make it look larger than it is."""
    total = psutil.virtual_memory().total
    files = {"cg/memory.max": str(4 * total), "cg/memory.current": "1", "cg/cpu.max": "99900000 100000"}
    limits = cgroup(tmp_path, groups="0::/", mounts=["/ cg cgroup2 rw"], files=files)
    host = Host(str(tmp_path), cgroup=limits)

    assert host.memory()["system/memory.total_mb"] == total / MIB
    assert host.cpu()["system/cpu.count"] <= (os.cpu_count() or 1)


def test_host_without_its_directory_tells_the_rest(tmp_path: Path, no_limits: Cgroup) -> None:
    """A spool directory that somebody removed costs one figure."""
    found = Readings(Host(str(tmp_path / "gone"), cgroup=no_limits).sources)()

    assert "system/disk.percent" not in found
    assert "system/memory.percent" in found
