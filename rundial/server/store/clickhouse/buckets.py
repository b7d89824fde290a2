"""A long series in buckets, made by ClickHouse: only buckets travel, and each of them keeps its spikes."""

from __future__ import annotations

import math
from typing import Final

from rundial.server.buckets import MAX_SHIFT, Bucket
from rundial.server.store.clickhouse.connection import ClickHouse
from rundial.server.store.parts import Span

# What each step shows: the latest attempt's point, and within it the one that was accepted last.
_SHOWN: Final = """
SELECT step, shown.1 AS time, shown.2 AS value FROM (
  SELECT step, argMax((time_unix_ns, value), (attempt, n)) AS shown FROM points
  WHERE series = {series:Int64} AND step BETWEEN {low:Int64} AND {high:Int64} AND n <= {mark:Int64}
  GROUP BY step
) WHERE time BETWEEN {start:Int64} AND {end:Int64}
"""
# Two neighbours part at every shift below the place of the highest bit in which they differ.
_PARTINGS: Final = f"""
SELECT roundToExp2(bitXor(toUInt64(step), toUInt64(previous))) AS highest, count() FROM (
  SELECT step,
    lagInFrame(step, 1, -1) OVER (ORDER BY step ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS previous
  FROM ({_SHOWN})
) WHERE previous >= 0 GROUP BY highest
"""
# Of equal values the earlier one is shown.
_BUCKETS: Final = f"""
SELECT
  count(), avg(value),
  min(value), argMin(step, (value, step)), argMin(time, (value, step)),
  max(value), argMax(step, (value, -step)), argMax(time, (value, -step)),
  min(step), max(step), min(time), max(time)
FROM ({_SHOWN})
GROUP BY intDiv(toUInt64(step), {{width:UInt64}}) AS bucket ORDER BY bucket
"""


def fitting_buckets(
    database: ClickHouse, series: int, span: Span, most: int, mark: int
) -> list[Bucket] | None:
    """Return what the steps of a range show, in at most so many buckets of the least width that fits.

    Returns:
        None when a mean leaves the range of a float: the points tell it then.
    """
    given = {
        "series": series,
        "low": max(0, span.low),
        "high": span.high,
        "start": span.start_unix_ns,
        "end": span.end_unix_ns,
        "mark": mark,
    }
    partings = {int(highest).bit_length(): count for highest, count in database.rows(_PARTINGS, **given)}
    filled, shift = 1, MAX_SHIFT
    while shift and filled + partings.get(shift, 0) <= most:
        filled += partings.get(shift, 0)
        shift -= 1
    buckets = [Bucket._make(row) for row in database.rows(_BUCKETS, width=1 << shift, **given)]
    return buckets if all(math.isfinite(each.mean) for each in buckets) else None
