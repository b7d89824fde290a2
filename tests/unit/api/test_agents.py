"""Agents, calls of models and of tools: spans in the words of the GenAI conventions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rundial.api.run import Run
from rundial.errors import ConfigError
from tests.support.decoded import Span
from tests.support.recorded import Recorded
from tests.unit.api.test_trace import ERROR, parents

Read = Callable[[Run], Recorded]
Start = Callable[..., Run]

PRICES = {"m": {"input": 2.0, "cached": 0.5, "output": 10.0}, "plain": {"input": 1.0, "output": 1.0}}


def one(found: Recorded, name: str) -> Span:
    """The one span of a name."""
    (span,) = [span for span in found.spans if span.name == name]
    return span


def said(span: Span, name: str) -> Any:
    """An attribute that is JSON."""
    return json.loads(span.attributes[name])


def test_agents_nest_with_their_models_and_tools(run: Run, read: Read) -> None:
    """An agent that asks another one, a model and a tool is one tree, in the conventions' words."""
    about = {"agent_id": "a1", "description": "asks", "conversation_id": "c"}
    with run.agent("outer", input="hello", step=3, **about) as outer:
        with run.llm_call(model="m", provider="openai", params={"temperature": 0.5}, tools=[{"name": "t"}]):
            pass
        with run.agent("inner"), run.tool("t", call_id="k", arguments={"q": 1}, description="finds") as tool:
            tool.result({"found": 2})
        outer.output("bye")

    found = read(run)
    assert parents(found) == {
        "invoke_agent outer": "",
        "chat m": "invoke_agent outer",
        "invoke_agent inner": "invoke_agent outer",
        "execute_tool t": "invoke_agent inner",
    }
    agent, call, tool_span = (one(found, name) for name in ("invoke_agent outer", "chat m", "execute_tool t"))
    text = {"type": "text", "content": "hello"}
    assert said(agent, "gen_ai.input.messages") == [{"role": "user", "parts": [text]}]
    assert said(agent, "gen_ai.output.messages")[0]["parts"][0]["content"] == "bye"
    facts = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "outer",
        "gen_ai.agent.id": "a1",
        "gen_ai.agent.description": "asks",
        "gen_ai.conversation.id": "c",
        "rundial.step": 3,
    }
    assert facts.items() <= agent.attributes.items()
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.temperature": 0.5,
    }.items() <= call.attributes.items()
    assert said(call, "gen_ai.tool.definitions") == [{"name": "t"}]
    assert found.span("chat m").kind == 3
    assert {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "t",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": "k",
        "gen_ai.tool.description": "finds",
        "rundial.span.kind": "tool",
    }.items() <= tool_span.attributes.items()
    assert said(tool_span, "gen_ai.tool.call.arguments") == {"q": 1}
    assert said(tool_span, "gen_ai.tool.call.result") == {"found": 2}


def test_a_decorated_tool_records_its_arguments_and_result(run: Run, read: Read) -> None:
    """By their names, for sync and async functions; the function gets and returns what it ever did."""

    @run.tool("add")
    def add(a: int, b: int = 2, *more: int) -> int:
        return a + b + sum(more)

    @run.tool("later")
    async def later(text: str) -> str:
        await asyncio.sleep(0)
        return text.upper()

    assert (add(1), add(1, 2, 3), asyncio.run(later("x"))) == (3, 6, "X")
    with pytest.raises(TypeError):
        add()  # type: ignore[call-arg]  # what is tested

    first, second, third = (span for span in read(run).spans if span.name == "execute_tool add")
    assert said(first, "gen_ai.tool.call.arguments") == {"a": 1}
    assert said(second, "gen_ai.tool.call.arguments") == {"a": 1, "b": 2, "more": [3]}
    assert (first.attributes["gen_ai.tool.call.result"], second.attributes["gen_ai.tool.call.result"]) == (
        3,
        6,
    )
    assert third.status == ERROR
    assert third.attributes["error.type"] == "TypeError"


def test_a_decorated_agent_has_a_span_for_each_call(run: Run, read: Read) -> None:
    """What it is asked at each is with each, and no span is left open by the decorator itself."""

    @run.agent("helper", input="the task")
    def helper() -> str:
        return "done"

    assert [helper(), helper()] == ["done", "done"]
    assert [span.name for span in read(run).spans] == ["invoke_agent helper"] * 2
    assert [event.event_name for event in read(run).events if event.event_name == "rundial.span.start"] == []


def test_a_tool_that_fails_says_how(run: Run, read: Read) -> None:
    """The exception goes its way, and the agent above it is as it ends."""
    with run.agent("a"):
        try:
            with run.tool("t"):
                raise TimeoutError("slow")
        except TimeoutError:
            pass

    found = read(run)
    tool = one(found, "execute_tool t")
    assert (tool.status, tool.attributes["error.type"]) == (ERROR, "TimeoutError")
    assert [event.name for event in tool.events] == ["exception"]
    assert one(found, "invoke_agent a").status == 1


def test_tokens_count_once_and_cost_what_the_table_says(start: Start, read: Read) -> None:
    """Cached tokens are among the input and have their own price; a model without a price has no cost."""
    run = start(prices=PRICES)
    with run.llm_call(model="m") as call:
        call.usage(input_tokens=1_000, cached_tokens=800, output_tokens=100, reasoning_tokens=50)
    with run.llm_call(model="m-2024-01-01") as call:
        call.usage(input_tokens=1_000, output_tokens=100)
    with run.llm_call(model="asked") as call:
        call.response({"model": "plain", "usage": {"prompt_tokens": 10, "completion_tokens": 5}})
    with run.llm_call(model="plain"):
        pass

    found = read(run)
    priced = one(found, "chat m").attributes
    assert priced["rundial.cost_usd"] == pytest.approx((200 * 2.0 + 800 * 0.5 + 100 * 10.0) / 1e6)
    assert priced["gen_ai.usage.input_tokens"] == 1_000
    assert priced["gen_ai.usage.cache_read.input_tokens"] == 800
    assert priced["gen_ai.usage.reasoning.output_tokens"] == 50
    assert "rundial.cost_usd" not in one(found, "chat m-2024-01-01").attributes
    assert one(found, "chat asked").attributes["rundial.cost_usd"] == pytest.approx(15 / 1e6)
    assert "rundial.cost_usd" not in one(found, "chat plain").attributes


def test_the_spans_of_an_instrumentation_have_a_cost_too(start: Start, read: Read) -> None:
    """Whoever made the span; a cost that it has already stands."""
    run = start(prices=PRICES)
    tracer = run.tracer_provider.get_tracer("theirs", "1.0")
    usage = {"gen_ai.request.model": "plain", "gen_ai.usage.input_tokens": 1_000_000}
    tracer.start_span("a", attributes=usage).end()
    tracer.start_span("b", attributes={**usage, "rundial.cost_usd": 7.0}).end()

    found = read(run)
    assert one(found, "a").attributes["rundial.cost_usd"] == 1.0
    assert one(found, "b").attributes["rundial.cost_usd"] == 7.0


@pytest.mark.parametrize(
    ("prices", "why"),
    [
        ({"m": {"input": 1}}, "input and an output price"),
        ({"m": {"input": 1, "output": -1}}, "a number from 0"),
        ({"m": {"input": 1, "output": True}}, "a number from 0"),
        ({"m": {"input": 1, "output": 1, "inptu": 1}}, "inptu"),
        ({"m": 1}, "input and an output price"),
        ([], "a mapping"),
        ("{", "cannot be read"),
    ],
)
def test_a_wrong_price_is_told_before_anything_starts(start: Start, prices: object, why: str) -> None:
    """A table with a mistake would cost money later."""
    with pytest.raises(ConfigError, match=why):
        start(prices=prices)


def test_prices_come_from_the_environment(start: Start, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON."""
    monkeypatch.setenv("RUNDIAL_PRICES", json.dumps(PRICES))
    run = start()
    with run.llm_call(model="plain") as call:
        call.usage(input_tokens=1_000_000)

    assert one(read(run), "chat plain").attributes["rundial.cost_usd"] == 1.0


def test_a_streamed_answer_is_passed_on_and_kept(run: Run, read: Read) -> None:
    """Each piece as it comes, the time until the first, and the whole text at the end."""

    def pieces() -> Iterator[dict[str, str]]:
        yield {"text": "a "}
        yield {}
        yield {"text": "ring"}

    with run.llm_call(model="m") as call:
        assert len(list(call.stream(pieces(), text=lambda piece: piece.get("text")))) == 3

    span = one(read(run), "chat m")
    assert said(span, "gen_ai.output.messages")[0]["parts"] == [{"type": "text", "content": "a ring"}]
    assert 0 < span.attributes["gen_ai.response.time_to_first_chunk"] < 20


def test_a_stream_that_breaks_keeps_what_came(run: Run, read: Read) -> None:
    """The provider's exception goes its way; so does the answer where only reading a piece fails."""

    def pieces() -> Iterator[str]:
        yield "half"
        raise ConnectionError("reset")

    with pytest.raises(ConnectionError), run.llm_call(model="m") as call:
        list(call.stream(pieces(), text=str))
    with run.llm_call(model="unreadable") as call:
        assert list(call.stream(["x"], text=lambda piece: piece["y"])) == ["x"]  # type: ignore[index]  # what is tested

    found = read(run)
    span = one(found, "chat m")
    assert said(span, "gen_ai.output.messages")[0]["parts"][0]["content"] == "half"
    assert (span.status, span.attributes["error.type"]) == (ERROR, "ConnectionError")
    assert one(found, "chat unreadable").status == 1


def test_objects_that_cannot_be_read_cost_their_attribute_alone(run: Run, read: Read) -> None:
    """A message whose own code fails is told; the span and the program go on."""

    class Odd(dict[str, object]):
        def get(self, *_: object) -> object:
            raise ZeroDivisionError

    with run.llm_call(model="m", input=[Odd(role="user")]) as call:
        call.output([Odd(role="user")])
        call.response(Odd(model="x"))
        call.usage(input_tokens=1)

    assert one(read(run), "chat m").attributes["gen_ai.usage.input_tokens"] == 1


def test_a_disabled_run_takes_all_of_it(start: Start) -> None:
    """The same surface, and nothing recorded."""
    run = start(mode="disabled", prices=PRICES)
    with (
        run.agent("a", input="x") as agent,
        run.llm_call(model="m") as call,
        run.tool("t", arguments=1) as tool,
    ):
        agent.output("x")
        call.usage(input_tokens=1)
        assert call.response("x") == tool.result("x") == "x"


def test_a_tool_that_is_a_method_tells_no_secret(run: Run, read: Read) -> None:
    """The object it is of is no argument, and known shapes and names of secrets are taken out."""

    class Search:
        def __repr__(self) -> str:
            return "Search(hidden)"

        @run.tool("search")
        def find(self, query: str, api_key: str) -> dict[str, str]:
            return {"password": api_key, "found": query}

    Search().find("rings", "hunter2-9")
    with run.tool("given", arguments={"api_key": "hunter2-9"}):
        pass

    found = read(run)
    span = one(found, "execute_tool search")
    assert said(span, "gen_ai.tool.call.arguments") == {"query": "rings", "api_key": "[redacted]"}
    assert said(span, "gen_ai.tool.call.result") == {"password": "[redacted]", "found": "rings"}
    given = one(found, "execute_tool given")
    assert said(given, "gen_ai.tool.call.arguments") == {"api_key": "[redacted]"}


@pytest.mark.parametrize("piece", [b"bytes", 7])
def test_a_piece_that_is_no_text_costs_itself_alone(
    start: Start, read: Read, piece: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer is passed on whole, its texts are kept, and the loss is counted and told once."""
    run = start(strict=False)
    with run.llm_call(model="m") as call:
        assert list(call.stream(["a", piece, piece, "b"], text=lambda given: given)) == [
            "a",
            piece,
            piece,
            "b",
        ]

    assert len([record for record in caplog.records if record.exc_info]) == 1
    span = one(read(run), "chat m")
    assert said(span, "gen_ai.output.messages")[0]["parts"][0]["content"] == "ab"


def test_a_result_whose_code_raises_goes_back_to_its_caller(run: Run, read: Read) -> None:
    """Looking at what a tool answered breaks nothing of the program's."""

    class Hostile:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError(name)

    hostile = Hostile()
    with run.tool("t") as tool:
        assert tool.result(hostile) is hostile

    assert "Hostile" in one(read(run), "execute_tool t").attributes["gen_ai.tool.call.result"]


def test_a_stream_beyond_its_bound_says_how_much_there_was(
    run: Run, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not kept is marked, and counted to the byte as the whole answer would have been."""
    monkeypatch.setattr("rundial.api.agents.MAX_STREAM_CHARS", 4)
    with run.llm_call(model="m") as call:
        list(call.stream(["abc", 'd"é', "f"], text=str))

    span = one(read(run), "chat m")
    whole = [{"role": "assistant", "parts": [{"type": "text", "content": 'abcd"éf'}]}]
    assert said(span, "gen_ai.output.messages")[0]["parts"][0]["content"] == "abcd…"
    size = len(json.dumps(whole, ensure_ascii=False).encode())
    assert span.attributes["gen_ai.output.messages.rundial.original_bytes"] == size


def test_a_tools_huge_result_is_read_no_further_than_its_bound(run: Run, read: Read) -> None:
    """Its caller does not wait for two million values; what was left out is marked and counted."""
    seen: list[int] = []

    class Counted:
        def __str__(self) -> str:
            seen.append(1)
            return "x"

    with run.tool("t") as tool:
        tool.result([Counted()] * 300_000)

    span = one(read(run), "execute_tool t")
    assert len(seen) <= 100_000
    assert span.attributes["gen_ai.tool.call.result"].endswith("…")
    assert span.attributes["gen_ai.tool.call.result.rundial.original_items"] == 300_000


def test_a_table_is_told_by_its_shape(run: Run, read: Read) -> None:
    """No frame is turned into values for a span."""

    class Frame:
        shape = (1_000_000, 3)

        def to_dict(self) -> object:
            raise AssertionError

        def __str__(self) -> str:
            raise AssertionError

    with run.tool("t") as tool:
        tool.result(Frame())

    assert (
        one(read(run), "execute_tool t").attributes["gen_ai.tool.call.result"]
        == "Frame of shape (1000000, 3)"
    )


def test_a_tool_that_is_a_generator_records_arguments_and_how_many_values(run: Run, read: Read) -> None:
    """As for a function, but that its values are not kept; also where it is left half way."""

    @run.tool("count")
    def count(upto: int) -> Iterator[int]:
        yield from range(upto)

    @run.tool("stream")
    async def stream(upto: int) -> Any:
        for number in range(upto):
            yield number

    async def consume() -> list[int]:
        return [number async for number in stream(2)]

    assert list(count(3)) == [0, 1, 2]
    left = count(5)
    next(left)
    left.close()
    assert asyncio.run(consume()) == [0, 1]

    spans = [span for span in read(run).spans if span.name.startswith("execute_tool")]
    told = [
        (said(span, "gen_ai.tool.call.arguments"), span.attributes["gen_ai.tool.call.result"])
        for span in spans
    ]
    assert told == [({"upto": 3}, 3), ({"upto": 5}, 1), ({"upto": 2}, 2)]


def test_attributes_given_at_the_start_are_bounded_as_later_ones(run: Run, read: Read) -> None:
    """What a program makes up before takes no room of the conventions, and what is dropped is counted."""
    with run.trace("full", attrs={f"a{number}": number for number in range(200)}) as span:
        span.set_attrs({"gen_ai.response.model": "m"})

    (found,) = [span for span in read(run).spans if span.name == "full"]
    assert found.attributes["gen_ai.response.model"] == "m"
    assert "a127" in found.attributes
    assert "a128" not in found.attributes
    assert span._started()._dropped[0] == 72  # type: ignore[attr-defined]  # one of ours


def test_a_tool_call_tells_no_secret(run: Run, read: Read) -> None:
    """What `run.tool` would take out of arguments and results, `run.tool_call` takes out too."""
    given = {"query": "rings", "api_key": "abc", "url": "https://me:pw@host/x"}
    assert run.tool_call("search", input=given, output='{"password": "swordfish", "found": 3}')

    span = one(read(run), "tool:search")
    assert said(span, "tool.input") == {
        "query": "rings",
        "api_key": "[redacted]",
        "url": "https://[redacted]@host/x",
    }
    assert span.attributes["tool.output"] == '{"password": "[redacted]", "found": 3}'


def test_messages_tell_no_secret_of_a_tool_and_none_of_known_shape(run: Run, read: Read) -> None:
    """A tool's arguments are looked through wherever they stand; prose loses known shapes alone."""
    key = "sk-abcdefgh12345678901234"
    asked = [
        {"role": "user", "content": f"password: swordfish, with {key}"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": '{"api_key": "abc", "n": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": '{"token": "abc"}'},
    ]
    with run.llm_call(model="m", input=asked, system=f"use {key}") as call:
        call.response({"content": [{"type": "tool_use", "id": "2", "input": {"password": "x", "q": "y"}}]})
    with run.agent("a", input=f"with {key}") as agent:
        agent.output({"role": "assistant", "parts": [{"type": "text", "content": key}, {"secret": "x"}]})

    found = read(run)
    span, agent_span = one(found, "chat m"), one(found, "invoke_agent a")
    user, assistant, tool = said(span, "gen_ai.input.messages")
    assert user["parts"][0]["content"] == "password: swordfish, with [redacted]"
    assert assistant["parts"][0]["arguments"] == {"api_key": "[redacted]", "n": 1}
    assert tool["parts"][0]["response"] == '{"token": "[redacted]"}'
    assert said(span, "gen_ai.system_instructions")[0]["content"] == "use [redacted]"
    (answer,) = said(span, "gen_ai.output.messages")
    assert answer["parts"][0]["arguments"] == {"password": "[redacted]", "q": "y"}
    assert said(agent_span, "gen_ai.input.messages")[0]["parts"][0]["content"] == "with [redacted]"
    parts = said(agent_span, "gen_ai.output.messages")[0]["parts"]
    assert parts == [{"type": "text", "content": "[redacted]"}, {"secret": "[redacted]"}]
