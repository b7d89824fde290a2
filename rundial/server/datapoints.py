"""OTLP metric points that are more than a number: sums, histograms, summaries, and exemplars. Pure.

A gauge's point is a number, and a series is made of those. Everything else that a point says is kept beside
them, exactly as it was sent: whole numbers as whole numbers, bucket by bucket. A sum is both: its value
stands in a series, and what kind of sum it is, since when, and its exact value, here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import isfinite, isnan
from typing import Any, Final

from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags, Metric

from rundial.server.anyvalue import canonical, digest, mapping, plain
from rundial.server.rows import BAD_STEP, MAX_INT64, NO_STEP, DataPointRow, Refusals
from rundial.signals.semconv import STEP

MAX_BUCKETS: Final = 10_000
KINDS: Final[Mapping[str, str]] = {
    "gauge": "gauge",
    "sum": "sum",
    "histogram": "histogram",
    "exponential_histogram": "exponentialHistogram",
    "summary": "summary",
}
_TEMPORALITY: Final = ("unspecified", "delta", "cumulative")
_NO_VALUE: Final = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK


def has_more(point: Any) -> bool:
    """Whether a gauge's or sum's point says more than its number: exemplars, or that there is none."""
    return bool(point.exemplars) or has_no_value(point)


def has_no_value(point: Any) -> bool:
    """Whether a point says that nothing was recorded, as when a target has gone."""
    return bool(point.flags & _NO_VALUE)


def rows_of(metric: Metric, kind: str, points: Iterable[Any], refusals: Refusals) -> list[DataPointRow]:
    """Read points of a metric, counting what cannot be kept.

    Args:
        metric: Theirs.
        kind: The name of protobuf's own field that holds them.
        points: Some or all of them.
        refusals: Takes those that are refused, but for numbers, which are refused as points of a series.
    """
    held = getattr(metric, kind)  # `kind` is protobuf's own field name
    common: dict[str, object] = {}
    if kind != "gauge" and kind != "summary":
        number = held.aggregation_temporality
        common["temporality"] = _TEMPORALITY[number] if number < len(_TEMPORALITY) else _TEMPORALITY[0]
    if kind == "sum":
        common["monotonic"] = held.is_monotonic
    rows = []
    for point in points:
        is_number = kind in ("gauge", "sum") and not has_no_value(point)
        step, attributes = step_and_context(point)
        body: dict[str, object] | str = _refusal(point, step)
        if not body:
            body = {} if has_no_value(point) else _BODIES[kind](point)
        if isinstance(body, str):
            if not is_number:
                refusals.add(1, body)
            continue
        rows.append(_row(metric, kind, point, (step, attributes), {**common, **body}, is_number=is_number))
    return rows


def step_and_context(point: Any) -> tuple[int, str]:
    """A point's step, `BAD_STEP` for a wrong one, and its other attributes as canonical JSON."""
    step = NO_STEP
    context: dict[str, object] = {}
    for pair in point.attributes:
        if pair.key != STEP:
            context[pair.key] = plain(pair.value)
        elif pair.value.HasField("int_value") and pair.value.int_value >= 0:
            step = pair.value.int_value
        else:
            step = BAD_STEP
    return step, canonical(context)


def _row(
    metric: Metric,
    kind: str,
    point: Any,
    place: tuple[int, str],
    body: dict[str, object],
    *,
    is_number: bool,
) -> DataPointRow:
    step, attributes = place
    if has_no_value(point):
        body["noRecordedValue"] = True
    exemplars = getattr(point, "exemplars", ())  # a summary has none
    if exemplars:
        body["exemplars"] = [_exemplar(each) for each in exemplars]
    start = point.start_time_unix_nano
    temporality, monotonic = body.get("temporality", ""), body.get("monotonic", "")
    identity = (metric.name, metric.unit, kind, attributes, f"{step} {start} {temporality} {monotonic}")
    return DataPointRow(
        name=metric.name,
        unit=metric.unit,
        kind=KINDS[kind],
        attributes=attributes,
        digest=digest(*identity),
        step=step,
        start_unix_ns=start,
        time_unix_ns=point.time_unix_nano,
        body=canonical(body),
        is_number=is_number,
    )


def _refusal(point: Any, step: int) -> str:
    if step < NO_STEP:
        return f"{STEP} must be an integer ≥ 0"
    if not 0 < point.time_unix_nano <= MAX_INT64 or point.start_time_unix_nano > MAX_INT64:
        return "time_unix_nano must be 1 to 2^63-1"
    return ""


def _number(point: Any) -> dict[str, object] | str:
    if point.HasField("as_int"):
        return {"value": point.as_int}
    if point.HasField("as_double") and isfinite(point.as_double):
        return {"value": point.as_double}
    return "a point's value must be a finite number"


def _histogram(point: Any) -> dict[str, object] | str:
    bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
    if len(counts) > MAX_BUCKETS:
        return f"a histogram has at most {MAX_BUCKETS:,} buckets"
    if len(counts) != len(bounds) + 1 and (counts or bounds):
        return "a histogram has one bucket more than bounds"
    if any(map(isnan, bounds)) or any(high <= low for low, high in pairwise(bounds)):
        return "a histogram's bounds must rise"
    return {**_count_and_sum(point), "bounds": bounds, "counts": counts}


def _exponential(point: Any) -> dict[str, object] | str:
    positive, negative = point.positive, point.negative
    if len(positive.bucket_counts) + len(negative.bucket_counts) > MAX_BUCKETS:
        return f"a histogram has at most {MAX_BUCKETS:,} buckets"
    return {
        **_count_and_sum(point),
        "scale": point.scale,
        "zeroCount": point.zero_count,
        "zeroThreshold": point.zero_threshold,
        "positive": {"offset": positive.offset, "counts": list(positive.bucket_counts)},
        "negative": {"offset": negative.offset, "counts": list(negative.bucket_counts)},
    }


def _summary(point: Any) -> dict[str, object] | str:
    if len(point.quantile_values) > MAX_BUCKETS:
        return f"a summary has at most {MAX_BUCKETS:,} quantiles"
    quantiles = [{"quantile": each.quantile, "value": each.value} for each in point.quantile_values]
    return {"count": point.count, "sum": point.sum, "quantiles": quantiles}


_BODIES: Final = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _exponential,
    "summary": _summary,
}


def _count_and_sum(point: Any) -> dict[str, object]:
    """What both kinds of histogram say of all their values; None for what was not said."""
    names: Sequence[str] = ("sum", "min", "max")
    said = {name: getattr(point, name) if point.HasField(name) else None for name in names}
    return {"count": point.count, **said}


def _exemplar(exemplar: Any) -> dict[str, object]:
    kind = exemplar.WhichOneof("value")
    return {
        "value": getattr(exemplar, kind) if kind else None,
        "timestampNs": str(exemplar.time_unix_nano),
        "traceId": exemplar.trace_id.hex() or None,
        "spanId": exemplar.span_id.hex() or None,
        "attributes": mapping(exemplar.filtered_attributes),
    }
