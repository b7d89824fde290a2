"""OpenTelemetry's metrics → points of a run: what a periodic reader collects, one row for each data point.

A sum or gauge is the series of its name; a histogram is `<name>/count`, `/sum`, `/min` and `/max`. A data
point's attributes are the points' context. Points of one collection have one step, the number of the
collection. Runs on the reader's thread; of a collection's data points those beyond `MAX_POINTS` are dropped,
counted.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from typing import Any, Protocol

from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
)

from rundial.signals import semconv
from rundial.signals.attributes import MAX_KEY_CHARS, as_text

MAX_POINTS = 2_000
MAX_NAME_CHARS = 512
MAX_ATTRIBUTES = 64
MAX_VALUE_CHARS = 1_024

Context = tuple[tuple[str, str], ...]


class Rows(Protocol):
    """Where points go: a run's recorder, or what makes one at the first record."""

    def key_set(self, names: Sequence[str], attributes: Context) -> Any:
        """Return the key set of these names."""
        ...

    def row(self, keys: Any, body: bytes, step: int, explicit_ns: int = 0) -> bool:
        """Offer one row of points."""
        ...

    def drop(self, signal: Any, reason: Any, units: int) -> None:
        """Count units that never entered the recorder."""
        ...


class RecorderMetricExporter(MetricExporter):
    """Writes what a reader has collected to one run's recorder.

    Args:
        sink: Returns where it goes; another one after a fork.
        attributes: Of every point, such as the rank.
        first_step: The first collection's step.
    """

    def __init__(self, sink: Callable[[], Rows], *, attributes: Context = (), first_step: int = 0) -> None:
        super().__init__()
        self._sink = sink
        self._attributes = attributes
        self._steps = itertools.count(first_step)
        self._pid = os.getpid()

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Record one collection; what cannot be recorded is counted, and nothing is tried again."""
        del timeout_millis, kwargs
        sink, step = self._sink(), next(self._steps)
        # What a forked child goes on counting is its own, and no second value of its parent's series.
        own = self._attributes
        if os.getpid() != self._pid:
            own = (*own, (semconv.PROCESS_PID, str(os.getpid())))
        for number, (values, attributes) in enumerate(_rows(metrics_data)):
            if number < MAX_POINTS:
                _record(sink, values, own + _context(attributes), step)
            else:
                sink.drop("points", "queue_full", len(values))
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Everything is with the recorder already."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing is kept here."""


def _record(sink: Rows, values: dict[str, float], context: Context, step: int) -> None:
    finite = {name: value for name, value in values.items() if isfinite(value)}
    if len(finite) < len(values):
        sink.drop("points", "non_finite", len(values) - len(finite))
    if finite:
        keys = sink.key_set(tuple(finite), context)
        sink.row(keys, keys.pack(*finite.values()), step)


def _rows(collected: MetricsData) -> Iterator[tuple[dict[str, float], Any]]:
    """The values and attributes of each data point."""
    for resource in collected.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                name = metric.name[: MAX_NAME_CHARS - 6]
                for point in metric.data.data_points:
                    yield _values(name, point), point.attributes


def _values(name: str, point: Any) -> dict[str, float]:
    if isinstance(point, NumberDataPoint):
        return {name: float(point.value)}
    values = {f"{name}/count": float(point.count), f"{name}/sum": float(point.sum)}
    if point.count:
        values |= {f"{name}/min": float(point.min), f"{name}/max": float(point.max)}
    return values


def _context(attributes: Any) -> Context:
    pairs = itertools.islice((attributes or {}).items(), MAX_ATTRIBUTES)
    return tuple(
        sorted((as_text(key)[:MAX_KEY_CHARS], as_text(value)[:MAX_VALUE_CHARS]) for key, value in pairs)
    )
