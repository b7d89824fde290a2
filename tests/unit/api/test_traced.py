"""Decorated functions of every kind: a span for each call, current while its own code runs."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator

import pytest
from opentelemetry import trace as otel

from rundial.api.run import Run
from tests.support.recorded import Recorded
from tests.unit.api.test_trace import ERROR, OK, parents

Read = Callable[[Run], Recorded]


def test_a_generators_span_is_current_for_its_own_code_alone(run: Run, read: Read) -> None:
    """What a consumer does between two values is not the generator's, and what the generator does is."""

    @run.trace("stream")
    def stream() -> Iterator[int]:
        for number in range(2):
            with run.trace("inside"):
                pass
            yield number

    with run.trace("consumer"):
        for _ in stream():
            with run.trace("between"):
                pass

    found = read(run)
    assert sorted((span.name, parents(found)[span.name]) for span in found.spans) == [
        ("between", "consumer"),
        ("between", "consumer"),
        ("consumer", ""),
        ("inside", "stream"),
        ("inside", "stream"),
        ("stream", "consumer"),
    ]
    assert found.span("stream").status.code == OK


def test_an_async_generators_span_is_current_for_its_own_code_alone(run: Run, read: Read) -> None:
    """Also where two of them take turns in one task."""

    @run.trace("stream")
    async def stream(name: str) -> AsyncIterator[int]:
        for number in range(2):
            await asyncio.sleep(0)
            with run.trace(name):
                pass
            yield number

    async def main() -> None:
        with run.trace("consumer"):
            first, second = stream("first"), stream("second")
            for _ in range(2):
                await anext(first)
                with run.trace("between"):
                    await anext(second)
            assert [number async for number in first] == [number async for number in second] == []

    asyncio.run(main())

    found = read(run)
    names = {span.span_id: span.name for span in found.spans}
    assert {
        span.name: names.get(span.parent_span_id, "") for span in found.spans if span.name != "stream"
    } == {
        "first": "stream",
        "second": "stream",
        "between": "consumer",
        "consumer": "",
    }
    assert not otel.get_current_span().get_span_context().is_valid


def test_a_generator_takes_what_is_sent_and_thrown_and_returns(run: Run, read: Read) -> None:
    """`send`, `throw` and the value of `yield from` reach the generator as ever."""

    @run.trace("echo")
    def echo() -> Generator[str, str, str]:
        said = yield "ready"
        try:
            yield said
        except KeyError as error:
            yield f"caught {error}"
        return "done"

    generator = echo()
    assert [next(generator), generator.send("hello"), generator.throw(KeyError("k"))] == [
        "ready",
        "hello",
        "caught 'k'",
    ]
    with pytest.raises(StopIteration) as ended:
        next(generator)

    assert ended.value.value == "done"
    assert inspect.isgeneratorfunction(echo)
    assert [span.name for span in read(run).spans] == ["echo"]


def test_an_async_generator_takes_what_is_sent_and_thrown(run: Run, read: Read) -> None:
    """The same for `asend` and `athrow`."""

    @run.trace("echo")
    async def echo() -> AsyncGenerator[str, str]:
        said = yield "ready"
        try:
            yield said
        except KeyError as error:
            yield f"caught {error}"

    async def main() -> list[str]:
        stream = echo()
        return [await anext(stream), await stream.asend("hello"), await stream.athrow(KeyError("k"))]

    assert asyncio.run(main()) == ["ready", "hello", "caught 'k'"]
    assert inspect.isasyncgenfunction(echo)
    assert [span.name for span in read(run).spans] == ["echo"]


def test_a_generators_exception_is_recorded_and_goes_its_way(run: Run, read: Read) -> None:
    """The same object, with its stack in the span."""
    error = LookupError("gone")

    @run.trace("broken")
    def broken() -> Iterator[int]:
        yield 1
        raise error

    @run.trace("broken too")
    async def broken_too() -> AsyncIterator[int]:
        yield 1
        raise error

    async def main() -> None:
        async for _ in broken_too():
            pass

    with pytest.raises(LookupError) as raised:
        list(broken())
    with pytest.raises(LookupError) as raised_too:
        asyncio.run(main())

    assert raised.value is raised_too.value is error
    found = read(run)
    for name in ("broken", "broken too"):
        span = found.span(name)
        assert span.status.code == ERROR
        assert "LookupError: gone" in span.status.message
        assert [event.name for event in span.events] == ["exception"]


def test_a_generator_that_is_left_half_way_ends_its_span(run: Run, read: Read) -> None:
    """A consumer that breaks off, closes, or forgets the generator leaves a span that ended, and says so."""

    @run.trace("left")
    def left() -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            with run.trace("cleanup"):
                pass

    @run.trace("left async")
    async def left_async() -> AsyncIterator[int]:
        for number in range(10):
            yield number

    async def main() -> None:
        stream = left_async()
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]  # an async generator, which has one

    for _ in left():
        break
    gc.collect()
    asyncio.run(main())

    found = read(run)
    assert parents(found)["cleanup"] == "left"
    for span in found.spans:
        if span.name.startswith("left"):
            assert span.attributes["rundial.closed_early"] is True
            assert span.status == 0


def test_a_generator_that_was_never_begun_leaves_no_span(run: Run, read: Read) -> None:
    """Its code has not run either."""

    @run.trace("never")
    def never() -> Iterator[int]:
        yield 1

    never()

    assert read(run).spans == []


def test_a_method_and_a_static_method_are_traced(run: Run, read: Read) -> None:
    """A decorated method is bound as ever."""

    class Model:
        @run.trace("forward")
        def forward(self, number: int) -> int:
            return number + 1

        @staticmethod
        @run.trace("static")
        def twice(number: int) -> int:
            return 2 * number

    assert (Model().forward(1), Model.twice(3)) == (2, 6)
    assert [span.name for span in read(run).spans] == ["forward", "static"]
