"""What the published client did to data: context that replaced values, spans in the wrong place."""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from rundial.api.run import Run
from tests.support.collector import Collector
from tests.support.scripts import run_script

Start = Callable[..., Run]


def test_c1_context_keeps_the_value(start: Start, collector: Collector) -> None:
    """A metric that is logged with a context arrives with its own value and the context beside it."""
    with start() as run:
        assert run.log({"acc": 0.5, "loss": 2.0}, step=1, context={"split": "val"})
        assert run.log({"acc": 0.25}, step=1, context={"fold": 3, "split": "val"})  # type: ignore[dict-item]  # people do
        assert run.log_metric("acc", value=0.125, step=1, context={"split": "train"})
        assert run.flush(10)

    found = {(point.name, point.value): point.attributes for point in collector.points}
    assert found == {
        ("acc", 0.5): {"rundial.step": 1, "split": "val"},
        ("loss", 2.0): {"rundial.step": 1, "split": "val"},
        ("acc", 0.25): {"rundial.step": 1, "fold": "3", "split": "val"},
        ("acc", 0.125): {"rundial.step": 1, "split": "train"},
    }


def test_c1_context_survives_the_spool(start: Start, collector: Collector) -> None:
    """A metric that waited on disk while the server was away arrives with its own value too."""
    run = start()
    collector.stop()
    assert run.log({"acc": 0.5}, step=1, context={"split": "val"})
    assert run.flush(0.3) is False
    collector.start()
    assert run.flush(10)

    assert [(point.value, point.attributes["split"]) for point in collector.points] == [(0.5, "val")]


def test_c5_spans_nested_by_with_share_a_trace(start: Start, collector: Collector) -> None:
    """Spans inside one another arrive as one trace, each under its parent."""
    with start() as run:
        with run.trace("outer"), run.trace("middle"), run.trace("inner"):
            pass
        assert run.flush(10)

    outer, middle, inner = (
        next(s for s in collector.spans if s.name == n) for n in ("outer", "middle", "inner")
    )
    assert outer.trace_id == middle.trace_id == inner.trace_id
    assert (outer.parent_span_id, middle.parent_span_id) == ("", outer.span_id)
    assert inner.parent_span_id == middle.span_id


def test_c5_asyncio_tasks_have_their_own_parents(start: Start, collector: Collector) -> None:
    """Tasks that take turns on one thread each keep their own spans."""

    async def task(run: Run, number: int, go: asyncio.Event) -> None:
        with run.trace(f"task{number}"):
            if number == 4:
                go.set()
            await go.wait()
            with run.trace(f"sub{number}"):
                await asyncio.sleep(0)

    async def work(run: Run) -> None:
        go = asyncio.Event()
        with run.trace("root"):
            await asyncio.gather(*(task(run, number, go) for number in range(5)))

    with start() as run:
        asyncio.run(work(run))
        assert run.flush(10)

    names = {span.span_id: span.name for span in collector.spans}
    parents = {span.name: names.get(span.parent_span_id, "") for span in collector.spans}
    assert parents == {
        "root": "",
        **{f"task{number}": "root" for number in range(5)},
        **{f"sub{number}": f"task{number}" for number in range(5)},
    }


def test_c5_span_ids_of_two_processes_differ(collector: Collector) -> None:
    """Two programs that do the same never have a span or trace id in common."""
    text = """
        with rd.init(project="digits", endpoint=given["url"], spool_directory=given["spool"]) as run:
            for _ in range(50):
                with run.trace("outer"), run.trace("inner"):
                    pass
    """
    for number in range(2):
        assert run_script(text, url=collector.url, spool=f"spool{number}").status == 0

    assert len(collector.spans) == 200
    assert len({span.span_id for span in collector.spans}) == 200
    assert len({span.trace_id for span in collector.spans}) == 100


def test_c2_config_keeps_its_types_and_all_its_entries(start: Start, collector: Collector) -> None:
    """A whole number arrives as one, and lists, paths and enums arrive at all."""

    class Color(enum.Enum):
        RED = 1

    run = start(config={"seed": 2**63 - 1, "lr": 1.0, "layers": [64, (32, 16)], "flag": True})
    run.config["data"] = Path("/data")
    run.update_config({"color": Color.RED, "nothing": None})
    assert run.flush(10)

    started, *changes = [event.body for event in collector.events if "config" in event.body]
    assert started["config"] == {"seed": 2**63 - 1, "lr": 1.0, "layers": [64, [32, 16]], "flag": True}
    assert type(started["config"]["seed"]) is int
    assert type(started["config"]["lr"]) is float
    assert [body["config"] for body in changes] == [
        {"data": "/data"},
        {"color": "Color.RED", "nothing": None},
    ]
    assert run.diagnostics().config_truncations == 0


def test_l16_long_attributes_of_a_span_are_kept(start: Start, collector: Collector) -> None:
    """Eight attributes of 3 KB, and a list of 128 and more, arrive whole."""
    attrs: dict[str, object] = {f"text{number}": "x" * 3_000 for number in range(8)}
    attrs["items"] = list(range(500))
    with start() as run:
        with run.trace("long", attrs=attrs):
            pass
        assert run.flush(10)

    (span,) = collector.spans
    assert {key: span.attributes[key] for key in attrs} == attrs


def record_long_values(run: Run) -> None:
    """Put values beyond every bound into a span, an event and a tool call."""
    attrs = {"text": "x" * 100_000, "items": list(range(5_000)), "short": 1}
    with run.trace("longer", attrs=attrs) as span:
        span.event("step", {"text": "y" * 100_000})
    assert run.tool_call("search", output="z" * 100_000)
    assert run.flush(10)


def test_l16_what_a_span_cannot_keep_says_how_long_it_was(
    start: Start, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a Collector, a value beyond every bound keeps its beginning, its true length beside it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    with start(endpoint=None, api_key=None) as run:
        record_long_values(run)
        files = run.diagnostics().ledger.signals()["artifacts"]

    longer = next(span for span in collector.spans if span.name == "longer")
    tool = next(span for span in collector.spans if span.name == "tool:search")
    assert longer.attributes["short"] == 1
    assert longer.attributes["text.rundial.original_bytes"] == 100_000
    assert longer.attributes["items.rundial.original_items"] == 5_000
    assert tool.attributes["tool.output.rundial.original_bytes"] == 100_000
    assert longer.events[0].attributes["text.rundial.original_bytes"] == 100_000
    assert min(len(str(longer.attributes["text"])), len(str(tool.attributes["tool.output"]))) > 10_000
    assert files.logged == 0, "no file that nobody takes"


def test_l16_what_a_span_keeps_beside_it_is_named_by_its_digest(start: Start, collector: Collector) -> None:
    """At a server, a long value is kept whole beside the span, which has its beginning, length and digest."""
    with start() as run:
        with run.trace("longer", attrs={"text": "x" * 100_000}):
            pass
        files = run.diagnostics().ledger.signals()["artifacts"]
        run.flush(0.5)

    (span,) = collector.spans
    assert files.logged == 1
    assert str(span.attributes["text"]) == "x" * 1_024
    assert span.attributes["text.rundial.original_bytes"] == 100_000
    assert span.attributes["text.rundial.evidence.sha256"] == sha256(b"x" * 100_000).hexdigest()


def test_l16_an_exception_of_a_span_is_kept_with_its_text(start: Start, collector: Collector) -> None:
    """Which exception left a span, what it said, and where it was raised, arrives with the span."""
    with start() as run:
        with contextlib.suppress(ValueError), run.trace("fails"):
            raise ValueError("bad shape (3, 4)")
        assert run.flush(10)

    (span,) = collector.spans
    (event,) = span.events
    assert event.attributes["exception.type"] == "ValueError"
    assert event.attributes["exception.message"] == "bad shape (3, 4)"
    assert "test_l16_an_exception" in str(event.attributes["exception.stacktrace"])
