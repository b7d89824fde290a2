"""An exporter of OpenTelemetry's, as the sender sees it: a transport that hands over objects.

What it refuses, or raises on, is counted as refused and not tried again: exporters retry by themselves. One
that hangs holds up its own sender alone.

Threads: the sender's.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from typing import Any

from rundial.export.outcome import Accepted, Outcome, Partial
from rundial.interrupts import let_through
from rundial.signals.split import count_items

_LANES = {
    "SpanExporter": ("traces",),
    "LogRecordExporter": ("events", "logs"),
    "MetricExporter": ("metrics",),
}


def lanes_of(exporter: object) -> tuple[str, ...]:
    """Return the lanes that an exporter takes; none for what is no exporter.

    Its kind is told by the name of the class that it is derived from, so that nothing is imported for it.
    """
    names = [kind.__name__ for kind in type(exporter).__mro__]
    return next((lanes for name, lanes in _LANES.items() if name in names), ())


class ExporterTransport:
    """Hands each request's records to an exporter.

    Args:
        exporter: The exporter.
        decode: Turns (lane, plain request body) into what it takes.
    """

    def __init__(self, exporter: Any, decode: Callable[[str, bytes], Any]) -> None:
        self._exporter = exporter
        self._decode = decode

    def post(
        self, url: str, body: bytes, *, is_gzip: bool, headers: Mapping[str, str], timeout_s: float
    ) -> Outcome:
        """Export a request's records; `url` ends in the lane."""
        del headers, timeout_s
        lane = url.rpartition(":")[2]
        plain = gzip.decompress(body) if is_gzip else body
        if not plain:
            return Accepted()
        try:
            result = self._exporter.export(self._decode(lane, plain))
            if getattr(result, "name", "") == "SUCCESS":
                return Accepted()
            why = f"answered {getattr(result, 'name', result)}"
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on and it is counted
            let_through(error)
            # Not its words, which may hold what was exported, or a key.
            why = f"raised {type(error).__name__}"
        return Partial(count_items(lane, plain), why)

    def abort(self) -> None:
        """An exporter cannot be interrupted; whoever stops the sender waits no longer than it says."""

    def close(self) -> None:
        """Shut the exporter down; the program has handed it over."""
        try:
            self._exporter.shutdown()
        except Exception as error:  # noqa: BLE001 - nothing is left to lose
            let_through(error)
