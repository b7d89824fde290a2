"""One view of a GenAI span, from each convention that programs write."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rundial.server.genai.stored import view_json
from rundial.server.genai.view import view

QUESTION = {"role": "user", "parts": [{"type": "text", "content": "What is the weather in Paris?"}]}
CALL = {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Paris"}}
ASKS = {"role": "assistant", "parts": [CALL], "finish_reason": "tool_calls"}
TOLD = {
    "role": "tool",
    "parts": [{"type": "tool_call_response", "id": "call_1", "response": {"celsius": 21}}],
}
ANSWER = {"role": "assistant", "parts": [{"type": "text", "content": "21 °C."}], "finish_reason": "stop"}
ARGUMENTS = '{"city": "Paris"}'
USAGE = {"input": 100, "output": 20, "cached": 60, "total": 120}

# Attributes and events of one and the same call of a model, as each convention has it.
CONVENTIONS: dict[str, tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]] = {
    "gen_ai, messages in attributes": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.cache_read.input_tokens": 60,
            "gen_ai.input.messages": json.dumps(
                [
                    QUESTION,
                    ASKS,
                    {
                        **TOLD,
                        "parts": [{"type": "tool_call_response", "id": "call_1", "result": {"celsius": 21}}],
                    },
                ]
            ),
            "gen_ai.output.messages": [ANSWER],
        },
        [],
    ),
    "gen_ai, one event for all": (
        {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o"},
        [
            (
                "gen_ai.client.inference.operation.details",
                {
                    "gen_ai.usage.input_tokens": 100,
                    "gen_ai.usage.output_tokens": 20,
                    "gen_ai.usage.cache_read.input_tokens": 60,
                    "gen_ai.input.messages": [QUESTION, ASKS, TOLD],
                    "gen_ai.output.messages": [ANSWER],
                },
            )
        ],
    ),
    "gen_ai, an event a message": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.prompt_tokens": 100,
            "gen_ai.usage.completion_tokens": 20,
            "gen_ai.usage.cached_tokens": 60,
        },
        [
            ("gen_ai.user.message", {"content": "What is the weather in Paris?"}),
            (
                "gen_ai.assistant.message",
                {
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": ARGUMENTS},
                        }
                    ],
                    "finish_reason": "tool_calls",
                },
            ),
            ("gen_ai.tool.message", {"id": "call_1", "content": '{"celsius": 21}'}),
            ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"content": "21 °C."}}),
        ],
    ),
    "openinference": (
        {
            "openinference.span.kind": "LLM",
            "llm.provider": "openai",
            "llm.model_name": "gpt-4o",
            "llm.token_count.prompt": 100,
            "llm.token_count.completion": 20,
            "llm.token_count.total": 120,
            "llm.token_count.prompt_details.cache_read": 60,
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.contents.0.message_content.type": "text",
            "llm.input_messages.0.message.contents.0.message_content.text": "What is the weather in Paris?",
            "llm.input_messages.1.message.role": "assistant",
            "llm.input_messages.1.message.tool_calls.0.tool_call.id": "call_1",
            "llm.input_messages.1.message.tool_calls.0.tool_call.function.name": "weather",
            "llm.input_messages.1.message.tool_calls.0.tool_call.function.arguments": ARGUMENTS,
            "llm.input_messages.1.message.finish_reason": "tool_calls",
            "llm.input_messages.2.message.role": "tool",
            "llm.input_messages.2.message.tool_call_id": "call_1",
            "llm.input_messages.2.message.content": '{"celsius": 21}',
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.content": "21 °C.",
            "llm.output_messages.0.message.finish_reason": "stop",
        },
        [],
    ),
    "openllmetry": (
        {
            "llm.request.type": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.prompt_tokens": 100,
            "gen_ai.usage.completion_tokens": 20,
            "llm.usage.total_tokens": 120,
            "gen_ai.usage.cache_read_input_tokens": 60,
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "What is the weather in Paris?",
            "gen_ai.prompt.1.role": "assistant",
            "gen_ai.prompt.1.tool_calls.0.id": "call_1",
            "gen_ai.prompt.1.tool_calls.0.name": "weather",
            "gen_ai.prompt.1.tool_calls.0.arguments": ARGUMENTS,
            "gen_ai.prompt.1.finish_reason": "tool_calls",
            "gen_ai.prompt.2.role": "tool",
            "gen_ai.prompt.2.tool_call_id": "call_1",
            "gen_ai.prompt.2.content": '{"celsius": 21}',
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "21 °C.",
            "gen_ai.completion.0.finish_reason": "stop",
        },
        [],
    ),
}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_one_call_of_a_model_is_the_same_in_every_convention(convention: str) -> None:
    """Whatever instrumentation a program uses, it is read, compared and added up alike."""
    attributes, events = CONVENTIONS[convention]

    assert view("chat gpt-4o", attributes, events) == {
        "operation": "chat",
        "provider": "openai",
        "model": "gpt-4o",
        "inputMessages": [QUESTION, ASKS, TOLD],
        "outputMessages": [ANSWER],
        "finishReasons": ["stop"],
        "usage": USAGE,
    }


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_stored_span_has_the_same_view(convention: str) -> None:
    """Read from the JSON that is kept, events of the span and log records alike."""
    attributes, events = CONVENTIONS[convention]
    stored = json.dumps([{"name": name, "timestampNs": "1", "attributes": said} for name, said in events])

    of_span = view_json("chat", json.dumps(attributes, separators=(",", ":")), stored)
    of_lines = view_json("chat", json.dumps(attributes, separators=(",", ":")), "", events)

    assert json.loads(of_span) == json.loads(of_lines) == view("chat", attributes, events)


@pytest.mark.parametrize(
    ("attributes", "tool"),
    [
        (
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "weather",
                "gen_ai.tool.call.id": "call_1",
                "gen_ai.tool.call.arguments": ARGUMENTS,
                "gen_ai.tool.call.result": "21",
            },
            {"name": "weather", "callId": "call_1", "arguments": {"city": "Paris"}, "result": "21"},
        ),
        (
            {
                "openinference.span.kind": "TOOL",
                "tool.name": "weather",
                "tool.description": "Tells it.",
                "input.value": ARGUMENTS,
                "output.value": '{"celsius": 21}',
            },
            {
                "name": "weather",
                "description": "Tells it.",
                "arguments": {"city": "Paris"},
                "result": {"celsius": 21},
            },
        ),
        (
            {
                "traceloop.span.kind": "tool",
                "traceloop.entity.name": "weather",
                "traceloop.entity.input": ARGUMENTS,
                "traceloop.entity.output": "21",
            },
            {"name": "weather", "arguments": {"city": "Paris"}, "result": "21"},
        ),
        ({"rundial.span.kind": "tool"}, {"name": "the span"}),
    ],
    ids=["gen_ai", "openinference", "openllmetry", "ours"],
)
def test_a_tool_is_named_with_what_it_was_given_and_gave(
    attributes: dict[str, Any], tool: dict[str, Any]
) -> None:
    """In every convention; a span that names none is one by its own name."""
    found = view("the span", attributes)

    assert found == {"operation": "execute_tool", "tool": tool}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"},
            ("invoke_agent", "planner"),
        ),
        ({"openinference.span.kind": "agent"}, ("invoke_agent", "the span")),
        ({"traceloop.span.kind": "agent", "traceloop.entity.name": "planner"}, ("invoke_agent", "planner")),
        ({"traceloop.span.kind": "workflow"}, ("workflow", None)),
        ({"openinference.span.kind": "RETRIEVER"}, ("retrieval", None)),
        ({"openinference.span.kind": "EMBEDDING"}, ("embeddings", None)),
        ({"llm.request.type": "completion"}, ("text_completion", None)),
        ({"gen_ai.request.model": "large"}, (None, None)),
    ],
)
def test_other_operations_have_one_name_each(
    attributes: dict[str, Any], expected: tuple[str | None, str | None]
) -> None:
    """OpenTelemetry's where it has one."""
    found = view("the span", attributes)

    assert found is not None
    assert (found["operation"], found.get("agent")) == expected


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ((100, 20, 60, None), {"input": 100, "output": 20, "cached": 60, "total": 120}),
        ((40, 20, 60, None), {"input": 100, "output": 20, "cached": 60, "total": 120}),
        ((10, 20, 60, 30), {"input": 100, "output": 20, "cached": 60, "cacheWritten": 30, "total": 120}),
        ((100, None, None, None), {"input": 100}),
        ((None, 20, 60, None), {"output": 20, "cached": 60}),
    ],
    ids=["among the input", "beside it", "both beside it", "input alone", "no input"],
)
def test_cached_tokens_are_counted_once(counts: tuple[int | None, ...], usage: dict[str, int]) -> None:
    """Whether a program counts them among its input, as OpenTelemetry says, or beside it."""
    names = ("input_tokens", "output_tokens", "cache_read.input_tokens", "cache_creation.input_tokens")
    given = zip(names, counts, strict=True)

    found = view("x", {f"gen_ai.usage.{name}": count for name, count in given if count is not None})

    assert found is not None
    assert found["usage"] == usage


@pytest.mark.parametrize("name", ["rundial.cost_usd", "llm.cost.total", "gen_ai.usage.cost"])
def test_a_cost_is_taken_as_it_was_given(name: str) -> None:
    """And only where it is a sum of money."""
    assert (view("x", {"gen_ai.system": "a", name: 0.25}) or {})["costUsd"] == 0.25
    for wrong in (-1, True, "0.25", float("nan"), float("inf"), 10**400):
        assert "costUsd" not in (view("x", {"gen_ai.system": "a", name: wrong}) or {})


@pytest.mark.parametrize("attributes", [{}, {"http.route": "/"}, {"agent.name": "x", "session.id": "y"}])
def test_another_span_has_no_view(attributes: dict[str, Any]) -> None:
    """What names agents and sessions may be anything."""
    assert view("GET /", attributes) is None
    assert view_json("GET /", json.dumps(attributes), "") == "null"


def test_attributes_that_hold_messages_are_not_told_twice_by_events() -> None:
    """An instrumentation that writes both is read once."""
    attributes, events = CONVENTIONS["gen_ai, an event a message"]
    both = {**attributes, "gen_ai.input.messages": [QUESTION], "gen_ai.output.messages": [ANSWER]}

    found = view("x", both, events)

    assert found is not None
    assert (found["inputMessages"], found["outputMessages"]) == ([QUESTION], [ANSWER])


def test_calls_of_tools_in_an_answer_are_listed() -> None:
    """Beside the message that holds them."""
    found = view("x", {"gen_ai.output.messages": [ASKS]})

    assert found is not None
    assert found["toolCalls"] == [{"id": "call_1", "name": "weather", "arguments": {"city": "Paris"}}]


@pytest.mark.parametrize(
    "said",
    [
        [{"role": "user", "parts": [{"type": ["text"], "content": "hello"}]}],
        '[{"role": "user", "parts": [{"type": "text", "content": "hello \\ud800"}]}]',
        [{"role": "user", "parts": [{"type": "tool_result", "content": f"{'[' * 900}NaN{']' * 900}"}]}],
    ],
    ids=["a type that is no text", "half a surrogate pair", "nested too deep"],
)
def test_a_span_is_shown_whatever_one_of_its_messages_holds(said: object) -> None:
    """Its trace would otherwise not be shown either, ever."""
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": said}

    shown = view_json("chat", json.dumps(attributes), "")

    (message,) = json.loads(shown.encode())["inputMessages"]
    assert message["role"] == "user"


@pytest.mark.parametrize("answer", ['["a", "b"]', '[{"city": "Paris"}]', "[1, 2]", "[]"])
def test_an_answer_that_is_json_is_a_text(answer: str) -> None:
    """Only what says of each part which kind it is, is parts."""
    said = [{"role": "assistant", "content": answer}]

    found = view("chat", {"gen_ai.operation.name": "chat", "gen_ai.output.messages": said})

    assert found is not None
    assert found["outputMessages"][0]["parts"] == [{"type": "text", "content": answer}]
