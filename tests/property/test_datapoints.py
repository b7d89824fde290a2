"""Metric points that are more than a number: what is sent is what is kept."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
)

from rundial.server.datapoints import rows_of
from rundial.server.rows import MAX_INT64, Refusals
from tests.support import otlp

COUNTS = st.integers(0, 2**64 - 1)
FLOATS = st.floats(allow_nan=False)
TIMES = st.integers(1, MAX_INT64)


def kept(kind: str, point: Any) -> dict[str, Any]:
    """The body of a point's only row."""
    refusals = Refusals()
    (row,) = rows_of(Metric(name="m"), kind, [point], refusals)
    assert refusals.items == 0
    assert (row.time_unix_ns, row.start_unix_ns) == (point.time_unix_nano, point.start_time_unix_nano)
    found = json.loads(row.body)
    assert isinstance(found, dict)
    return found


@given(st.data(), TIMES, st.lists(FLOATS, max_size=20, unique=True).map(sorted), COUNTS, FLOATS)
def test_a_histogram_is_kept_bucket_by_bucket(
    data: st.DataObject, time: int, bounds: list[float], count: int, total: float
) -> None:
    """Counts as whole numbers up to 64 bits, bounds as the same doubles, infinite ones too."""
    counts = data.draw(st.lists(COUNTS, min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    point = HistogramDataPoint(
        time_unix_nano=time, count=count, sum=total, explicit_bounds=bounds, bucket_counts=counts
    )

    body = kept("histogram", point)

    assert (body["bounds"], body["counts"], body["count"], body["sum"]) == (bounds, counts, count, total)
    assert (body["min"], body["max"]) == (None, None)


@given(st.lists(COUNTS, max_size=20), st.lists(COUNTS, max_size=20), st.integers(-(2**31), 2**31 - 1), COUNTS)
def test_an_exponential_histogram_is_kept_bucket_by_bucket(
    above: list[int], below: list[int], number: int, zero: int
) -> None:
    """Both sides, with their offsets."""
    point = ExponentialHistogramDataPoint(
        time_unix_nano=1,
        scale=number,
        zero_count=zero,
        positive={"offset": number, "bucket_counts": above},
        negative={"offset": number, "bucket_counts": below},
    )

    body = kept("exponential_histogram", point)

    assert (body["scale"], body["zeroCount"]) == (number, zero)
    assert body["positive"] == {"offset": number, "counts": above}
    assert body["negative"] == {"offset": number, "counts": below}


@given(st.integers(-(2**63), MAX_INT64), st.text(max_size=5), st.integers(0, 1), st.integers(0, 9))
def test_two_points_share_an_identity_only_when_they_are_one(
    number: int, name: str, start: int, step: int
) -> None:
    """Whatever differs but the value makes another row; the value is the point's own."""

    def row(**changed: Any) -> Any:
        said = {"name": name, "start": start, "step": step, "unit": "", **changed}
        point = otlp.point(said["step"], 0.0, time=1)
        point.start_time_unix_nano = said["start"]
        point.as_int = said.get("value", number)
        metric = Metric(name=said["name"], unit=said["unit"])
        metric.sum.is_monotonic = said.get("monotonic", False)
        (found,) = rows_of(metric, "sum", [point], Refusals())
        return found

    assert json.loads(row().body)["value"] == number
    assert row().digest == row(value=0).digest
    others = [
        row(name=name + "x"),
        row(unit="s"),
        row(start=start + 1),
        row(step=step + 1),
        row(monotonic=True),
    ]
    assert len({each.digest for each in [row(), *others]}) == 6


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_sum_is_kept_when_its_series_takes_it(value: float) -> None:
    """The two never disagree about which numbers there are."""
    point = NumberDataPoint(time_unix_nano=1, as_double=value)

    rows = rows_of(Metric(name="m"), "sum", [point], Refusals())

    assert len(rows) == (value - value == 0)
