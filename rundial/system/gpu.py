"""The accelerators of this machine, one group of series each."""

from __future__ import annotations

from rundial.system import nvml


class Gpus:
    """The GPUs that were there when they were first asked for; kept for the life of the process."""

    def __init__(self) -> None:
        self._devices: dict[int, nvml.Device] | None = None

    def read(self) -> dict[str, float]:
        """Return what each tells of itself; one that vanishes is left out from then on."""
        if self._devices is None:
            self._devices = dict(enumerate(nvml.devices()))
        found: dict[str, float] = {}
        for number, device in list(self._devices.items()):
            values = device.read()
            if device.is_lost:
                # Asking a GPU that is gone can take the driver seconds, each time.
                del self._devices[number]
            found |= {f"system/gpu.{number}.{name}": float(value) for name, value in values.items()}
        return found
