"""Exporters that `RUNDIAL_EXPORTERS` names: made for a run that sends, and for nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import rundial as rd
from rundial import otel
from rundial.errors import ConfigError
from tests.support.collector import Collector
from tests.support.processes import own_parts

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]
NAME = "the_vendors_own"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[InMemorySpanExporter]:
    """What the variable's function has made so far."""
    found: list[InMemorySpanExporter] = []
    module = ModuleType(NAME)

    def make() -> SpanExporter:
        found.append(InMemorySpanExporter())
        return found[-1]

    def fail() -> SpanExporter:
        raise OSError("rdk_secret is the key")

    for name, function in (("make", make), ("fail", fail), ("make_none", dict)):
        setattr(module, name, function)
    monkeypatch.setitem(sys.modules, NAME, module)
    monkeypatch.setenv("RUNDIAL_EXPORTERS", f"{NAME}:make")
    return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    """An OTLP endpoint."""
    with Collector() as endpoint:
        yield endpoint


@pytest.fixture
def options(collector: Collector, tmp_path: Path) -> dict[str, Any]:
    """Where a run goes, and waits."""
    return {"otlp_endpoint": collector.url, "spool_directory": str(tmp_path / "spool")}


def record(**options: Any) -> None:
    """Have a run with one span, and finish it."""
    with own_parts(), rd.init(project="named", system_metrics=False, **options) as run, run.trace("epoch"):
        pass


def test_a_run_that_sends_has_them_made_once(
    options: dict[str, Any], made: list[InMemorySpanExporter]
) -> None:
    """Another program's exporter gets the run by a variable alone."""
    record(**options)

    (exporter,) = made
    assert [span.name for span in exporter.get_finished_spans()] == ["epoch"]


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_a_run_that_sends_nothing_has_none_made(
    options: dict[str, Any], made: list[InMemorySpanExporter], mode: str
) -> None:
    """No connection is opened by an exporter that nobody will use."""
    record(mode=mode, **options)

    assert made == []


def test_a_silent_rank_has_none_made(options: dict[str, Any], made: list[InMemorySpanExporter]) -> None:
    """A thousand ranks open no thousand connections."""
    record(distributed_rank=3, **options)

    assert made == []


def test_a_run_that_is_switched_off_needs_no_module(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`disabled` works where the vendor's package is not installed; any other start says what is missing."""
    for variable in ("RUNDIAL_EXPORTERS", "RUNDIAL_EVENT_HOOK", "RUNDIAL_SYSTEM_METRICS_PROVIDER"):
        monkeypatch.setenv(variable, "nowhere_to_be_found:make")

    record(mode="disabled", **options)
    with pytest.raises(ConfigError, match="nowhere_to_be_found"):
        record(mode="offline", **options)


@pytest.mark.parametrize(("function", "why"), [("fail", "OSError"), ("make_none", "must be")])
def test_what_cannot_be_made_starts_nothing(
    options: dict[str, Any],
    made: list[InMemorySpanExporter],
    function: str,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The variable is named, and no word of the vendor's error, which may hold a key."""
    monkeypatch.setenv("RUNDIAL_EXPORTERS", f"{NAME}:{function}")

    with pytest.raises(ConfigError, match=rf"exporters.*{why}") as raised:
        record(**options)
    assert "rdk_secret" not in str(raised.value)
    assert made == []
    assert not (tmp_path / "spool").exists()


def test_programs_without_a_run_have_none_made(
    options: dict[str, Any], made: list[InMemorySpanExporter], collector: Collector
) -> None:
    """A provider has exporters of its own; those of runs would get its records a second time."""
    one, two = otel.RecordingSpanProcessor(**options), otel.RecordingSpanProcessor(**options)
    provider = TracerProvider()
    provider.add_span_processor(one)
    with provider.get_tracer("shop").start_as_current_span("checkout"):
        pass
    assert two.force_flush()
    # Both have one way out, as without the variable.
    assert two.ledger().spans.delivered == 1
    two.shutdown()
    provider.shutdown()

    assert [span.name for span in collector.spans] == ["checkout"]
    assert made == []


def test_a_client_that_sends_nothing_has_none_made(made: list[InMemorySpanExporter], tmp_path: Path) -> None:
    """Nor one that reads its settings again for each of its runs."""
    spool = str(tmp_path / "spool")
    with own_parts(), rd.Client("http://127.0.0.1:9", mode="offline", spool_directory=spool) as client:
        run = client.start_run(project_id="p", run_id="r1")
        assert run.log({"loss": 1.0})

    assert made == []
