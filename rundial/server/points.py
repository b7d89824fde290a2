"""OTLP metrics to the points of series, from any program. Pure; runs in a worker thread, about 1 µs a point.

Gauges and sums hold numbers and are kept as they are. A histogram or a summary is not a number, and
inventing one would be a false value: those, and what a number's point says beside it, go to `datapoints`.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Final

from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint, ScopeMetrics

from rundial.server.datapoints import KINDS, has_more, has_no_value, rows_of, step_and_context
from rundial.server.rows import BAD_STEP, MAX_INT64, NO_STEP, Columns, Delivery, Refusals
from rundial.signals.semconv import STEP

MAX_NAME_CHARACTERS: Final = 1024

# Columns that grow.
_Growing = tuple[list[int], list[int], list[float]]


def add_metrics(scopes: Iterable[ScopeMetrics], delivery: Delivery, refusals: Refusals) -> None:
    """Add a resource's points to its delivery, counting what cannot be kept."""
    for scope in scopes:
        for metric in scope.metrics:
            _add_metric(metric, delivery, refusals)


def _add_metric(metric: Metric, delivery: Delivery, refusals: Refusals) -> None:
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    points = getattr(metric, kind).data_points  # `kind` is protobuf's own field name
    if kind not in KINDS:
        refusals.add(len(points), f"{kind} points are not known here")
        return
    if not 0 < len(metric.name) <= MAX_NAME_CHARACTERS:
        refusals.add(len(points), f"a metric's name has 1 to {MAX_NAME_CHARACTERS} characters")
        return
    if kind not in ("gauge", "sum"):
        delivery.data_points += rows_of(metric, kind, points, refusals)
        return
    found, odd = _columns(points)
    more = points if kind == "sum" else [point for point in odd if has_more(point)]
    if more:
        delivery.data_points += rows_of(metric, kind, more, refusals)
    for attributes, columns in found.items():
        kept = checked(columns, refusals)
        if kept[0]:
            delivery.add_points(metric.name, metric.unit, attributes, kept)


def _columns(points: Iterable[NumberDataPoint]) -> tuple[dict[str, _Growing], list[NumberDataPoint]]:
    """Split points by their attributes other than the step, into columns; and which may say more."""
    odd: list[NumberDataPoint] = []
    plainest: _Growing = ([], [], [])
    split: dict[str, _Growing] = {}
    add_step, add_time, add_value = plainest[0].append, plainest[1].append, plainest[2].append
    for point in points:
        # In this loop, for its own would cost half as much again as the whole of this one.
        if point.flags or point.exemplars:
            odd.append(point)
            if has_no_value(point):
                continue
        attributes = point.attributes
        value = point.as_double
        if not value and not point.HasField("as_double"):
            value = _other_value(point)
        if len(attributes) == 1 and (pair := attributes[0]).key == STEP:
            held = pair.value
            step = held.int_value
            if step < 0 or (not step and not held.HasField("int_value")):
                step = BAD_STEP
            add_step(step)
            add_time(point.time_unix_nano)
            add_value(value)
        else:
            step, key = step_and_context(point)
            steps, times, values = split.setdefault(key, ([], [], []))
            steps.append(step)
            times.append(point.time_unix_nano)
            values.append(value)
    if not plainest[0]:
        return split, odd
    steps, times, values = split.get("{}", ([], [], []))
    return {**split, "{}": (plainest[0] + steps, plainest[1] + times, plainest[2] + values)}, odd


def _other_value(point: NumberDataPoint) -> float:
    """The value of a point that carries no double: an integer, or nothing (NaN, refused later)."""
    return float(point.as_int) if point.HasField("as_int") else float("nan")


def checked(columns: Columns, refusals: Refusals) -> Columns:
    """Leave out what cannot be kept; one look at the extremes spares good blocks a second pass."""
    steps, times, values = columns
    if min(steps) >= NO_STEP and min(times) > 0 and max(times) <= MAX_INT64 and isfinite(sum(values)):
        return columns
    kept: _Growing = ([], [], [])
    for step, time, value in zip(steps, times, values, strict=True):
        reason = _refusal(step, time, value)
        if reason:
            refusals.add(1, reason)
        else:
            kept[0].append(step)
            kept[1].append(time)
            kept[2].append(value)
    return kept


def _refusal(step: int, time: int, value: float) -> str:
    if step < NO_STEP:
        return f"{STEP} must be an integer ≥ 0"
    if not 0 < time <= MAX_INT64:
        return "time_unix_nano must be 1 to 2^63-1"
    return "" if isfinite(value) else "a point's value must be a finite number"
