"""What providers of models hand back → the attributes of OpenTelemetry's GenAI conventions. Pure.

Messages become the conventions' own form: a role and typed parts. Those of OpenAI (chat and responses) and of
Anthropic are understood, and whatever has parts already is left as it is; any other value is a text. Usage
counts each token once: `input_tokens` holds the cached ones too, whichever way a provider counts.

Source:
    OpenTelemetry semantic conventions for generative AI, "Recording content on attributes", JSON schemas of
    `gen_ai.input.messages` and `gen_ai.output.messages`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rundial import prices as pricing
from rundial.interrupts import let_through
from rundial.signals import semconv
from rundial.signals.attributes import as_bounded
from rundial.signals.redaction import redact, redact_shapes

_TEXTS = ("text", "input_text", "output_text")
# Where a part has words that somebody wrote.
_PROSE = "content"
# For each provider's word, ours; all of these count the cached tokens among the input.
_USAGE = {
    "input_tokens": semconv.GEN_AI_INPUT_TOKENS,
    "prompt_tokens": semconv.GEN_AI_INPUT_TOKENS,
    "output_tokens": semconv.GEN_AI_OUTPUT_TOKENS,
    "completion_tokens": semconv.GEN_AI_OUTPUT_TOKENS,
}
_CACHED = ("prompt_tokens_details", "input_tokens_details")
_REASONING = ("completion_tokens_details", "output_tokens_details")


def plain(value: object) -> Any:
    """Return an answer of a provider's library as plain values; other values as they are."""
    try:
        # A table's or an array's `to_dict` is all of it, which takes seconds.
        has_shape = getattr(value, "shape", None) is not None
        dump = getattr(value, "model_dump", None) or (not has_shape and getattr(value, "to_dict", None))
        return dump() if callable(dump) and not isinstance(value, type) else value
    except Exception as error:  # noqa: BLE001 - the object's own code; without it its text is kept
        let_through(error)
        return value


def messages(given: object, role: str) -> list[dict[str, Any]]:
    """Return messages in the conventions' form.

    Args:
        given: A text, a message, or a list of them.
        role: Of what says none.
    """
    given = plain(given)
    items = given if isinstance(given, (list, tuple)) else [given]
    return [_message(plain(item), role) for item in items]


def without_secrets(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages as they leave the machine.

    What a tool is given and answers loses its secrets as `run.tool` records it: by name, assignment and
    shape. Prose is the program's own words, and loses what has the shape of a known secret.
    """
    return [{**message, "parts": _clean_parts(message.get("parts"))} for message in said]


def _clean_parts(parts: object) -> object:
    if not isinstance(parts, (list, tuple)):
        return _clean(parts, _PROSE)
    return [
        {name: _clean(value, str(name)) for name, value in part.items()}
        if isinstance(part, Mapping)
        else _clean(part, _PROSE)
        for part in parts
    ]


def _clean(value: object, name: str) -> object:
    if isinstance(value, str) and name == _PROSE:
        return redact_shapes(value)
    return redact(as_bounded(plain(value))[0], name)


def answer_of(response: object) -> dict[str, Any]:
    """Return the attributes of a provider's answer: model, id, messages, why it ended, and usage."""
    found = plain(response)
    if not isinstance(found, Mapping):
        return {}
    output, reasons = _output(found)
    attributes = {
        semconv.GEN_AI_RESPONSE_MODEL: found.get("model"),
        semconv.GEN_AI_RESPONSE_ID: found.get("id"),
        semconv.GEN_AI_OUTPUT_MESSAGES: output or None,
        semconv.GEN_AI_FINISH_REASONS: reasons or None,
    }
    known = {name: value for name, value in attributes.items() if value is not None}
    return {**known, **usage_of(found.get("usage"))}


def usage_of(usage: object) -> dict[str, int]:
    """Return the attributes of what a provider says was used; empty when that is nothing known."""
    found = plain(usage)
    if not isinstance(found, Mapping):
        return {}
    counts = {ours: _count(found.get(theirs)) for theirs, ours in _USAGE.items() if theirs in found}
    cached, written = _count(found.get("cache_read_input_tokens")), found.get("cache_creation_input_tokens")
    if cached or written:
        # Anthropic counts them beside the input, the conventions and everybody else among it.
        counts[semconv.GEN_AI_INPUT_TOKENS] = (
            counts.get(semconv.GEN_AI_INPUT_TOKENS, 0) + cached + _count(written)
        )
    for name in _CACHED:
        cached = cached or _count(_within(found.get(name)).get("cached_tokens"))
    reasoning = 0
    for name in _REASONING:
        reasoning = reasoning or _count(_within(found.get(name)).get("reasoning_tokens"))
    more = {
        semconv.GEN_AI_CACHED_TOKENS: cached,
        semconv.GEN_AI_CACHE_WRITE_TOKENS: _count(written),
        semconv.GEN_AI_REASONING_TOKENS: reasoning,
    }
    return {**counts, **{name: count for name, count in more.items() if count}}


def cost_of(attributes: Mapping[str, Any], prices: pricing.Prices) -> float | None:
    """Return what a span's tokens cost in US dollars; None for a model without a price, or nothing used."""
    for name in (semconv.GEN_AI_RESPONSE_MODEL, semconv.GEN_AI_REQUEST_MODEL):
        price = prices.get(str(attributes.get(name)))
        if price is not None:
            break
    else:
        return None
    used = [attributes.get(name) for name in (semconv.GEN_AI_INPUT_TOKENS, semconv.GEN_AI_OUTPUT_TOKENS)]
    if used == [None, None]:
        return None
    return pricing.cost_usd(
        price,
        input_tokens=_count(used[0]),
        output_tokens=_count(used[1]),
        cached=_count(attributes.get(semconv.GEN_AI_CACHED_TOKENS)),
        written=_count(attributes.get(semconv.GEN_AI_CACHE_WRITE_TOKENS)),
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _within(value: object) -> Mapping[str, Any]:
    found = plain(value)
    return found if isinstance(found, Mapping) else {}


def _message(item: object, role: str) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        return {"role": role, "parts": [_text(item)]}
    if "parts" in item:
        return dict(item)
    kind = item.get("type")
    if kind in ("function_call", "function_call_output", "reasoning"):
        # OpenAI's responses: a call and its answer stand beside the messages, not within one.
        return {"role": "tool" if kind == "function_call_output" else "assistant", "parts": [_part(item)]}
    said = str(item.get("role") or role)
    parts = list(_parts(item, said))
    reason = item.get("finish_reason")
    return {"role": said, "parts": parts, **({"finish_reason": reason} if reason else {})}


def _parts(item: Mapping[str, Any], role: str) -> Iterator[dict[str, Any]]:
    content = plain(item.get("content"))
    if role == "tool" and "tool_call_id" in item:
        yield {"type": "tool_call_response", "id": item["tool_call_id"], "response": content}
        return
    for part in content if isinstance(content, (list, tuple)) else [content]:
        if part is not None and part != "":
            yield _part(plain(part))
    for call in item.get("tool_calls") or ():
        yield _call(_within(call))


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = _within(call.get("function"))
    return {
        "type": "tool_call",
        "id": call.get("id"),
        "name": function.get("name"),
        "arguments": _loaded(function.get("arguments")),
    }


def _part(part: object) -> dict[str, Any]:
    if not isinstance(part, Mapping):
        return _text(part)
    kind = part.get("type")
    if kind in _TEXTS:
        return _text(part.get("text"))
    if kind in ("tool_use", "function_call"):
        given = part.get("input") if kind == "tool_use" else _loaded(part.get("arguments"))
        call_id = part.get("call_id") or part.get("id")
        return {"type": "tool_call", "id": call_id, "name": part.get("name"), "arguments": given}
    if kind in ("tool_result", "function_call_output"):
        answer = part.get("content") if kind == "tool_result" else part.get("output")
        call_id = part.get("tool_use_id") or part.get("call_id")
        return {"type": "tool_call_response", "id": call_id, "response": answer}
    return dict(part)


def _text(value: object) -> dict[str, Any]:
    return {"type": "text", "content": value}


def _loaded(arguments: object) -> object:
    """Arguments as values: models write them as JSON text, and not always well."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _output(found: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    choices = found.get("choices")
    if isinstance(choices, (list, tuple)):
        said = [_within(choice) for choice in choices]
        output = [
            {
                **_message(_within(each.get("message")), "assistant"),
                "finish_reason": each.get("finish_reason"),
            }
            for each in said
            if each.get("message") is not None
        ]
        return output, [str(each["finish_reason"]) for each in said if each.get("finish_reason")]
    reason = found.get("stop_reason") or (found.get("status") if "output" in found else None)
    content = found.get("output", found.get("content"))
    if content is None:
        return [], [str(reason)] if reason else []
    output = messages(content, "assistant") if "output" in found else [_message(found, "assistant")]
    if output and reason:
        output[-1]["finish_reason"] = reason
    return output, [str(reason)] if reason else []
