"""OpenTelemetry programs without a run, killed with -9: what they had finished is delivered all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rundial.api.adopt import sync
from tests.support.collector import Collector
from tests.support.program import ServerProgram
from tests.support.shell import rundial
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

# In the manner of OpenTelemetry's "Getting Started": it knows the API, and nothing of Rundial.
EXAMPLE = """
import logging, os, sys
from random import randint
from opentelemetry import metrics, trace

tracer = trace.get_tracer("diceroller.tracer")
meter = metrics.get_meter("diceroller.meter")
roll_counter = meter.create_counter("dice.rolls", description="The number of rolls by roll value")
logger = logging.getLogger("dice")

def roll_dice(number):
    with tracer.start_as_current_span("roll") as roll_span:
        value = randint(1, 6)
        roll_span.set_attribute("roll.value", value)
        roll_span.set_attribute("roll.number", number)
        roll_counter.add(1, {"roll.value": value})
        logger.warning("player %d rolls the dice: %d", number, value)
        return value

for number in range(int(os.environ["ROLLS"])):
    roll_dice(number)
print("rolled", flush=True)
sys.stdin.readline()
"""
# What starts it: the provider is the application's own, and three lines are Rundial's.
LAUNCHER = """
import logging, runpy, sys
from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider

from rundial.otel import RecordingLogRecordProcessor, RecordingSpanProcessor, SpoolingMetricExporter
tracing, logs = TracerProvider(), LoggerProvider()
tracing.add_span_processor(RecordingSpanProcessor())
logs.add_log_record_processor(RecordingLogRecordProcessor())
reader = PeriodicExportingMetricReader(SpoolingMetricExporter(), export_interval_millis=50)
trace.set_tracer_provider(tracing)
set_logger_provider(logs)
metrics.set_meter_provider(MeterProvider([reader]))
logging.getLogger().addHandler(LoggingHandler(logger_provider=logs))
runpy.run_path(sys.argv[1])
"""
ROLLS = 500


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The program."""
    path = tmp_path / "dice.py"
    path.write_text(EXAMPLE)
    return path


@pytest.fixture
def collector() -> Iterator[Collector]:
    """An OTLP endpoint."""
    with Collector() as endpoint:
        yield endpoint


def started(example: Path, **environ: str) -> subprocess.Popen[str]:
    """Start the program and wait until it has rolled."""
    script = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", LAUNCHER, str(example)],
        env={**os.environ, "OTEL_SERVICE_NAME": "dice", "ROLLS": str(ROLLS), **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert script.stdout is not None
    assert script.stdout.readline() == "rolled\n", script.communicate()
    return script


def end_of(script: subprocess.Popen[str]) -> str:
    """Let the program end; return what it said."""
    stderr = script.communicate("\n", timeout=60)[1]
    assert script.returncode == 0, stderr
    return stderr


def numbers(collector: Collector) -> list[int]:
    """The rolls that arrived, in order of their numbers."""
    return sorted(int(span.attributes["roll.number"]) for span in collector.spans)


def rolled(collector: Collector) -> list[str]:
    """The lines of the program's own; what Rundial has to say of a collector that is away comes with them."""
    return [log.body for log in collector.logs if "rolls the dice" in log.body]


def test_a_killed_program_has_its_finished_spans_delivered_by_the_next_start(
    example: Path, collector: Collector, tmp_path: Path
) -> None:
    """No run, no call at the end, and `kill -9`: every finished span and log record arrives, once."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "RUNDIAL_SPOOL_DIR": str(tmp_path / "spool")}
    collector.stop()
    victim = started(example, **environ)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    collector.start()

    successor = started(example, **{**environ, "ROLLS": "0"})
    wait_until(lambda: len(collector.spans) >= ROLLS and len(rolled(collector)) >= ROLLS, 30)
    assert end_of(successor) == ""
    assert numbers(collector) == list(range(ROLLS))
    assert {span.resource["service.name"] for span in collector.spans} == {"dice"}
    assert len(set(rolled(collector))) == len(rolled(collector)) == ROLLS
    assert {span.name for span in collector.spans} == {"roll"}


def test_a_killed_program_is_delivered_to_a_server_by_sync(
    example: Path, server: ServerProgram, tmp_path: Path
) -> None:
    """Traces and logs land in the project that the service's name says, and a second sync finds nothing."""
    spool = tmp_path / "spool"
    environ = {"RUNDIAL_MODE": "offline", "RUNDIAL_SPOOL_DIR": str(spool), "RUNDIAL_ENDPOINT": server.url}
    victim = started(example, **environ)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()

    done = rundial("sync", str(spool))
    assert done.status == 0, done.stderr
    (run,) = server.rows("/api/v1/workspaces/default-workspace/projects/dice/runs/query", "runs")
    found: Any = server.get(f"/api/v1/workspaces/default-workspace/projects/dice/runs/{run['runId']}")
    assert (found["counts"]["spans"], found["counts"]["lines"]) == (ROLLS, ROLLS)
    assert sync([spool]).results == ()


def test_a_program_that_ends_in_order_leaves_nothing(
    example: Path, collector: Collector, tmp_path: Path
) -> None:
    """All three signals are sent at the exit, the counter's last value with them, and the spool is gone."""
    spool = tmp_path / "spool"
    environ = {"RUNDIAL_OTLP_ENDPOINT": collector.url, "RUNDIAL_SPOOL_DIR": str(spool)}

    assert end_of(started(example, **environ)) == ""
    assert numbers(collector) == list(range(ROLLS))
    assert len(set(rolled(collector))) == len(rolled(collector)) == ROLLS
    last = {
        point.attributes["roll.value"]: point.value
        for point in collector.points
        if point.name == "dice.rolls"
    }
    assert sum(last.values()) == ROLLS
    assert [path for path in spool.rglob("*") if path.is_file()] == []
