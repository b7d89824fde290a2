"""Rows of float64 values → OTLP metrics requests, at a fraction of a microsecond a point.

This is the one part of the encoding that is ours: the official encoder needs some 6 µs a point
and the protobuf package. What makes it quick is that the points of one row differ only in their
value. A point is written as

    NumberDataPoint = length · time_unix_nano · attributes (context, rundial.step) · as_double

(protobuf leaves the order of fields free), so everything before the last 8 bytes is built once a
row and shared by all of its keys. There is one Gauge metric a key and block, and a block has at
most 512 rows: gzip looks back 32 KiB, and longer blocks move a row's repeated bytes out of its reach.

Pure; runs on the encoder thread. Property tests hold the output against `opentelemetry-proto`.

Source:
    opentelemetry-proto 1.x, metrics.proto for the field numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import add
from struct import Struct

from rundial.signals import semconv
from rundial.signals.anyvalue import encode_attribute
from rundial.signals.resource import encode_scope
from rundial.signals.units import unit_of
from rundial.signals.wire import delimited, varint
from rundial.typed import NamedTuple, TypeAlias

MAX_BLOCK_ROWS = 512

_MAX_CACHED_NAMES = 8_192
_VALUE_BYTES = 8
_VALUE_TAG = b"\x21"  # NumberDataPoint.as_double (4), fixed64
_TIME_TAG = b"\x19"  # NumberDataPoint.time_unix_nano (3), fixed64
_POINT_TAG = b"\x0a"  # Gauge.data_points (1)
_POINT_ATTRIBUTES = 7
_TIME_BYTES = 8

Writer: TypeAlias = tuple[Callable[..., bytes], bytes, bytes]


class Block(NamedTuple):
    """Rows that share their names and their context.

    Attributes:
        names: Series names, distinct.
        attributes: Context of every point, such as `(("split", "val"),)`.
        times: Unix nanoseconds of each row.
        steps: Step of each row, None for a row without one.
        bodies: Values of each row: little-endian float64, in the order of `names`.
    """

    names: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]
    times: Sequence[int]
    steps: Sequence[int | None]
    bodies: Sequence[bytes | memoryview]

    @property
    def points(self) -> int:
        """Number of points in the block."""
        return len(self.names) * len(self.bodies)


class MetricsPacker:
    """Packs blocks of rows into requests of one resource.

    Threads: none of its own; not to be shared between threads.
    """

    def __init__(self, resource: bytes) -> None:
        """Prepare what every request of the resource begins with.

        Args:
            resource: From `rundial.signals.resource.encode_resource`.
        """
        self._resource = delimited(1, resource)  # ResourceMetrics.resource
        self._scope = delimited(1, encode_scope())  # ScopeMetrics.scope
        self._heads: dict[str, bytes] = {}

    def pack(self, blocks: Iterable[Block]) -> bytes:
        """Return an ExportMetricsServiceRequest with every point of the blocks, in their order.

        Without any point the request is empty (`b""`).

        Raises:
            struct.error: A body has not 8 bytes for each name.
            ValueError: A block has not one time and one step for each body.
        """
        metrics: list[bytes] = []
        for block in blocks:
            for start in range(0, len(block.bodies), MAX_BLOCK_ROWS):
                self._pack_block(metrics, block, start, start + MAX_BLOCK_ROWS)
        if not metrics:
            return b""
        scope_metrics = self._scope + b"".join(metrics)
        return delimited(1, self._resource + delimited(2, scope_metrics))

    def _pack_block(self, metrics: list[bytes], block: Block, start: int, stop: int) -> None:
        prefixes = row_prefixes(block.attributes, block.times[start:stop], block.steps[start:stop])
        bodies = block.bodies[start:stop]
        if len(prefixes) != len(bodies):
            raise ValueError(f"{len(bodies)} rows with {len(prefixes)} times")
        columns: Iterable[Sequence[bytes | memoryview]]
        if len(block.names) == 1 and set(map(len, bodies)) == {_VALUE_BYTES}:
            columns = (bodies,)
        else:
            rows = map(Struct(f"{_VALUE_BYTES}s" * len(block.names)).unpack, bodies)
            columns = zip(*rows, strict=True)
        # The points of all names are as long, and so is what depends on it: the field `gauge` (5) of a
        # metric, and the metric itself, field 2 of the scope's.
        size = sum(map(len, prefixes)) + _VALUE_BYTES * len(prefixes)
        gauge = b"\x2a" + varint(size)
        befores: dict[int, bytes] = {}
        for name, column in zip(block.names, columns, strict=True):
            head = self._head(name)
            before = befores.get(len(head))
            if before is None:
                before = befores[len(head)] = b"\x12" + varint(len(head) + len(gauge) + size)
            metrics += (before, head, gauge)
            metrics += map(add, prefixes, column)

    def _head(self, name: str) -> bytes:
        head = self._heads.get(name)
        if head is None:
            if len(self._heads) >= _MAX_CACHED_NAMES:
                self._heads.clear()
            # The metric's name is its field 1, its unit field 3.
            head, unit = delimited(1, name.encode("utf-8", "replace")), unit_of(name)
            if unit:
                head += delimited(3, unit.encode())
            self._heads[name] = head
        return head


def row_prefixes(
    attributes: Sequence[tuple[str, str]], times: Sequence[int], steps: Sequence[int | None]
) -> list[bytes]:
    """Return what stands before the value in every point of a row, for each row."""
    context = b"".join(delimited(_POINT_ATTRIBUTES, encode_attribute(*attribute)) for attribute in attributes)
    # By the length of the step's varint, which is all that the bytes around time and step depend on.
    writers: dict[int, Writer] = {}
    prefixes = []
    # What 128 steps in a row have in common: the step's upper bits, and all bytes but its lowest.
    known: int | None = None
    after = b""
    write, before, between = writers[0] = _row_writer(context, 0)
    for time_unix_ns, step in zip(times, steps, strict=True):
        if step is None:
            write, before, between = writers[0]
            known = None
            prefixes.append(write(before, time_unix_ns, between, _VALUE_TAG))
            continue
        upper = step >> 7
        if upper != known:
            known = upper
            after = varint(upper) + _VALUE_TAG if upper else _VALUE_TAG
            size = len(after)  # as many bytes as the step has: its lowest for the tag
            if size not in writers:
                writers[size] = _row_writer(context, size)
            write, before, between = writers[size]
        prefixes.append(write(before, time_unix_ns, between, step & 0x7F | 0x80 if upper else step, after))
    return prefixes


def _row_writer(context: bytes, step_bytes: int) -> Writer:
    """Return what writes a row's prefix, and its bytes around time and step; 0 step bytes mean no step."""
    between = context
    if step_bytes:
        # KeyValue{1: "rundial.step", 2: AnyValue{3: int}} up to the int itself.
        any_value = b"\x18"
        key = delimited(1, semconv.STEP.encode())
        key_value = key + b"\x12" + varint(len(any_value) + step_bytes) + any_value
        between += b"\x3a" + varint(len(key_value) + step_bytes) + key_value
    size = len(_TIME_TAG) + _TIME_BYTES + len(between) + step_bytes + len(_VALUE_TAG) + _VALUE_BYTES
    before = _POINT_TAG + varint(size) + _TIME_TAG
    # One call that writes all parts, the step's lowest byte as a number: joining them, or making a
    # varint of each step, costs more than everything else of a row.
    step = f"B{step_bytes - 1 + len(_VALUE_TAG)}s" if step_bytes else f"{len(_VALUE_TAG)}s"
    return Struct(f"<{len(before)}sQ{len(between)}s{step}").pack, before, between
