"""For tests of code that uses Rundial: record without a server, and read back what was recorded.

With pytest, nothing has to be set up: the fixtures `rundial_run` and `rundial_recorded` are there
(`rundial.testing.plugin`), and do nothing in tests that do not ask for them. Without pytest, `recording`
is the same as a context manager. Names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rundial.testing.clock import ManualClock as ManualClock
    from rundial.testing.ids import IncrementalIds as IncrementalIds
    from rundial.testing.isolation import recording as recording
    from rundial.testing.recorded import Recorded as Recorded

_HOMES = {
    "IncrementalIds": "rundial.testing.ids",
    "ManualClock": "rundial.testing.clock",
    "Recorded": "rundial.testing.recorded",
    "recording": "rundial.testing.isolation",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'rundial.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
