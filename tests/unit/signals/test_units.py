"""Units of the series that Rundial records itself."""

from __future__ import annotations

import struct

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from rundial.signals.packer import Block, MetricsPacker
from rundial.signals.units import UNITS, unit_of


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("system/memory.used_mb", "MiBy"),
        ("system/gpu.0.temp_c", "Cel"),
        ("system/gpu.15.power_w", "W"),
        ("system/gpu.x.power_w", ""),
        ("system/room.temp_c", ""),
        ("loss", ""),
        ("my/system/memory.used_mb", ""),
    ],
)
def test_unit_belongs_to_our_own_names_only(name: str, unit: str) -> None:
    """What a user's series means is the user's to say, also under `system/`."""
    assert unit_of(name) == unit


def test_a_request_carries_the_units_of_system_metrics() -> None:
    """Any OTLP receiver knows in what a system metric is measured, and that a loss has no unit."""
    names = (*(name.replace("gpu.N", "gpu.7") for name in UNITS), "loss")
    block = Block(names, (), [5], [0], [struct.pack(f"<{len(names)}d", *range(len(names)))])
    data = MetricsPacker(b"").pack([block])
    request = ExportMetricsServiceRequest.FromString(data)
    metrics = request.resource_metrics[0].scope_metrics[0].metrics

    assert [(metric.name, metric.unit) for metric in metrics] == list(
        zip(names, [*UNITS.values(), ""], strict=True)
    )
    assert [metric.gauge.data_points[0].as_double for metric in metrics] == list(range(len(names)))
    assert request.ByteSize() == len(data), "nothing in it is unknown to protobuf"
