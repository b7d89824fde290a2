"""OTLP metrics to series blocks. Pure; runs in a worker thread, about 1 µs a point.

Gauges and sums hold numbers and are kept as they are. A histogram or a summary is not a number,
and inventing one would be a false value: those are refused by partial success.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Final

from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint, ScopeMetrics

from rundial.server.anyvalue import canonical, digest, plain
from rundial.server.rows import NO_STEP, Refusals, SeriesBlock
from rundial.signals.semconv import STEP

MAX_NAME_CHARACTERS: Final = 1024
MAX_INT64: Final = 2**63 - 1
_BAD_STEP: Final = -2

_Columns = tuple[list[int], list[int], list[float]]


def blocks_of(scopes: Iterable[ScopeMetrics], refusals: Refusals) -> list[SeriesBlock]:
    """Decode a resource's metrics, counting what cannot be kept."""
    blocks: list[SeriesBlock] = []
    for scope in scopes:
        for metric in scope.metrics:
            blocks += _metric(metric, refusals)
    return blocks


def _metric(metric: Metric, refusals: Refusals) -> list[SeriesBlock]:
    kind = metric.WhichOneof("data")
    if kind is None:
        return []
    points = getattr(metric, kind).data_points  # `kind` is protobuf's own field name
    if kind not in ("gauge", "sum"):
        refusals.add(len(points), f"{kind} points are not kept yet; send gauges or sums")
        return []
    if not 0 < len(metric.name) <= MAX_NAME_CHARACTERS:
        refusals.add(len(points), f"a metric's name has 1 to {MAX_NAME_CHARACTERS} characters")
        return []
    blocks: list[SeriesBlock] = []
    for attributes, columns in _columns(points).items():
        steps, times, values = _checked(columns, refusals)
        if steps:
            # Named by position: SeriesBlock's fields follow the identity's order.
            blocks.append(
                SeriesBlock(metric.name, metric.unit, attributes, digest(attributes), steps, times, values)
            )
    return blocks


def _columns(points: Iterable[NumberDataPoint]) -> dict[str, _Columns]:
    """Split points by their attributes other than the step, into columns."""
    plainest: _Columns = ([], [], [])
    split: dict[str, _Columns] = {}
    add_step, add_time, add_value = plainest[0].append, plainest[1].append, plainest[2].append
    for point in points:
        attributes = point.attributes
        value = point.as_double
        if not value and not point.HasField("as_double"):
            value = _other_value(point)
        if len(attributes) == 1 and (pair := attributes[0]).key == STEP:
            held = pair.value
            step = held.int_value
            if step < 0 or (not step and not held.HasField("int_value")):
                step = _BAD_STEP
            add_step(step)
            add_time(point.time_unix_nano)
            add_value(value)
        else:
            step, key = _context(point)
            steps, times, values = split.setdefault(key, ([], [], []))
            steps.append(step)
            times.append(point.time_unix_nano)
            values.append(value)
    if not plainest[0]:
        return split
    steps, times, values = split.get("{}", ([], [], []))
    return {**split, "{}": (plainest[0] + steps, plainest[1] + times, plainest[2] + values)}


def _other_value(point: NumberDataPoint) -> float:
    """The value of a point that carries no double: an integer, or nothing (NaN, refused later)."""
    return float(point.as_int) if point.HasField("as_int") else float("nan")


def _context(point: NumberDataPoint) -> tuple[int, str]:
    """A point's step and its other attributes as canonical JSON."""
    step = NO_STEP
    context: dict[str, object] = {}
    for pair in point.attributes:
        if pair.key != STEP:
            context[pair.key] = plain(pair.value)
        elif pair.value.HasField("int_value") and pair.value.int_value >= 0:
            step = pair.value.int_value
        else:
            step = _BAD_STEP
    return step, canonical(context)


def _checked(columns: _Columns, refusals: Refusals) -> _Columns:
    """Leave out what cannot be kept; one look at the extremes spares good blocks a second pass."""
    steps, times, values = columns
    if min(steps) >= NO_STEP and min(times) > 0 and max(times) <= MAX_INT64 and isfinite(sum(values)):
        return columns
    kept: _Columns = ([], [], [])
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
