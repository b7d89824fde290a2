"""A long series in buckets, made by ClickHouse: only buckets travel, and each of them keeps its spikes.

A bucket's extreme is one text that sorts as the value does and, among equal values, as the step does: 8 bytes
of the value, 8 of the step, both of them big-endian, and 8 of the time behind them. ClickHouse compares such
texts quickly; tuples of the same parts cost it three times as much.
"""

from __future__ import annotations

import math
import struct
from typing import Any, Final

from rundial.server.buckets import MAX_SHIFT, Bucket, fitting_shift, merged
from rundial.server.store.clickhouse.connection import ClickHouse
from rundial.server.store.clickhouse.mark import Seen
from rundial.server.store.parts import Span

_SIGN: Final = 2**63
_ALL: Final = 2**64 - 1
# So many times as many buckets as are wanted are asked for at first: then the right ones are made of them.
_FINER: Final = 4

# What each step shows: the latest attempt's point, and within it the one that was accepted last.
SHOWN: Final = """
SELECT step, time_unix_ns, value FROM points
WHERE series = {series:Int64} AND step BETWEEN {low:Int64} AND {high:Int64} AND n <= {mark:Int64}
ORDER BY step, attempt DESC, n DESC LIMIT 1 BY step
"""
_IN_TIME: Final = f"""
SELECT step, time_unix_ns AS time, value FROM ({SHOWN}) WHERE time BETWEEN {{start:Int64}} AND {{end:Int64}}
"""
_ENDS: Final = """
SELECT min(step), max(step), count() FROM points
WHERE series = {series:Int64} AND step BETWEEN {low:Int64} AND {high:Int64} AND n <= {mark:Int64}
"""
# Two neighbours part at every shift below the place of the highest bit in which they differ.
_PARTINGS: Final = f"""
SELECT roundToExp2(bitXor(toUInt64(step), toUInt64(previous))) AS highest, count() FROM (
  SELECT step,
    lagInFrame(step, 1, -1) OVER (ORDER BY step ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS previous
  FROM ({_IN_TIME})
) WHERE previous >= 0 GROUP BY highest
"""
# A float's bits sort as it does once those of a negative one are turned over, and the sign of the others.
_EXTREMES: Final = f"""
SELECT step, time, value,
  reinterpretAsUInt64(value) AS bits,
  reinterpretAsFixedString(byteSwap(bitXor(bits, if(bits >= {_SIGN}, {_ALL}, {_SIGN})))) AS place,
  reinterpretAsFixedString(time) AS moment,
  concat(place, reinterpretAsFixedString(byteSwap(toUInt64(step))), moment) AS low,
  concat(place, reinterpretAsFixedString(byteSwap(toUInt64({_SIGN - 1} - step))), moment) AS high
FROM ({_IN_TIME})
"""
_BUCKETS: Final = f"""
SELECT count(), avg(value), hex(min(low)), hex(max(high)), min(step), max(step), min(time), max(time)
FROM ({_EXTREMES})
GROUP BY intDiv(toUInt64(step), {{width:UInt64}}) AS bucket ORDER BY bucket
"""


def fitting_buckets(
    database: ClickHouse, series: int, span: Span, most: int, seen: Seen
) -> list[Bucket] | None:
    """Return what the steps of a range show, in at most so many buckets of the least width that fits.

    Returns:
        None when a mean leaves the range of a float: the points tell it then.
    """
    given = {"series": series, "low": max(0, span.low), "high": span.high}
    ((first, last, count),) = database.rows(_ENDS, seen, **given)
    if not count:
        return []
    given |= {"start": span.start_unix_ns, "end": span.end_unix_ns}
    shift = 0
    while (last >> shift) - (first >> shift) >= _FINER * most:
        shift += 1
    found = _read(database, seen, given, shift)
    if shift and len(found) <= most:
        # A few points far away have made it too wide.
        shift = _fitting_shift(database, seen, given, most)
        found = _read(database, seen, given, shift)
    elif len(found) > most:
        shift = fitting_shift([each.first_x >> shift << shift for each in found], most)
        found = merged(found, shift)
    return found if all(math.isfinite(each.mean) for each in found) else None


def _fitting_shift(database: ClickHouse, seen: Seen, given: dict[str, int], most: int) -> int:
    """The least shift with at most so many buckets, as `rundial.server.buckets.fitting_shift`."""
    partings = {
        int(highest).bit_length(): count for highest, count in database.rows(_PARTINGS, seen, **given)
    }
    filled, shift = 1, MAX_SHIFT
    while shift and filled + partings.get(shift, 0) <= most:
        filled += partings.get(shift, 0)
        shift -= 1
    return shift


def _read(database: ClickHouse, seen: Seen, given: dict[str, int], shift: int) -> list[Bucket]:
    return [_bucket(row) for row in database.rows(_BUCKETS, seen, width=1 << shift, **given)]


def _bucket(row: tuple[Any, ...]) -> Bucket:
    count, mean, low, high, *ends = row
    low_value, low_step, low_time = _extreme(low)
    high_value, high_step, high_time = _extreme(high)
    extremes = low_value, low_step, low_time, high_value, _SIGN - 1 - high_step, high_time
    return Bucket._make((count, mean, *extremes, *ends))


def _extreme(text: str) -> tuple[float, int, int]:
    """Value, step and time of an extreme; the step of a greatest one is counted from the other end."""
    place, step, moment = struct.unpack(">QQ8s", bytes.fromhex(text))
    bits = place ^ (_SIGN if place >= _SIGN else _ALL)
    (value,) = struct.unpack(">d", bits.to_bytes(8, "big"))
    return value, step, int.from_bytes(moment, "little")
