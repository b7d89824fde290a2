"""A function → the same function, with a span of its own for each call; of whatever kind it is.

A generator's span lasts from its first value to its end, and is the current one only while the generator's
own code runs: what its consumer does between two values is the consumer's. Its result is how many values it
gave, for they are nobody's to keep.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any

from rundial.signals import semconv

if TYPE_CHECKING:
    from rundial.api.span import Span

Function = Callable[..., Any]
Begin = Callable[[], "Span"]


def wrapped(function: Function, begin: Begin) -> Function:
    """Return the function, traced.

    Args:
        function: Sync, async, a generator or an async generator function.
        begin: Makes the span of a call.
    """
    if inspect.isasyncgenfunction(function):
        return _stream(function, begin)
    if inspect.isgeneratorfunction(function):
        return _generator(function, begin)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def traced_async(*args: Any, **kwargs: Any) -> Any:
            with begin() as span:
                span.called(function, args, kwargs)
                result = await function(*args, **kwargs)
                span.returned(result)
                return result

        return traced_async

    @functools.wraps(function)
    def traced(*args: Any, **kwargs: Any) -> Any:
        with begin() as span:
            span.called(function, args, kwargs)
            result = function(*args, **kwargs)
            span.returned(result)
            return result

    return traced


def _generator(function: Function, begin: Begin) -> Function:
    @functools.wraps(function)
    def traced_generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        # First, for arguments that do not fit raise here, and no span begins.
        generator, span = function(*args, **kwargs), begin()
        span.called(function, args, kwargs)
        step: Function = generator.send
        given: Any = None
        count = 0
        try:
            while True:
                with span.resumed():
                    value = step(given)
                count += 1
                try:
                    given = yield value
                    step = generator.send
                except GeneratorExit:
                    with span.resumed():
                        generator.close()
                    _leave_early(span, count)
                    raise
                except BaseException as error:  # noqa: BLE001 - what its consumer throws in is the generator's
                    step, given = generator.throw, error
        except StopIteration as end:
            span.returned(count)
            span.leave(None)
            return end.value
        except BaseException as error:
            span.leave(error)
            raise

    return traced_generator


def _stream(function: Function, begin: Begin) -> Function:
    @functools.wraps(function)
    async def traced_stream(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        stream, span = function(*args, **kwargs), begin()
        span.called(function, args, kwargs)
        step: Function = stream.asend
        given: Any = None
        count = 0
        try:
            while True:
                with span.resumed():
                    value = await step(given)
                count += 1
                try:
                    given = yield value
                    step = stream.asend
                except GeneratorExit:
                    with span.resumed():
                        await stream.aclose()
                    _leave_early(span, count)
                    raise
                except BaseException as error:  # noqa: BLE001 - what its consumer throws in is the stream's
                    step, given = stream.athrow, error
        except StopAsyncIteration:
            span.returned(count)
            span.leave(None)
        except BaseException as error:
            span.leave(error)
            raise

    return traced_stream


def _leave_early(span: Span, count: int) -> None:
    span.returned(count)
    span.set_attrs({semconv.CLOSED_EARLY: True})
    span.finish(status="unset")
