"""The points' packer at its edges; `tests/property/test_packer.py` holds it against protobuf."""

from __future__ import annotations

import struct

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from rundial.signals.packer import Block, MetricsPacker


def test_pack_without_points_makes_no_request() -> None:
    """A take without rows sends nothing."""
    assert MetricsPacker(b"").pack([]) == b""
    assert MetricsPacker(b"").pack([Block(("a",), (), [], [], [])]) == b""


def test_pack_keeps_the_value_of_a_point_with_context() -> None:
    """A point with a context keeps its own value; the context travels beside it."""
    block = Block(("acc",), (("split", "val"),), [5], [3], [struct.pack("<d", 0.75)])
    request = ExportMetricsServiceRequest.FromString(MetricsPacker(b"").pack([block]))
    (point,) = request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points

    assert point.as_double == 0.75
    assert [item.key for item in point.attributes] == ["split", "rundial.step"]
    assert point.attributes[0].value.string_value == "val"


def test_pack_replaces_what_is_not_unicode_in_a_name() -> None:
    """One bad name cannot poison the request that carries it."""
    block = Block(("a\ud800",), (), [5], [None], [struct.pack("<d", 1)])
    request = ExportMetricsServiceRequest.FromString(MetricsPacker(b"").pack([block]))

    assert request.resource_metrics[0].scope_metrics[0].metrics[0].name == "a?"


def test_pack_refuses_rows_that_do_not_match_their_names() -> None:
    """A damaged row is an error, never a value under the wrong name."""
    with pytest.raises(struct.error):
        MetricsPacker(b"").pack([Block(("a", "b"), (), [5], [0], [bytes(8)])])
    with pytest.raises(ValueError, match="zip"):
        MetricsPacker(b"").pack([Block(("a",), (), [5], [0, 1], [bytes(8)])])
    with pytest.raises(ValueError, match="2 rows with 1 times"):
        MetricsPacker(b"").pack([Block(("a",), (), [5], [0], [bytes(8), bytes(8)])])


def test_block_counts_its_points() -> None:
    """The ledger counts points, not rows."""
    assert Block(("a", "b"), (), [1, 2, 3], [0, 1, 2], [bytes(16)] * 3).points == 6
