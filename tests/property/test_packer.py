"""The points' packer against the official protobuf messages, over any rows."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from rundial import __version__
from rundial.signals.packer import MAX_BLOCK_ROWS, Block, MetricsPacker
from rundial.signals.resource import ResourceValue, encode_resource
from tests.support.blocks import blocks

RESOURCE: dict[str, ResourceValue] = {"service.name": "p", "rundial.run.attempt": 1}


def expected(block: Block) -> list[tuple[Any, ...]]:
    """Return (name, time, value's bytes, attributes) of each point in the packer's order."""
    points: list[tuple[Any, ...]] = []
    for start in range(0, len(block.bodies), MAX_BLOCK_ROWS):
        for column, name in enumerate(block.names):
            for row in range(start, min(start + MAX_BLOCK_ROWS, len(block.bodies))):
                value = bytes(block.bodies[row])[8 * column : 8 * column + 8]
                step = block.steps[row]
                attributes = (*block.attributes, *([] if step is None else [("rundial.step", step)]))
                points.append((name, block.times[row], value, attributes))
    return points


def parsed(request: ExportMetricsServiceRequest) -> list[tuple[Any, ...]]:
    """Return the same of each point in a request."""
    return [
        (
            metric.name,
            point.time_unix_nano,
            struct.pack("<d", point.as_double),
            tuple(
                (item.key, getattr(item.value, str(item.value.WhichOneof("value"))))
                for item in point.attributes
            ),
        )
        for resource_metrics in request.resource_metrics
        for scope_metrics in resource_metrics.scope_metrics
        for metric in scope_metrics.metrics
        for point in metric.gauge.data_points
    ]


@given(st.lists(blocks(), max_size=4))
def test_pack_of_any_blocks_parses_to_the_same_points_in_order(given_blocks: list[Block]) -> None:
    """Every logged point reaches the wire once, bit for bit, with its step, time and context."""
    request = ExportMetricsServiceRequest.FromString(
        MetricsPacker(encode_resource(RESOURCE)).pack(given_blocks)
    )

    assert parsed(request) == [point for block in given_blocks for point in expected(block)]


@given(st.integers(MAX_BLOCK_ROWS - 1, 2 * MAX_BLOCK_ROWS + 1))
def test_pack_of_a_long_block_keeps_every_row(rows: int) -> None:
    """A burst longer than one block of the packer loses nothing at the seam."""
    block = Block(
        ("a", "b"), (), range(rows), range(rows), [struct.pack("<2d", row, -row) for row in range(rows)]
    )
    request = ExportMetricsServiceRequest.FromString(MetricsPacker(b"").pack([block]))

    assert parsed(request) == expected(block)
    assert max(len(m.gauge.data_points) for m in request.resource_metrics[0].scope_metrics[0].metrics) <= 512


@given(blocks().filter(lambda block: block.bodies and all(block.times)))  # protobuf leaves a zero out
def test_pack_writes_what_protobuf_itself_would_not_call_unknown(block: Block) -> None:
    """Any OTLP receiver understands every byte: nothing in the request is an unknown field."""
    data = MetricsPacker(encode_resource(RESOURCE)).pack([block])
    request = ExportMetricsServiceRequest.FromString(data)
    scope = request.resource_metrics[0].scope_metrics[0].scope

    assert request.ByteSize() == len(data)
    assert (scope.name, scope.version) == ("rundial", __version__)
    assert [item.key for item in request.resource_metrics[0].resource.attributes] == list(RESOURCE)
