"""Units of the series that Rundial itself records, as `Metric.unit` carries them.

A user's own series has no unit: its name is theirs, and so is what it means. The names are API.

Source:
    OpenTelemetry semantic conventions, "Instrument units": UCUM, case sensitive, annotations in braces.
"""

from __future__ import annotations

import re

_PREFIX = "system/"
_GPU = re.compile(r"^system/gpu\.\d+\.")

# `N` stands for the number of a GPU.
UNITS = {
    "system/cpu.percent": "%",
    "system/cpu.count": "{cpu}",
    "system/memory.percent": "%",
    "system/memory.used_mb": "MiBy",
    "system/memory.total_mb": "MiBy",
    "system/load.1m": "{thread}",
    "system/load.5m": "{thread}",
    "system/load.15m": "{thread}",
    "system/disk.read_mb": "MiBy",
    "system/disk.write_mb": "MiBy",
    "system/disk.percent": "%",
    "system/network.sent_mb": "MiBy",
    "system/network.recv_mb": "MiBy",
    "system/process.rss_mb": "MiBy",
    "system/process.cpu_percent": "%",
    "system/process.threads": "{thread}",
    "system/process.open_files": "{file}",
    "system/gpu.N.util": "%",
    "system/gpu.N.mem_util": "%",
    "system/gpu.N.mem_used_mb": "MiBy",
    "system/gpu.N.mem_total_mb": "MiBy",
    "system/gpu.N.temp_c": "Cel",
    "system/gpu.N.power_w": "W",
    "system/rundial.cpu_percent": "%",
    "system/rundial.ring_percent": "%",
    "system/rundial.queue_depth": "{record}",
    "system/rundial.spool_mb": "MiBy",
    "system/rundial.written_mb": "MiBy",
    "system/rundial.sent_mb": "MiBy",
}


def unit_of(name: str) -> str:
    """Return the unit of a series, empty for one that has none."""
    if not name.startswith(_PREFIX):
        return ""
    return UNITS.get(_GPU.sub("system/gpu.N.", name), "")
