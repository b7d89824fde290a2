"""OpenTelemetry's metrics → data points of a run: what a periodic reader collects, each as it is.

A data point keeps its kind, temporality, scope, unit, exemplars and attributes, and gets the step of its
collection, which is the collection's number. A sum or gauge is a point of the series of its name, too; a
histogram has the series `<name>/count`, `/sum`, `/min` and `/max` beside it, in the same scope. Runs on the
reader's thread; of a collection's data points those beyond `MAX_POINTS` are dropped, counted.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Protocol

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData

from rundial.interrupts import let_through
from rundial.logger import logger
from rundial.signals import otelrequests, semconv
from rundial.signals.attributes import MAX_KEY_CHARS

MAX_POINTS = 2_000
MAX_NAME_CHARS = 512
MAX_ATTRIBUTES = 64
MAX_VALUE_BYTES = 1_024
# Kinds whose points are numbers.
_NUMBERS = ("gauge", "sum")

Context = tuple[tuple[str, str], ...]


class Points(Protocol):
    """Where points go: a run's recorder, or what makes one at the first record."""

    def data_point(self, scope: bytes, latest: Mapping[str, float]) -> bool:
        """Offer one data point, as a ScopeMetrics message."""
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

    def __init__(self, sink: Callable[[], Points], *, attributes: Context = (), first_step: int = 0) -> None:
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
        collection = _Collection(sink, own, step)
        try:
            for number, (lone, kind, point) in enumerate(otelrequests.lone_points(metrics_data)):
                if number < MAX_POINTS:
                    collection.record(lone, kind, point)
                else:
                    sink.drop("points", "queue_full", len(_values(kind, point, "")) or 1)
        except Exception as error:  # noqa: BLE001 - the program's own attributes are encoded here
            let_through(error)
            logger.warning("metrics could not be encoded and are counted internal_error", exc_info=error)
            sink.drop("points", "internal_error", max(0, _size(metrics_data) - collection.seen))
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Everything is with the recorder already."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing is kept here."""


class _Collection:
    """One collection on its way into a recorder.

    Attributes:
        seen: Data points so far.
    """

    def __init__(self, sink: Points, own: Context, step: int) -> None:
        self._sink = sink
        self._own = own
        self._step = step
        # By name and attributes, how many there were, of several scopes: a server tells the points of one
        # series by their times, and all points of a collection have one.
        self._alike: dict[tuple[str, bytes], int] = {}
        self.seen = 0

    def record(self, lone: Any, kind: str, point: Any) -> None:
        """Record one data point, and what of it is a series of its own."""
        self.seen += 1
        metric = lone.metrics[0]
        metric.name = metric.name[: MAX_NAME_CHARS - 6]
        is_plain = not point.attributes
        self._place(metric.name, point)
        values = _values(kind, point, metric.name)
        finite = {name: value for name, value in values.items() if isfinite(value)}
        if len(finite) < len(values):
            self._sink.drop("points", "non_finite", len(values) - len(finite))
        if kind in _NUMBERS:
            if finite:
                self._sink.data_point(lone.SerializeToString(), finite if is_plain else {})
            return
        if len(finite) == len(values):
            self._sink.data_point(lone.SerializeToString(), {})
        else:
            self._sink.drop("points", "non_finite", 1)
        for name, value in finite.items():
            number = _number(lone, name, point, value)
            self._sink.data_point(number.SerializeToString(), {name: value} if is_plain else {})

    def _place(self, name: str, point: Any) -> None:
        """Give a point its step and the run's own attributes, and a time of its own."""
        attributes = point.attributes
        for index in range(len(attributes) - 1, -1, -1):
            attributes[index].key = attributes[index].key[:MAX_KEY_CHARS]
            if attributes[index].key == semconv.STEP:
                del attributes[index]
        otelrequests.cut_attributes(attributes, MAX_ATTRIBUTES, MAX_VALUE_BYTES)
        alike = (name, b"".join(sorted(each.SerializeToString() for each in attributes)))
        point.time_unix_nano += self._alike.get(alike, 0)
        self._alike[alike] = self._alike.get(alike, 0) + 1
        for key, value in self._own:
            attributes.add(key=key).value.string_value = value
        attributes.add(key=semconv.STEP).value.int_value = self._step


def _values(kind: str, point: Any, name: str) -> dict[str, float]:
    """Return what a point says as numbers, by the name of the series; nothing where it says none."""
    if kind in _NUMBERS:
        field = point.WhichOneof("value")
        return {name: float(getattr(point, field))} if field else {}
    values = {f"{name}/count": float(point.count), f"{name}/sum": point.sum}
    if point.count and point.HasField("min"):
        values |= {f"{name}/min": point.min, f"{name}/max": point.max}
    return values


def _number(lone: Any, name: str, of: Any, value: float) -> Any:
    """Return one number of a histogram as a gauge in the same scope."""
    number = otelrequests.ScopeMetrics(scope=lone.scope, schema_url=lone.schema_url)
    unit = "" if name.endswith("/count") else lone.metrics[0].unit
    point = number.metrics.add(name=name, unit=unit).gauge.data_points.add(
        time_unix_nano=of.time_unix_nano, as_double=value
    )
    point.attributes.extend(of.attributes)
    return number


def _size(collected: MetricsData) -> int:
    return sum(
        len(metric.data.data_points)
        for resource in collected.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )
