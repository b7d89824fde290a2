"""NVIDIA's management library, by ctypes: no package to install, no program to start.

The ordinary loader finds `libnvidia-ml.so.1`, which comes with the driver. Its calls release the
interpreter's lock. What a GPU does not support is left out; a GPU that is lost is not asked again.

Source:
    NVML API reference: nvmlInit_v2, nvmlDeviceGet*, nvmlReturn_t.
"""

from __future__ import annotations

import ctypes
from ctypes import CDLL, Structure, byref, c_uint, c_ulonglong, c_void_p

from rundial.system.readings import MIB

LIBRARY = "libnvidia-ml.so.1"

_SUCCESS = 0
_GONE = frozenset({1, 15})  # NVML_ERROR_UNINITIALIZED, NVML_ERROR_GPU_IS_LOST
_TEMPERATURE_OF_GPU = 0
_MILLIWATTS = 1000


class _Utilization(Structure):
    _fields_ = (("gpu", c_uint), ("memory", c_uint))


class _Memory(Structure):
    _fields_ = (("total", c_ulonglong), ("free", c_ulonglong), ("used", c_ulonglong))


class Device:
    """One GPU.

    Args:
        library: NVML, initialised.
        handle: NVML's own name of the GPU.

    Attributes:
        is_lost: It fell off the bus, or the driver is gone.
    """

    def __init__(self, library: CDLL, handle: c_void_p) -> None:
        self._library = library
        self._handle = handle
        self.is_lost = False

    def read(self) -> dict[str, float]:
        """Return what it tells of itself, by the last part of the series' name."""
        found: dict[str, float] = {}
        busy, memory, number = _Utilization(), _Memory(), c_uint()
        if self._ask("nvmlDeviceGetUtilizationRates", byref(busy)):
            found |= {"util": busy.gpu, "mem_util": busy.memory}
        if self._ask("nvmlDeviceGetMemoryInfo", byref(memory)):
            found |= {"mem_used_mb": memory.used / MIB, "mem_total_mb": memory.total / MIB}
        if self._ask("nvmlDeviceGetTemperature", c_uint(_TEMPERATURE_OF_GPU), byref(number)):
            found["temp_c"] = number.value
        if self._ask("nvmlDeviceGetPowerUsage", byref(number)):
            found["power_w"] = number.value / _MILLIWATTS
        return {} if self.is_lost else found

    def _ask(self, function: str, *arguments: object) -> bool:
        if self.is_lost:
            return False
        answer = _call(self._library, function, self._handle, *arguments)
        self.is_lost = answer in _GONE
        return answer == _SUCCESS


def devices() -> list[Device]:
    """Return this machine's GPUs in NVML's order; none where there is no driver."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return []
    if _call(library, "nvmlInit_v2") != _SUCCESS:
        return []
    count = c_uint()
    if _call(library, "nvmlDeviceGetCount_v2", byref(count)) != _SUCCESS:
        return []
    found: list[Device] = []
    for index in range(count.value):
        handle = c_void_p()
        device = Device(library, handle)
        # One that gives no handle keeps its number, so that the others keep theirs.
        answer = _call(library, "nvmlDeviceGetHandleByIndex_v2", c_uint(index), byref(handle))
        device.is_lost = answer != _SUCCESS
        found.append(device)
    return found


def _call(library: CDLL, function: str, *arguments: object) -> int:
    """Return NVML's answer; an old library that lacks a function does not support it."""
    entry = getattr(library, function, None)
    return -1 if entry is None else int(entry(*arguments))
