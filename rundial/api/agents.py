"""Agents, calls of models and of tools, as spans in the words of OpenTelemetry's GenAI conventions.

Imported by the first of them. What they record beyond a span's own is attributes alone, so that any other
program which speaks the conventions can be read beside them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from rundial.api.span import Span
from rundial.interrupts import let_through
from rundial.signals import genai, semconv
from rundial.signals.attributes import as_bounded, as_json, cut_short
from rundial.signals.preview import ORIGINAL_BYTES_SUFFIX
from rundial.signals.redaction import redact, redact_shapes

T = TypeVar("T")
# Of an answer that comes in pieces; for what is beyond it stands a mark, and it is counted beside it.
MAX_STREAM_CHARS = 8 << 20


class GenAISpan(Span):
    """A span of an agent, a model or a tool; an exception that ends it is named by `error.type` too."""

    def input(self, messages: object, *, system: object = None) -> None:
        """Record what went in.

        Args:
            messages: A text, a message, or a list of them, of OpenAI's, Anthropic's or the conventions' form.
            system: Instructions that are given apart from the messages.
        """
        self._put(lambda: asked(messages, system))

    def output(self, messages: object, *, finish_reason: str | None = None) -> None:
        """Record what came out.

        Args:
            messages: As for `input`.
            finish_reason: Why the model stopped, such as `stop`, `length` or `tool_call`.
        """
        self._put(lambda: _answered(messages, finish_reason))

    def _put(self, shaped: Callable[[], Mapping[str, object]]) -> None:
        try:
            self.set_attrs(shaped())
        except Exception as error:  # noqa: BLE001 - counted, and raised in strict mode
            self._failed("record messages", error)

    def _note(self, error: BaseException) -> None:
        super()._note(error)
        self.set_attrs({semconv.ERROR_TYPE: type(error).__qualname__})


class Agent(GenAISpan):
    """One invocation of an agent; made by `run.agent`."""


class LLMCall(GenAISpan):
    """One call of a model; made by `run.llm_call`."""

    _has_begun_to_answer = False

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
    ) -> None:
        """Record how many tokens were used.

        Args:
            input_tokens: All of the input, cached tokens included.
            output_tokens: All of the output, reasoning included.
            cached_tokens: How many of the input's the provider had in its cache.
            cache_write_tokens: How many of the input's it put there.
            reasoning_tokens: How many of the output's were spent on reasoning.
        """
        counts = {
            semconv.GEN_AI_INPUT_TOKENS: input_tokens,
            semconv.GEN_AI_OUTPUT_TOKENS: output_tokens,
            semconv.GEN_AI_CACHED_TOKENS: cached_tokens,
            semconv.GEN_AI_CACHE_WRITE_TOKENS: cache_write_tokens,
            semconv.GEN_AI_REASONING_TOKENS: reasoning_tokens,
        }
        self.set_attrs({name: count for name, count in counts.items() if count is not None})

    def response(self, response: T) -> T:
        """Record a provider's answer: its model, id, messages, usage, and why it ended.

        Args:
            response: What OpenAI's or Anthropic's library returned, or the JSON of it; anything else is
                recorded as a text.

        Returns:
            The same.
        """
        try:
            self.set_attrs(_answer_of(response))
        except Exception as error:  # noqa: BLE001 - counted, and raised in strict mode
            self._failed("record a response", error)
        return response

    def stream(self, chunks: Iterable[T], text: Callable[[T], str | None]) -> Iterator[T]:
        """Pass the pieces of an answer on as they come; their text is the span's output when they end.

        The time until the first piece is recorded, and what had come so far when the consumer leaves.

        Args:
            chunks: The pieces.
            text: Returns the text of a piece; None where it has none.
        """
        said: list[str] = []
        room, lost_bytes = MAX_STREAM_CHARS, 0
        try:
            for chunk in chunks:
                self._began()
                piece = self._text_of(text, chunk)
                said.append(piece[:room])
                lost_bytes += _json_bytes(piece[room:])
                room -= min(room, len(piece))
                yield chunk
        finally:
            self._put(lambda: _answered("".join(said) + ("…" if lost_bytes else ""), None))
            if lost_bytes:
                self._put(lambda: _original("".join(said), lost_bytes))

    def _began(self) -> None:
        if not self._has_begun_to_answer:
            self._has_begun_to_answer = True
            took_s = (time.time_ns() - self._start_unix_ns) / 1e9
            self.set_attrs({semconv.GEN_AI_FIRST_CHUNK: took_s})

    def _text_of(self, text: Callable[[T], str | None], chunk: T) -> str:
        try:
            piece = text(chunk)
            if piece is not None and not isinstance(piece, str):
                raise TypeError(f"the text of a piece is {type(piece).__name__}, not a str")
            return piece or ""
        except Exception as error:  # noqa: BLE001 - the user's own function; the answer goes on
            let_through(error)
            self._failed("read a piece of an answer", error)
            return ""


class Tool(GenAISpan):
    """One execution of a tool; made by `run.tool`. As a decorator it records arguments and result."""

    def arguments(self, arguments: object) -> None:
        """Record what the tool was given."""
        self._put(lambda: told(semconv.GEN_AI_TOOL_ARGUMENTS, arguments))

    def result(self, result: T) -> T:
        """Record what the tool answered, and return it."""
        self._put(lambda: told(semconv.GEN_AI_TOOL_RESULT, result))
        return result

    def called(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Record a decorated function's arguments by their names."""
        self._put(lambda: told(semconv.GEN_AI_TOOL_ARGUMENTS, _by_name(function, args, kwargs)))

    def returned(self, result: object) -> None:
        """Record a decorated function's result."""
        self.result(result)


def told(name: str, value: object) -> dict[str, object]:
    """Return the attributes of what a tool was given or answered, without secrets."""
    body, was_cut = as_bounded(genai.plain(value))
    clean = redact(body)
    return cut_short(name, value, clean) if was_cut else {name: clean}


def _by_name(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, object]:
    import inspect

    try:
        named = dict(inspect.signature(function).bind(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        # The call is about to say what is wrong with them.
        return {**kwargs, "args": list(args)}
    first = next(iter(named), None)
    if first in ("self", "cls"):
        # The object that a method is of: no argument of the model's, and full of what is nobody's business.
        del named[first]
    return named


def _json_bytes(text: str) -> int:
    return len(as_json(text).encode("utf-8", "replace")) - 2 if text else 0


def _original(kept: str, lost_bytes: int) -> dict[str, object]:
    messages = as_json(_shaped(kept, "assistant")).encode("utf-8", "replace")
    return {semconv.GEN_AI_OUTPUT_MESSAGES + ORIGINAL_BYTES_SUFFIX: len(messages) + lost_bytes}


def _shaped(messages: object, role: str) -> list[dict[str, Any]]:
    return genai.without_secrets(genai.messages(messages, role))


def _answer_of(response: object) -> dict[str, Any]:
    found = genai.answer_of(response)
    if semconv.GEN_AI_OUTPUT_MESSAGES in found:
        messages = genai.without_secrets(found[semconv.GEN_AI_OUTPUT_MESSAGES])
        return {**found, semconv.GEN_AI_OUTPUT_MESSAGES: messages}
    return found or {semconv.GEN_AI_OUTPUT_MESSAGES: redact_shapes(str(response))}


def asked(messages: object, system: object) -> dict[str, object]:
    """Return the attributes of what goes into a model or an agent."""
    found: dict[str, object] = {}
    if messages is not None:
        found[semconv.GEN_AI_INPUT_MESSAGES] = _shaped(messages, "user")
    if system is not None:
        found[semconv.GEN_AI_SYSTEM] = _shaped(system, "system")[0]["parts"]
    return found


def _answered(messages: object, finish_reason: str | None) -> dict[str, object]:
    found = _shaped(messages, "assistant")
    if finish_reason is None:
        return {semconv.GEN_AI_OUTPUT_MESSAGES: found}
    return {
        semconv.GEN_AI_OUTPUT_MESSAGES: [{**message, "finish_reason": finish_reason} for message in found],
        semconv.GEN_AI_FINISH_REASONS: [finish_reason],
    }
