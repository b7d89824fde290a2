"""Programs of other people that only speak gRPC: OpenTelemetry's own exporter against `rundial server`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import written
from tests.support.program import ServerProgram
from tests.support.shell import rundial

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

# Nothing of ours, and nothing but the environment says where it sends.
PROGRAM = """
import logging
from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

tracing, logs = TracerProvider(), LoggerProvider()
tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
metering = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
log = logging.getLogger("shop")
log.addHandler(LoggingHandler(logger_provider=logs))
with tracing.get_tracer("shop").start_as_current_span("checkout"):
    with tracing.get_tracer("shop").start_as_current_span("pay"):
        log.warning("card declined")
metering.get_meter("shop").create_counter("orders").add(3, {"paid": True})
for provider in (tracing, metering, logs):
    provider.shutdown()
"""
SHOP = "/api/v1/workspaces/default-workspace/projects/shop"


def grpc_url(server: ServerProgram) -> str:
    """Where a server says that it takes gRPC."""
    found = re.search(r"Rundial takes OTLP/gRPC on (https?://\S+)", server.output)
    assert found is not None, server.output
    return found[1]


def run_program(server: ServerProgram, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the program against a server."""
    steered = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": grpc_url(server),
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {server.key}",
        "OTEL_SERVICE_NAME": "shop",
        "PYTHONPATH": "",
        **more,
    }
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        env={**os.environ, **steered},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def check_shop(server: ServerProgram) -> None:
    """Everything that the program said is there."""
    (run,) = server.rows(f"{SHOP}/runs/query", "runs")
    details: dict[str, Any] = server.get(f"{SHOP}/runs/{run['runId']}")
    assert details["counts"] == {"points": 1, "lines": 1, "spans": 2}
    assert {each["name"] for each in server.rows(f"{SHOP}/runs/{run['runId']}/spans", "spans")} == {
        "checkout",
        "pay",
    }


@pytest.mark.parametrize("more", [{}, {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}], ids=["plain", "gzip"])
def test_an_unmodified_program_sends_all_three_signals(tmp_path: Path, more: dict[str, str]) -> None:
    """Two variables are all that it takes."""
    with ServerProgram(tmp_path / "data", options=("--grpc-port", "0")) as server:
        done = run_program(server, **more)

        assert (done.returncode, done.stderr) == (0, "")
        check_shop(server)
        assert server.stop() == 0


def test_grpc_speaks_tls_with_the_servers_certificate(tmp_path: Path) -> None:
    """One certificate for both doors; whoever does not trust it sends nothing."""
    paths = written(tmp_path)
    options = ("--grpc-port", "0", "--ssl-certfile", paths["server"], "--ssl-keyfile", paths["server_key"])
    with ServerProgram(tmp_path / "data", options=options) as server:
        assert grpc_url(server).startswith("https://")
        done = run_program(server, OTEL_EXPORTER_OTLP_CERTIFICATE=paths["server"])
        assert (done.returncode, done.stderr) == (0, "")

        stranger = run_program(
            server, OTEL_EXPORTER_OTLP_CERTIFICATE=paths["client"], OTEL_EXPORTER_OTLP_TIMEOUT="1"
        )
        assert "StatusCode.UNAVAILABLE" in stranger.stderr


def test_a_taken_grpc_port_is_said_before_the_start(tmp_path: Path) -> None:
    """In words, with what to do; and without gRPC nothing is said of it."""
    with ServerProgram(tmp_path / "one", options=("--grpc-port", "0")) as server:
        port = grpc_url(server).rpartition(":")[2]
        done = rundial("server", "--port", "0", "--data", str(tmp_path / "two"), "--grpc-port", port)
    assert done.status == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "choose another port" in done.stderr
