"""Answers of providers in the words of the GenAI conventions, as their libraries write them."""

from __future__ import annotations

from typing import Any

import pytest

from rundial.signals.genai import answer_of, messages, usage_of

CALL = {"type": "tool_call", "id": "k", "name": "t", "arguments": {"q": 1}}
OPENAI_CALL = {"id": "k", "type": "function", "function": {"name": "t", "arguments": '{"q": 1}'}}
ANTHROPIC_CALL = {"type": "tool_use", "id": "k", "name": "t", "input": {"q": 1}}
ANTHROPIC_RESULT = {"type": "tool_result", "tool_use_id": "k", "content": "found"}
HI = {"type": "text", "content": "hi"}


class Answer:
    """What a provider's library returns: an object that says what it holds."""

    def __init__(self, **fields: object) -> None:
        self.fields = fields

    def model_dump(self) -> dict[str, object]:
        """Return its fields."""
        return self.fields


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("hi", [{"role": "user", "parts": [HI]}]),
        ({"role": "system", "content": "hi"}, [{"role": "system", "parts": [HI]}]),
        ([{"role": "user", "content": [{"type": "text", "text": "hi"}]}], [{"role": "user", "parts": [HI]}]),
        (
            [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [OPENAI_CALL],
                },
                {"role": "tool", "tool_call_id": "k", "content": "found"},
            ],
            [
                {"role": "assistant", "parts": [CALL]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "k", "response": "found"}]},
            ],
        ),
        (
            [
                {
                    "role": "assistant",
                    "content": [ANTHROPIC_CALL],
                },
                {
                    "role": "user",
                    "content": [ANTHROPIC_RESULT],
                },
            ],
            [
                {"role": "assistant", "parts": [CALL]},
                {"role": "user", "parts": [{"type": "tool_call_response", "id": "k", "response": "found"}]},
            ],
        ),
        (
            [
                {"type": "function_call", "call_id": "k", "name": "t", "arguments": '{"q": 1}'},
                {"type": "function_call_output", "call_id": "k", "output": "found"},
            ],
            [
                {"role": "assistant", "parts": [CALL]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "k", "response": "found"}]},
            ],
        ),
        ([{"role": "user", "parts": [HI]}], [{"role": "user", "parts": [HI]}]),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}],
            [{"role": "user", "parts": [{"type": "image_url", "image_url": {"url": "u"}}]}],
        ),
        ([Answer(role="user", content="hi")], [{"role": "user", "parts": [HI]}]),
        ([], []),
    ],
)
def test_messages_of_each_form_are_the_conventions(given: object, expected: list[dict[str, Any]]) -> None:
    """OpenAI's chat and responses, Anthropic's blocks, texts, and what is in that form already."""
    assert messages(given, "user") == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 120,
                "prompt_tokens_details": {"cached_tokens": 80},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            (100, 20, 80, None, 5),
        ),
        (
            {"input_tokens": 100, "output_tokens": 20, "input_tokens_details": {"cached_tokens": 80}},
            (100, 20, 80, None, None),
        ),
        (
            {
                "input_tokens": 15,
                "output_tokens": 20,
                "cache_read_input_tokens": 80,
                "cache_creation_input_tokens": 5,
            },
            (100, 20, 80, 5, None),
        ),
        ({"input_tokens": 100, "cache_read_input_tokens": 0, "cache_creation_input_tokens": None}, (100,)),
        (Answer(prompt_tokens=3), (3,)),
        ({"prompt_tokens": "3", "completion_tokens": -1}, (0, 0)),
        (None, ()),
        ("many", ()),
    ],
)
def test_each_token_counts_once(usage: object, expected: tuple[int | None, ...]) -> None:
    """Whether a provider counts cached tokens among the input or beside it, the input holds them once."""
    names = (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.reasoning.output_tokens",
    )
    assert usage_of(usage) == {
        name: count for name, count in zip(names, expected, strict=False) if count is not None
    }


def test_a_chat_answer_is_read_whole() -> None:
    """Model, id, messages, tool calls, why it ended, and usage."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
    answer = Answer(id="r", model="m-1", choices=[choice], usage={"prompt_tokens": 1, "completion_tokens": 2})

    assert answer_of(answer) == {
        "gen_ai.response.model": "m-1",
        "gen_ai.response.id": "r",
        "gen_ai.output.messages": [{"role": "assistant", "parts": [HI], "finish_reason": "stop"}],
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 2,
    }


def test_an_anthropic_answer_is_read_whole() -> None:
    """Its content stands in the answer itself."""
    found = answer_of(
        {
            "id": "r",
            "model": "c",
            "role": "assistant",
            "content": [{"type": "text", "text": "hi"}],
            "stop_reason": "end_turn",
        }
    )

    (message,) = found["gen_ai.output.messages"]
    assert message == {"role": "assistant", "parts": [HI], "finish_reason": "end_turn"}
    assert found["gen_ai.response.finish_reasons"] == ["end_turn"]


def test_a_response_of_the_responses_api_is_read_whole() -> None:
    """Its output is a list of messages and calls."""
    output = [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]},
        {"type": "function_call", "call_id": "k", "name": "t", "arguments": '{"q": 1}'},
    ]
    found = answer_of({"id": "r", "model": "m", "status": "completed", "output": output})

    assert [message["parts"] for message in found["gen_ai.output.messages"]] == [[HI], [CALL]]
    assert found["gen_ai.response.finish_reasons"] == ["completed"]


def test_what_is_no_answer_says_nothing() -> None:
    """A text, or an object that is none of these."""
    assert answer_of("hi") == answer_of(None) == answer_of({}) == {}
