"""Metrics requests in the layout that our packer writes, at a fraction of the general decoder's cost. Pure.

The points of a block have equal lengths and the same bytes everywhere but in time, step and value, and
all keys of a row have the same bytes before the value. So one compiled unpacking splits a gauge into
prefixes and values; prefixes are read once for all keys of a block, and compared for the others.

What is accepted here decodes to the same as by the general decoder: of each distinct layout the first
point is parsed by OpenTelemetry's own messages, and every other point must equal it outside of the
three numbers. Anything else, whole or broken, is left to the general decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from math import isfinite
from operator import add, mul
from struct import Struct
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint

from rundial.server.datapoints import step_and_context
from rundial.server.points import MAX_NAME_CHARACTERS, checked
from rundial.server.resources import TargetError, target_of
from rundial.server.rows import MAX_INT64, NO_STEP, Decoded, Delivery, Refusals, Target
from rundial.server.shell import parse_shell
from rundial.signals.packer import MAX_BLOCK_ROWS, row_prefixes
from rundial.signals.semconv import STEP
from rundial.signals.wire import BYTES, delimited, fields, read_varint

_VALUE_BYTES: Final = 8
_TIME_BYTES: Final = 8
_TIME_TAG: Final = 0x19
_VALUE_TAG: Final = b"\x21"
_ATTRIBUTES: Final = 7  # NumberDataPoint.attributes
# Ten bytes would be a negative step.
_MAX_STEP_BYTES: Final = 9
_STEP_KEY: Final = delimited(1, STEP.encode())
# What stands before a step of so many bytes, as the packer writes it: (tag, length), key, (tag, length, tag).
_BEFORE_STEP: Final = [
    prefix[prefix.index(_STEP_KEY) - 2 : -1 - size]
    for size, prefix in enumerate(row_prefixes((), [1] * 9, [128**n for n in range(9)]), start=1)
]
_STEP_HEAD: Final = 2
_STEP_TAIL: Final = 3


class _OtherLayoutError(Exception):
    """The request is not laid out as our packer does it."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """The bytes that the points of a block share, and the context that they stand for.

    Attributes:
        before: Point's tag and length, time's tag.
        between: From behind the time to the step.
        step_bytes: Bytes of the step's varint, 0 for points without a step.
        attributes: The context as canonical JSON.
        unpack: Prefix to (before, time, between, one number a byte of the step, value's tag).
    """

    before: bytes
    between: bytes
    step_bytes: int
    attributes: str
    unpack: Callable[[bytes], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a block: what the points of each of its keys have in common.

    Attributes:
        gauge_bytes: Size of a gauge of these rows.
        unpack: Gauge to (prefix, value, prefix, value, …).
        prefixes: What stands before the value, by row.
        attributes: The context as canonical JSON.
        steps: Steps by row.
        times: Unix nanoseconds by row.
        are_sound: Whether every step and time may be kept.
    """

    gauge_bytes: int
    unpack: Callable[[bytes], tuple[Any, ...]]
    prefixes: tuple[bytes, ...]
    attributes: str
    steps: Sequence[int]
    times: Sequence[int]
    are_sound: bool


def decode_packed(body: bytes) -> Decoded | None:
    """Decode a metrics request of our packer's layout; None when it has another one or is no request."""
    request = parse_shell(body)
    if request is None:
        return None
    try:
        return _Reader().read(request)
    except (_OtherLayoutError, TargetError, DecodeError):
        return None  # the general decoder says what is wrong, or that nothing is


class _Reader:
    """Reads one request, remembering what its parts have in common."""

    def __init__(self) -> None:
        self._refusals = Refusals()
        self._deliveries: dict[Target, Delivery] = {}
        self._targets: dict[tuple[bytes, bytes], Target] = {}
        self._layouts: dict[tuple[bytes, bytes, int], _Layout] = {}
        self._rows: _Rows | None = None

    def read(self, request: Any) -> Decoded:
        """Read a shell and the points in it."""
        for group in request.resource_metrics:
            delivery = self._delivery(group.resource, b"")
            for scope in group.scope_metrics:
                if scope.scope:
                    self._delivery(group.resource, scope.scope)
                for metric in scope.metrics:
                    self._read_metric(metric.name, metric.gauge, delivery)
        return Decoded(list(self._deliveries.values()), self._refusals)

    def _delivery(self, resource: bytes, scope: bytes) -> Delivery:
        """What a resource's points are added to; parses resource and scope, once each."""
        target = self._targets.get((resource, scope))
        if target is None:
            # Where they stand in a request, so that depths count as in the whole.
            body = delimited(1, delimited(1, resource) + delimited(2, delimited(1, scope)))
            group = ExportMetricsServiceRequest.FromString(body).resource_metrics[0]
            target = self._targets[resource, scope] = target_of(group.resource)
        return self._deliveries.setdefault(target, Delivery(target))

    def _read_metric(self, name: str, gauge: bytes, delivery: Delivery) -> None:
        if not 0 < len(name) <= MAX_NAME_CHARACTERS:
            raise _OtherLayoutError
        rows, values = self._split(gauge)
        columns = (rows.steps, rows.times, values)
        if not (rows.are_sound and isfinite(sum(values))):
            columns = checked(columns, self._refusals)
        if columns[0]:
            delivery.add_points(name, "", rows.attributes, columns)

    def _split(self, gauge: bytes) -> tuple[_Rows, Sequence[float]]:
        """Split a gauge into its rows and its values."""
        rows = self._rows
        if rows is not None and rows.gauge_bytes == len(gauge):
            parts = rows.unpack(gauge)
            if parts[::2] == rows.prefixes:
                return rows, parts[1::2]
        point_bytes = _point_bytes(gauge)
        unpack = _splitting(point_bytes - _VALUE_BYTES, len(gauge) // point_bytes)
        parts = unpack(gauge)
        self._rows = rows = self._read_rows(len(gauge), unpack, parts[::2], gauge[:point_bytes])
        return rows, parts[1::2]

    def _read_rows(
        self, size: int, unpack: Callable[[bytes], tuple[Any, ...]], prefixes: tuple[bytes, ...], point: bytes
    ) -> _Rows:
        layout = self._layout(prefixes[0], point)
        before, times, between, *digits, tags = zip(*map(layout.unpack, prefixes), strict=True)
        is_same = (
            before.count(layout.before)
            == between.count(layout.between)
            == tags.count(_VALUE_TAG)
            == len(tags)
        )
        if not is_same:
            raise _OtherLayoutError
        steps = _numbers(digits) if digits else [NO_STEP] * len(tags)
        are_sound = min(times) > 0 and max(times) <= MAX_INT64
        return _Rows(size, unpack, prefixes, layout.attributes, steps, times, are_sound)

    def _layout(self, prefix: bytes, point: bytes) -> _Layout:
        start = len(point) - read_varint(point, 1)[0]
        step_bytes = _step_bytes(prefix)
        before = prefix[: start + 1]
        between = prefix[start + 1 + _TIME_BYTES : len(prefix) - step_bytes - len(_VALUE_TAG)]
        key = (before, between, step_bytes)
        if key not in self._layouts:
            self._layouts[key] = _layout_of(before, between, step_bytes, point)
        return self._layouts[key]


def _point_bytes(gauge: bytes) -> int:
    """Size of a gauge's points, by its first one."""
    if gauge[:1] != b"\x0a":
        raise _OtherLayoutError
    try:
        size, start = read_varint(gauge, 1)
    except ValueError as error:
        raise _OtherLayoutError from error
    if size < 2 + _TIME_BYTES + _VALUE_BYTES or len(gauge) % (start + size):
        raise _OtherLayoutError
    if len(gauge) // (start + size) > MAX_BLOCK_ROWS:
        raise _OtherLayoutError
    return start + size


@lru_cache(maxsize=64)
def _splitting(prefix_bytes: int, points: int) -> Callable[[bytes], tuple[Any, ...]]:
    """What splits points into (prefix, value, prefix, value, …)."""
    return Struct("<" + f"{prefix_bytes}sd" * points).unpack


def _step_bytes(prefix: bytes) -> int:
    """How many bytes the step has; 0 when there is none in the packer's place."""
    start = prefix.rfind(_STEP_KEY)
    if start < 0:
        return 0
    size = len(prefix) - len(_VALUE_TAG) - (start + len(_STEP_KEY) + _STEP_TAIL)
    if not 1 <= size <= _MAX_STEP_BYTES or not prefix.startswith(_BEFORE_STEP[size - 1], start - _STEP_HEAD):
        raise _OtherLayoutError
    return size


def _layout_of(before: bytes, between: bytes, step_bytes: int, point: bytes) -> _Layout:
    """The layout that a first point shows, once OpenTelemetry's own parser agrees with it."""
    context = between[: len(between) - len(_BEFORE_STEP[step_bytes - 1])] if step_bytes else between
    try:
        # A second time, or a value of another kind, would be hidden there.
        is_context = all(found[:2] == (_ATTRIBUTES, BYTES) for found in fields(context))
    except ValueError as error:
        raise _OtherLayoutError from error
    layout = Struct(f"<{len(before)}sQ{len(between)}s{step_bytes * 'B'}c").unpack
    step, attributes = step_and_context(_parsed(point))
    digits = layout(point[:-_VALUE_BYTES])[3:-1]
    expected = _numbers([(digit,) for digit in digits])[0] if digits else NO_STEP
    if not is_context or before[-1] != _TIME_TAG or step != expected:
        raise _OtherLayoutError
    return _Layout(before, between, step_bytes, attributes, layout)


def _parsed(point: bytes) -> NumberDataPoint:
    """A point by OpenTelemetry's own parser, as deep in a request as it was found."""
    body = delimited(1, delimited(2, delimited(2, delimited(5, point))))
    request = ExportMetricsServiceRequest.FromString(body)
    return request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]


def _numbers(digits: Sequence[tuple[int, ...]]) -> list[int]:
    """Varints of equal length, given as columns: the first holds each one's lowest seven bits."""
    *more, last = digits
    if max(last) > 0x7F or any(min(column) < 0x80 for column in more):
        raise _OtherLayoutError
    numbers: Sequence[int] = digits[0]
    for place, column in enumerate(digits[1:], start=1):
        numbers = list(map(add, numbers, map(mul, column, repeat(0x80**place))))
    # Every byte but the last one carries a bit that says "more follows".
    surplus = sum(0x80 * 0x80**place for place in range(len(more)))
    return [number - surplus for number in numbers] if surplus else list(numbers)
