"""`run.trace`: spans with the right parents, whatever runs at once, and nothing global touched."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import trace as otel

from rundial.api import session
from rundial.api.run import Run
from tests.support.recorded import Recorded

Read = Callable[[Run], Recorded]
Start = Callable[..., Run]

OK, ERROR = 1, 2


def parents(found: Recorded) -> dict[str, str]:
    """The name of each span's parent; empty for a root."""
    names = {span.span_id: span.name for span in found.spans}
    return {span.name: names.get(span.parent_span_id, span.parent_span_id) for span in found.spans}


def test_spans_nest_by_with(run: Run, read: Read) -> None:
    """A span inside another is its child, in the same trace, and siblings are siblings."""
    with run.trace("outer"):
        with run.trace("first"), run.trace("inner"):
            run.log_text("here")
        with run.trace("second"):
            run.log({"x": 1})

    found = read(run)
    assert parents(found) == {"outer": "", "first": "outer", "inner": "first", "second": "outer"}
    assert len({span.trace_id for span in found.spans}) == 1
    (line,) = found.lines
    assert line.span_id == next(span.span_id for span in found.spans if span.name == "inner")
    assert line.trace_id == found.spans[0].trace_id


def test_spans_of_asyncio_tasks_have_the_right_parents(run: Run, read: Read) -> None:
    """Tasks that take turns inside spans of their own never adopt each other's."""

    async def task(name: str, turns: list[asyncio.Event]) -> None:
        with run.trace(name):
            turns[0].set()
            await turns[1].wait()
            with run.trace(f"{name}/sub"):
                await asyncio.sleep(0)

    async def main() -> None:
        one, two = asyncio.Event(), asyncio.Event()
        with run.trace("root"):
            await asyncio.gather(task("a", [one, two]), task("b", [two, one]))

    asyncio.run(main())

    assert parents(read(run)) == {"root": "", "a": "root", "b": "root", "a/sub": "a", "b/sub": "b"}


def test_spans_of_threads_do_not_mix(run: Run, read: Read) -> None:
    """A bare thread begins a trace of its own; one that carries the context continues its caller's."""
    barrier = threading.Barrier(2)

    def work(name: str) -> None:
        with run.trace(name):
            barrier.wait(5)
            with run.trace(f"{name}/sub"):
                barrier.wait(5)

    with run.trace("root"):
        context = contextvars.copy_context()
        threads = [
            threading.Thread(target=work, args=("bare",)),
            threading.Thread(target=context.run, args=(work, "carried")),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)

    assert parents(read(run)) == {
        "root": "",
        "bare": "",
        "bare/sub": "bare",
        "carried": "root",
        "carried/sub": "carried",
    }


def test_a_decorator_makes_a_span_for_each_call(run: Run, read: Read) -> None:
    """A decorated function keeps its name and value, and each call is a span of its own."""

    @run.trace("square", attrs={"kind": "math"})
    def square(number: int) -> int:
        """Documented."""
        return number * number

    @run.trace("later")
    async def later(number: int) -> int:
        await asyncio.sleep(0)
        return square(number)

    assert [square(3), asyncio.run(later(4))] == [9, 16]
    assert (square.__name__, square.__doc__) == ("square", "Documented.")

    found = read(run)
    assert sorted(span.name for span in found.spans) == ["later", "square", "square"]
    assert len({span.span_id for span in found.spans}) == 3
    late = next(span for span in found.spans if span.name == "later")
    assert [span.parent_span_id for span in found.spans if span.name == "square"] == ["", late.span_id]


def test_an_exception_is_recorded_and_goes_its_way(run: Run, read: Read) -> None:
    """The user's exception leaves the block as the same object, and the span says what it was."""
    error = KeyError("no such layer")

    with pytest.raises(KeyError) as raised, run.trace("broken"):
        raise error

    assert raised.value is error
    assert raised.value.__context__ is None
    span = read(run).span("broken")
    assert span.status.code == ERROR
    assert "KeyError" in span.status.message
    (event,) = span.events
    assert event.name == "exception"
    assert "no such layer" in str(event.attributes)


def test_an_exception_of_a_decorated_coroutine_goes_its_way(run: Run, read: Read) -> None:
    """Also a coroutine's exception is the caller's, untouched."""

    @run.trace("broken")
    async def broken() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        asyncio.run(broken())

    assert read(run).span("broken").status.code == ERROR


def test_an_exception_with_a_broken_str_goes_its_way(run: Run, read: Read) -> None:
    """An exception that cannot be printed is still the user's, and the span still ends."""

    class UnprintableError(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    with pytest.raises(UnprintableError), run.trace("broken"):
        raise UnprintableError

    assert [span.name for span in read(run).spans] == ["broken"]


def test_a_span_keeps_attributes_and_events(run: Run, read: Read) -> None:
    """Attributes of any type and events with a time are stored with the span."""
    with run.trace("step", attrs={"epoch": 3, "lr": 0.1}, kind="client") as span:
        span.set_attrs({"ok": True}, note="fine")
        span.set_attrs(odd=object)
        span.event("saved", {"path": "/m"}, timestamp_ns=123)

    found = read(run)
    attributes = found.spans[0].attributes
    assert {key: attributes[key] for key in ("epoch", "lr", "ok", "note")} == {
        "epoch": 3, "lr": 0.1, "ok": True, "note": "fine",
    }  # fmt: skip  # four pairs, one line
    message = found.span("step")
    assert message.kind == 3
    assert message.status.code == OK
    assert [(event.name, event.time_unix_nano) for event in message.events] == [("saved", 123)]


def test_a_span_is_finished_by_hand_once(run: Run, read: Read) -> None:
    """`finish` ends a span with a status; a second call changes nothing, and the span is stored once."""
    span = run.trace("by hand")
    assert span.finish(status="error")
    assert span.finish(status="ok")

    assert read(run).span("by hand").status.code == ERROR


def test_a_span_refuses_an_end_before_its_start(run: Run, read: Read) -> None:
    """An end that cannot be is refused and the span goes on; a wrong status is the caller's mistake."""
    span = run.trace("early")
    assert span.finish(end_ns=1) is False
    with pytest.raises(ValueError, match="status"):
        span.finish(status="great")
    assert span.finish()

    assert len(read(run).spans) == 1


def test_a_finished_span_in_a_with_block_stays_as_it_is(run: Run, read: Read) -> None:
    """A span that was finished inside its block is not ended again by leaving it."""
    with run.trace("done") as span:
        span.finish(status="error")

    assert read(run).span("done").status.code == ERROR


def test_ids_are_opentelemetrys(run: Run, read: Read) -> None:
    """`trace_id` is 32 hexadecimal digits and `span_id` 16, as they are stored."""
    with run.trace("x") as span:
        assert (len(span.trace_id), len(span.span_id)) == (32, 16)
        assert int(span.trace_id, 16) * int(span.span_id, 16) != 0

    (stored,) = read(run).spans
    assert (stored.trace_id, stored.span_id) == (span.trace_id, span.span_id)


def test_a_span_continues_a_trace_from_elsewhere(run: Run, read: Read) -> None:
    """A trace id and parent that came with a request are taken over."""
    with run.trace("served", trace_id="0af7651916cd43dd8448eb211c80319c", parent_span_id="b7ad6b7169203331"):
        pass

    (span,) = read(run).spans
    assert span.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert span.parent_span_id == "b7ad6b7169203331"


@pytest.mark.parametrize("ids", [{"trace_id": "nonsense"}, {"parent_span_id": "x" * 16}])
def test_a_wrong_id_never_raises(run: Run, ids: dict[str, Any]) -> None:
    """A trace id that is none costs at most the span, counted, never the block."""
    reached = False
    with run.trace("x", **ids):
        reached = True

    assert reached
    assert run.diagnostics().ledger.closes


def test_a_wrong_kind_is_refused_at_once(run: Run) -> None:
    """A kind that does not exist is the caller's mistake and named before anything starts."""
    with pytest.raises(ValueError, match="kind"):
        run.trace("x", kind="great")  # type: ignore[arg-type]  # what is tested


def test_an_open_span_is_announced(run: Run, read: Read) -> None:
    """A span that has begun is on disk before it ends, so that a crash leaves a trace of it."""
    with run.trace("long"):
        announced = [event for event in read(run).events if event.event_name == "rundial.span.start"]

        assert [event.body["name"] for event in announced] == ["long"]


def test_spans_are_counted_in_the_ledger(run: Run, read: Read) -> None:
    """A span counts when it has ended, and only then."""
    with run.trace("outer"):
        with run.trace("inner"):
            pass
        assert run.diagnostics().ledger.spans.recorded == 1

    read(run)
    account = run.diagnostics().ledger.spans
    assert (account.recorded, account.waiting_spool, account.closes) == (2, 2, True)


def test_nothing_global_is_set(run: Run, read: Read) -> None:
    """A program's own tracer provider stays what it was; ours is the run's alone."""
    before = otel._TRACER_PROVIDER
    with run.trace("ours"):
        inner = otel.get_tracer("application").start_span("theirs")
        inner.end()

    assert otel._TRACER_PROVIDER is before
    assert [span.name for span in read(run).spans] == ["ours"]
    assert not otel.get_current_span().get_span_context().is_valid


def test_sampling_variables_do_not_thin_out_a_run(
    start: Start, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`OTEL_TRACES_SAMPLER` is meant for the application; a run keeps each of its spans."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    run = start()
    with run.trace("kept"):
        pass

    assert [span.name for span in read(run).spans] == ["kept"]


def test_spans_of_two_runs_stay_apart(start: Start, read: Read) -> None:
    """Each run gets its own spans, and no two have the same id."""
    first, second = start(run_id="first"), start(run_id="second")
    with first.trace("a"):
        pass
    with second.trace("b"):
        pass

    assert first.flush(10)
    found = read(second)
    assert {span.name: span.resource["rundial.run.id"] for span in found.spans} == {
        "a": "first",
        "b": "second",
    }
    assert len({span.span_id for span in found.spans}) == 2


def test_a_span_of_a_finished_run_is_counted_after_finish(run: Run) -> None:
    """A span that ends too late is dropped, counted, and never raises."""
    assert run.finish()
    with run.trace("late"):
        pass

    assert run.diagnostics().ledger.spans.dropped == {"after_finish": 1}
    assert run.diagnostics().ledger.closes


def test_a_disabled_run_traces_nothing_and_keeps_the_surface(start: Start) -> None:
    """Disabled, a span does nothing, and its block runs as ever."""
    run = start(mode="disabled")
    with run.trace("x", attrs={"a": 1}) as span:
        span.event("e")
        span.set_attrs(b=2)

    assert span.finish()
    assert int(span.trace_id, 16) == 0


def test_a_span_survives_a_parent_that_is_none(run: Run, read: Read) -> None:
    """A span whose given trace id cannot be read is stored in a trace of its own, and has ids."""
    with run.trace("x", trace_id="nonsense") as span:
        assert len(span.trace_id) == 32

    assert [stored.trace_id for stored in read(run).spans] == [span.trace_id]
    assert run.diagnostics().ledger.spans.dropped == {}


def test_line_is_recorded_while_another_thread_imports_opentelemetry(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that is there and not yet filled costs a line its span at most, never the line."""
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", ModuleType("opentelemetry.trace"))

    assert run.log_text("x")
    assert run.diagnostics().ledger.lines.recorded == 1


def test_a_span_that_the_recorder_refuses_says_so(run: Run) -> None:
    """`finish()` of a span answers what `log` would: False when the recorder is full, which is counted."""
    parts = session._SESSION.parts
    # As on a disk that hangs: nothing leaves the ring.
    with parts.pipeline.encoder.pass_lock:
        while run.log_text("x" * 8000):
            pass
        while run.log_text("x"):
            pass
        by_hand = run.trace("by hand")
        answers = [by_hand.finish(), by_hand.finish()]
        with run.trace("with") as span:
            pass
        answers.append(span.finish())

    assert answers == [False, False, False]
    assert run.diagnostics().ledger.spans.dropped == {"queue_full": 2}
    assert run.diagnostics().ledger.closes


def test_a_span_after_the_end_of_its_run_says_so(run: Run) -> None:
    """A span that ends after `finish` of the run is not stored, and its own `finish` does not claim it."""
    span = run.trace("late")
    with span:
        assert run.finish(10)

    assert not span.finish()
    assert run.diagnostics().ledger.spans.dropped == {"after_finish": 1}


def test_a_tool_call_is_a_span_with_what_went_in_and_out(run: Run, read: Read) -> None:
    """A call that is over is one span under the current one, its facts beside the program's own."""
    with run.trace("agent"):
        assert run.tool_call("search", input={"q": "ring"}, output=[1, 2], attrs={"tool.name": "x", "n": 3})
        assert run.tool_call("fail", status="error")

    recorded = read(run)
    tool, failed, agent = (recorded.span(name) for name in ("tool:search", "tool:fail", "agent"))
    found = {pair.key: pair.value for pair in tool.attributes}
    assert found["tool.name"].string_value == "search"
    assert found["tool.input"].string_value == '{"q": "ring"}'
    assert [item.int_value for item in found["tool.output"].array_value.values] == [1, 2]
    assert found["n"].int_value == 3
    assert {tool.parent_span_id, failed.parent_span_id} == {agent.span_id}
    assert failed.status.code == 2
    assert [pair.key for pair in failed.attributes if pair.key.startswith("tool.")] == ["tool.name"]


def test_a_tool_call_after_the_end_of_its_run_is_counted(run: Run) -> None:
    """It starts nothing again, and says that it was not kept."""
    assert run.finish(10)

    assert not run.tool_call("late")
    assert run.diagnostics().ledger.spans.dropped == {"after_finish": 1}


def test_a_secret_in_an_exception_stays_in_the_program(run: Run, read: Read) -> None:
    """Libraries put URLs and headers into what they raise; status, message and stack have none of it."""
    secret = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
    with pytest.raises(RuntimeError), run.trace("call"):
        raise RuntimeError(f"401 for Authorization: Bearer {secret}")

    assert secret not in str(read(run).span("call"))
