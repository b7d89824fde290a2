"""GPUs by NVIDIA's management library: a fake one, loaded and called as the real one is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import nvml
from tests.support.scripts import run_script

READ = """
    from rundial.system.gpu import Gpus
    gpus = Gpus()
    found = [gpus.read()]
    open(given["lost"], "w").close()
    found += [gpus.read(), gpus.read()]
    print(json.dumps(found))
"""
SECOND = {
    "system/gpu.1.util": 91,
    "system/gpu.1.mem_util": 41,
    "system/gpu.1.mem_used_mb": 21 * 1024,
    "system/gpu.1.mem_total_mb": 80 * 1024,
    "system/gpu.1.temp_c": 61,
}


@pytest.fixture
def readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    """Three readings of two GPUs, of which the first is lost after the first reading."""
    lost = tmp_path / "lost"
    monkeypatch.setenv("FAKE_NVML_LOST", str(lost))
    nvml.install(tmp_path, monkeypatch)
    done = run_script(READ, lost=str(lost))
    assert done.status == 0, done.stderr
    found: list[dict[str, float]] = json.loads(done.stdout)
    return found


def test_each_gpu_has_its_series(readings: list[dict[str, float]]) -> None:
    """Utilisation, memory, temperature and power under the published names; what one lacks is left out."""
    assert readings[0] == {
        "system/gpu.0.util": 90,
        "system/gpu.0.mem_util": 40,
        "system/gpu.0.mem_used_mb": 20 * 1024,
        "system/gpu.0.mem_total_mb": 80 * 1024,
        "system/gpu.0.temp_c": 60,
        "system/gpu.0.power_w": 350.5,
        **SECOND,
    }


def test_a_gpu_that_vanishes_is_not_asked_again(readings: list[dict[str, float]]) -> None:
    """A GPU that falls off the bus ends its own series and costs nothing: asking it again would kill here."""
    assert readings[1:] == [SECOND, SECOND]


def test_a_library_without_a_driver_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that has the library and no driver has no GPU, and no error."""
    nvml.install(tmp_path, monkeypatch)
    monkeypatch.setenv("FAKE_NVML_BROKEN", "1")
    done = run_script(READ, lost=str(tmp_path / "lost"))

    assert (done.status, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [{}, {}, {}]


def test_a_library_that_is_none_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of that name that cannot be loaded is as good as none."""
    (tmp_path / "libnvidia-ml.so.1").write_text("not a library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    done = run_script("from rundial.system import nvml; print(nvml.devices())")

    assert (done.status, done.stderr) == (0, "")
    assert done.stdout == "[]\n"
