"""Numbered records of each signal, and what a server must have of them: all, once, in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rundial.diagnostics import RundialDiagnostics
from tests.support.collector import Collector

SIGNALS = ("points", "lines", "spans")
PATHS = {"points": "/v1/metrics", "lines": "/v1/logs", "spans": "/v1/traces"}


def log_each(run: Any, steps: Iterable[int]) -> None:
    """Log a point, a line and a span for each number."""
    for step in steps:
        assert run.log({"x": float(step)}, step=step)
        assert run.log_text(f"line {step}")
        with run.trace(f"span {step}"):
            pass


def number_of(record: Any) -> int | None:
    """The number of an OTLP record as it comes in a request; None for an event."""
    if hasattr(record, "as_double"):
        return int(record.as_double)
    if hasattr(record, "severity_number"):
        return None if record.event_name else int(record.body.string_value.split()[1])
    return int(record.name.split()[1])


def received(collector: Collector) -> dict[str, list[int]]:
    """The numbers that a collector has, by signal, each as often as it came."""
    return {
        "points": [int(point.value) for point in collector.points],
        "lines": [int(line.body.split()[1]) for line in collector.lines],
        "spans": sorted(int(span.name.split()[1]) for span in collector.spans),
    }


def stored_once(collector: Collector) -> dict[str, list[int]]:
    """The numbers that a server stores, which knows a record that comes again by its identity."""
    points = {
        (point.resource["service.instance.id"], point.name, point.step, point.time_unix_ns): point.value
        for point in collector.points
    }
    lines = {
        (line.resource["service.instance.id"], line.attributes["rundial.seq"]): line.body
        for line in collector.lines
    }
    spans = {(span.trace_id, span.span_id): span.name for span in collector.spans}
    return {
        "points": sorted(map(int, points.values())),
        "lines": sorted(int(body.split()[1]) for body in lines.values()),
        "spans": sorted(int(name.split()[1]) for name in spans.values()),
    }


def each(steps: Iterable[int]) -> dict[str, list[int]]:
    """The same numbers for each signal."""
    return {signal: list(steps) for signal in SIGNALS}


def has_all(collector: Collector, count: int) -> bool:
    """Whether so many records of each signal have come."""
    return min(len(collector.points), len(collector.lines), len(collector.spans)) >= count


def assert_account(
    found: RundialDiagnostics, *, waiting: int = 0, delivered: int = 0, rejected: dict[str, int] | None = None
) -> None:
    """The ledger closes, and says this of each signal; what was rejected is less delivered."""
    assert found.ledger.closes
    for name, account in found.ledger.signals().items():
        if name == "artifacts":
            assert not account.logged, "no file was logged"
            continue
        refused = (rejected or {}).get(name, 0)
        assert (account.waiting, account.delivered, account.rejected) == (
            waiting,
            delivered - refused,
            refused,
        ), name
        assert account.lost == refused, name
