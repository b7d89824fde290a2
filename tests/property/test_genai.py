"""The view of a GenAI span, whatever a program has written under those names."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rundial.server.anyvalue import canonical
from rundial.server.genai.messages import EVENTS, MAX_MESSAGES
from rundial.server.genai.stored import view_json
from rundial.server.genai.view import _ALIASES, _HOLDERS, _PREFIXES, view

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
# JSON that Python reads and others do not: half a surrogate pair, and what is nested too deep.
ODD = st.sampled_from(
    ['["\\ud800"]', '{"\\udfff": 1}', *(f"{'[' * deep}NaN{']' * deep}" for deep in (90, 110, 600, 950))]
)
PARTS = st.lists(
    st.dictionaries(
        st.sampled_from(["type", "content", "text", "id", "arguments", "response"]),
        st.sampled_from(["text", "tool_call", "tool_result"]) | VALUES | ODD,
        min_size=1,
        max_size=4,
    ),
    max_size=3,
)
MESSAGES = st.dictionaries(
    st.sampled_from(
        ["role", "parts", "content", "contents", "tool_calls", "tool_call_id", "function_call", "id", "type"]
    ),
    VALUES | VALUES.map(canonical) | PARTS | PARTS.map(canonical) | ODD,
    max_size=5,
)
SAID = VALUES | st.lists(MESSAGES | VALUES, max_size=3) | st.lists(MESSAGES, max_size=3).map(canonical)
PLACES = st.lists(
    st.sampled_from(
        [
            "0",
            "1",
            "999999999999",
            "x",
            "message",
            "role",
            "content",
            "contents",
            "tool_calls",
            "function",
            "",
        ]
    ),
    min_size=1,
    max_size=10,
).map(".".join)
NAMES = st.sampled_from(sorted([*_ALIASES, *_HOLDERS, "input.value", "traceloop.entity.output"])) | st.builds(
    "{}{}".format, st.sampled_from(sorted(_PREFIXES)), PLACES
)
ATTRIBUTES = st.dictionaries(NAMES, SAID, max_size=8)
HAPPENED = st.lists(
    st.tuples(st.sampled_from([*sorted(EVENTS), "gen_ai.client.inference.operation.details", "x"]), MESSAGES),
    max_size=3,
)
TYPES: dict[str, type | tuple[type, ...]] = {
    "operation": (str, type(None)),
    "usage": dict,
    "costUsd": float,
    "finishReasons": list,
    "system": list,
    "inputMessages": list,
    "outputMessages": list,
    "toolCalls": list,
    "tool": dict,
}


@given(TEXTS, ATTRIBUTES, HAPPENED)
def test_a_view_has_its_types_whatever_was_written(
    name: str, attributes: dict[str, Any], events: list[tuple[str, dict[str, Any]]]
) -> None:
    """Nothing raises, messages have parts, counts are whole numbers, and it is JSON for any reader."""
    found = view(name, attributes, events)
    if found is None:
        return

    for field, value in found.items():
        assert isinstance(value, TYPES.get(field, str)), (field, value)
    for message in [*found.get("inputMessages", []), *found.get("outputMessages", [])]:
        assert isinstance(message["role"], str)
        assert all(isinstance(part["type"], str) for part in message["parts"])
    assert all(type(count) is int and count >= 0 for count in found.get("usage", {}).values())


@given(TEXTS, ATTRIBUTES, HAPPENED)
def test_a_stored_span_is_shown_as_json_of_its_view(
    name: str, attributes: dict[str, Any], events: list[tuple[str, dict[str, Any]]]
) -> None:
    """The quick way of writing it says the same as the slow one."""

    def refuse(constant: str) -> Any:
        raise AssertionError(constant)

    stored = canonical(attributes) if attributes else ""
    written = view_json(name, stored, "", events)
    assert written.encode().decode() == written
    shown = json.loads(written, parse_constant=refuse)
    # Through JSON once, as it is stored, so that keys and numbers are those that it has.
    said = view(name, json.loads(stored) if stored else {}, events)

    if shown is not None:
        assert said is not None
        assert shown.keys() == said.keys()
        assert shown.get("usage") == said.get("usage")


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_tokens_are_never_counted_twice_or_lost(given_: int, answered: int, read: int, written: int) -> None:
    """The total is the input and the output; what was cached is within the input."""
    attributes = {
        "gen_ai.usage.input_tokens": given_,
        "gen_ai.usage.output_tokens": answered,
        "gen_ai.usage.cache_read.input_tokens": read,
        "gen_ai.usage.cache_creation.input_tokens": written,
    }

    usage = (view("x", attributes) or {})["usage"]

    assert usage["total"] == usage["input"] + answered
    assert usage["input"] in (given_, given_ + read + written)
    assert usage["cached"] + usage["cacheWritten"] <= usage["input"]


def test_messages_are_bounded() -> None:
    """However many a program writes."""
    many = {f"gen_ai.prompt.{number}.content": "x" for number in range(2 * MAX_MESSAGES)}

    found = view("x", {**many, "gen_ai.output.messages": [{"role": "assistant"}] * 2 * MAX_MESSAGES})

    assert found is not None
    assert len(found["inputMessages"]) == len(found["outputMessages"]) == MAX_MESSAGES
