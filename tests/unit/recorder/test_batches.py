"""Records on their way into one request: small chunks, order, and no record that costs its neighbours."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from rundial.recorder.batches import (
    MAX_CHUNK_POINTS,
    MAX_CHUNK_RECORDS,
    MAX_FRAME_BYTES,
    MAX_FRAME_RECORDS,
    PointsBatch,
    RecordsBatch,
)
from rundial.recorder.form import MAX_FRAME_POINTS
from rundial.recorder.keysets import KeySet, KeySets
from rundial.signals.packer import Block, MetricsPacker
from tests.unit.recorder.builders import RESOURCE


class Watching(MetricsPacker):
    """A real packer that remembers how many points it was given at once."""

    def __init__(self) -> None:
        super().__init__(RESOURCE)
        self.sizes: list[int] = []

    def pack(self, blocks: Iterable[Block]) -> bytes:
        """Pack, and remember."""
        blocks = list(blocks)
        self.sizes.append(sum(block.points for block in blocks))
        return super().pack(blocks)


def read(body: bytes) -> list[tuple[str, int, float]]:
    """Return the points of a request as (name, time, value), in order."""
    request = ExportMetricsServiceRequest.FromString(gzip.decompress(body))
    return [
        (metric.name, point.time_unix_nano, point.as_double)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.gauge.data_points
    ]


def row(keys: KeySet, number: float) -> bytes:
    """Return a row whose values are number, number + 1, ..."""
    return keys.pack(*[number + index for index in range(keys.size)])


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(1, 1300), st.integers(1, 20)), min_size=1, max_size=4))
def test_points_are_packed_in_small_chunks_and_all_of_them(shapes: list[tuple[int, int]]) -> None:
    """Rule 12: at most 500 points at once, however wide a row is; every point comes out once."""
    packer = Watching()
    batch = PointsBatch(packer)
    sets = KeySets()
    expected = []
    time = 0
    for width, rows in shapes:
        keys = sets.get([f"{width}/{index}" for index in range(width)])
        for _ in range(rows):
            time += 2
            batch.add(keys, time, None, row(keys, time))
            expected += [(name, time, float(time + index)) for index, name in enumerate(keys.names)]
            while batch.has_chunk:
                batch.pack_chunk()

    assert sorted(read(batch.body())) == sorted(expected)
    assert batch.units == batch.items == len(expected)
    assert max(packer.sizes) <= MAX_CHUNK_POINTS


def test_points_of_one_name_keep_their_order_across_key_sets() -> None:
    """Of two points at one step the one logged last is what a series shows."""
    batch = PointsBatch(MetricsPacker(RESOURCE))
    sets = KeySets()
    one, both = sets.get(["a"]), sets.get(["b", "a"])
    other = sets.get(["c"])
    for time, keys in enumerate([one, other, both, one, one, other, both, both, one]):
        batch.add(keys, time, None, row(keys, time))

    found = read(batch.body())
    for name in "abc":
        times = [time for each, time, _ in found if each == name]
        assert times == sorted(times)


def test_a_batch_is_full_by_points_and_by_bytes() -> None:
    """A frame has a size that a server takes and a lane can evict."""
    batch = PointsBatch(MetricsPacker(RESOURCE))
    keys = KeySet(tuple(f"k{index}" for index in range(100)), (), 1)
    rows = 0
    while not batch.is_full:
        batch.add(keys, rows, None, row(keys, rows))
        rows += 1
    assert rows == -(-MAX_FRAME_POINTS // 100)

    batch = PointsBatch(MetricsPacker(RESOURCE))
    long = KeySet(tuple(f"{index}" + "x" * 2000 for index in range(500)), (), 1)
    batch.add(long, 1, None, row(long, 1))
    batch.pack_chunk()
    batch.add(long, 2, None, row(long, 1))
    batch.pack_chunk()
    assert batch.units < MAX_FRAME_POINTS
    assert batch.is_full


def test_a_row_that_cannot_be_packed_costs_no_other() -> None:
    """One bad row is counted and the rows beside it are sent."""
    batch = PointsBatch(MetricsPacker(RESOURCE))
    keys = KeySet(("a", "b"), (), 1)
    for time, body in enumerate([row(keys, 1), b"short", row(keys, 2)]):
        batch.add(keys, time, None, body)

    assert [time for _, time, _ in read(batch.body())] == [0, 0, 2, 2]
    assert (batch.units, batch.failed) == (4, 2)


def test_a_request_is_one_gzip_member() -> None:
    """A collector was seen to read the first member of several only."""
    batch = PointsBatch(MetricsPacker(RESOURCE))
    keys = KeySet(("a",), (), 1)
    for time in range(2000):
        batch.add(keys, time, None, row(keys, time))
        if batch.has_chunk:
            batch.pack_chunk()
    body = batch.body()

    assert body.count(b"\x1f\x8b\x08") == 1
    assert struct.unpack("<I", body[-4:])[0] == len(gzip.decompress(body))


class Encoding:
    """Encodes numbers; fails for negative ones, as a protobuf encoder does for what it does not know."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, numbers: Sequence[int]) -> bytes:
        """Encode."""
        self.sizes.append(len(numbers))
        if any(number < 0 for number in numbers):
            raise ValueError("a negative number")
        return b"".join(number.to_bytes(4, "little") for number in numbers)


@pytest.mark.parametrize("counts", [True, False])
def test_a_record_that_cannot_be_encoded_costs_no_other(counts: bool) -> None:
    """One bad line is counted and the lines beside it are sent."""
    batch = RecordsBatch[int](Encoding(), counts=counts)
    for number in (1, -2, 3):
        batch.add(number)

    assert gzip.decompress(batch.body()) == b"\x01\0\0\0\x03\0\0\0"
    assert (batch.items, batch.failed) == (2, 1)
    assert batch.units == (2 if counts else 0)


def test_records_are_encoded_in_small_chunks() -> None:
    """Rule 12: the interpreter is never held for long."""
    encode = Encoding()
    batch = RecordsBatch[int](encode, counts=True)
    number = 0
    while not batch.is_full:
        batch.add(number)
        number += 1
        if batch.has_chunk:
            batch.pack_chunk()

    assert number == MAX_FRAME_RECORDS
    assert max(encode.sizes) == MAX_CHUNK_RECORDS
    assert len(gzip.decompress(batch.body())) == 4 * number


def test_a_batch_of_long_records_is_full_by_bytes() -> None:
    """Spans of 60 KiB make a frame long before there are a thousand of them."""
    batch = RecordsBatch[int](lambda numbers: bytes(60_000) * len(numbers), counts=True)
    number = 0
    while not batch.is_full:
        batch.add(number)
        batch.pack_chunk()
        number += 1

    assert number == -(-MAX_FRAME_BYTES // 60_000)


def test_every_record_that_cannot_be_encoded_is_counted() -> None:
    """Two bad lines are two losses, in one chunk or in several."""
    batch = RecordsBatch[int](Encoding(), counts=True)
    for number in (1, -2, -3):
        batch.add(number)
    batch.pack_chunk()
    batch.add(-4)

    assert gzip.decompress(batch.body()) == b"\x01\0\0\0"
    assert (batch.items, batch.units, batch.failed) == (1, 1, 3)


def test_every_row_that_cannot_be_packed_is_counted() -> None:
    """Two bad rows are two losses, however wide they are."""
    batch = PointsBatch(MetricsPacker(RESOURCE))
    keys = KeySet(("a", "b"), (), 1)
    for time, body in enumerate([b"short", row(keys, 1), b"shorter"]):
        batch.add(keys, time, None, body)

    assert [time for _, time, _ in read(batch.body())] == [1, 1]
    assert (batch.units, batch.failed) == (2, 4)
