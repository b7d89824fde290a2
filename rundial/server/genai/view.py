"""One view of a GenAI span: OpenTelemetry's conventions, old and new, OpenInference, OpenLLMetry. Pure.

Input tokens hold the cached ones, as OpenTelemetry and OpenInference count. A program that hands on what a
provider counts beside each other is told by its cached tokens being more than its input; then they are added.

Source:
    OpenTelemetry semantic conventions for generative AI 1.27 to 1.40; OpenInference "Semantic Conventions"
    (`openinference.span.kind`, `llm.*`); OpenLLMetry (`traceloop.*`, `gen_ai.prompt.N`, `llm.*`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from rundial.server.genai.messages import EVENTS, Message, indexed, loaded, of_event, structured, tool_calls

# What a span's attributes hold where it is one of these; looked for in their JSON.
_MARKS: Final = ('"gen_ai.', '"llm.', '"openinference.', '"traceloop.', '"rundial.span.kind"')
_EVENT_MARK: Final = '"gen_ai.'
_KINDS: Final = {
    "LLM": "chat",
    "EMBEDDING": "embeddings",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    "RETRIEVER": "retrieval",
    "RERANKER": "rerank",
    "CHAIN": "chain",
    "GUARDRAIL": "guardrail",
    "EVALUATOR": "evaluate",
    "PROMPT": "prompt",
}
_REQUESTS: Final = {"completion": "text_completion", "embedding": "embeddings"}
_TRACELOOP: Final = {"tool": "execute_tool", "agent": "invoke_agent"}
_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
    "model": (
        "gen_ai.request.model",
        "llm.model_name",
        "embedding.model_name",
        "reranker.model_name",
        "llm.request.model",
    ),
    "responseModel": ("gen_ai.response.model", "llm.response.model"),
    "responseId": ("gen_ai.response.id", "llm.response.id"),
    "conversationId": (
        "gen_ai.conversation.id",
        "session.id",
        "traceloop.association.properties.session_id",
    ),
    "agent": ("gen_ai.agent.name", "agent.name"),
    "operation": ("gen_ai.operation.name",),
    "kind": ("openinference.span.kind",),
    "request": ("llm.request.type",),
    "entity": ("traceloop.span.kind",),
    "ownKind": ("rundial.span.kind",),
    "entityName": ("traceloop.entity.name",),
    "toolName": ("gen_ai.tool.name", "tool.name"),
    "callId": ("gen_ai.tool.call.id", "tool_call.id", "tool.id"),
    "description": ("gen_ai.tool.description", "tool.description"),
}
_TOKENS: Final[Mapping[str, tuple[str, ...]]] = {
    "input": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
        "llm.usage.prompt_tokens",
    ),
    "output": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
        "llm.usage.completion_tokens",
    ),
    "cached": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.cached_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "cacheWritten": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
    "total": ("llm.usage.total_tokens", "gen_ai.usage.total_tokens", "llm.token_count.total"),
}
# Fields that are shown as they were said.
_SHOWN: Final = (
    "provider",
    "model",
    "responseModel",
    "responseId",
    "conversationId",
    "agent",
    "costUsd",
)
# Beyond any bill; it keeps out infinities, and whole numbers that no float holds.
MAX_COST: Final = 1e12
_COSTS: Final = ("rundial.cost_usd", "gen_ai.usage.cost", "llm.cost.total", "operation.cost")
_ARGUMENTS: Final = (
    "gen_ai.tool.call.arguments",
    "tool.parameters",
    "tool_call.function.arguments",
    "input.value",
    "traceloop.entity.input",
)
_RESULTS: Final = ("gen_ai.tool.call.result", "output.value", "traceloop.entity.output")
# What holds messages: an attribute of all of them, or a prefix of each one's own; the first that has some.
_INPUTS: Final = ("gen_ai.input.messages", "gen_ai.prompt.", "llm.input_messages.", "gen_ai.prompt")
_OUTPUTS: Final = (
    "gen_ai.output.messages",
    "gen_ai.completion.",
    "llm.output_messages.",
    "gen_ai.completion",
)

_PREFIXES: Final = tuple(name for name in (*_INPUTS, *_OUTPUTS) if name.endswith("."))
_SYSTEM: Final = "gen_ai.system_instructions"
_REASONS: Final = ("gen_ai.response.finish_reasons", "llm.finish_reason")
_HOLDERS: Final = frozenset((*_INPUTS, *_OUTPUTS, *_REASONS, _SYSTEM)) - frozenset(_PREFIXES)
_SAYS_MORE: Final = "says more"

Attributes = Mapping[str, object]
# An event's name, and what it says.
Said = tuple[str, Attributes]


def is_likely(attributes: str, events: str) -> bool:
    """Whether a span's stored JSON may hold what makes a view; most spans of a service do not."""
    return any(mark in attributes for mark in _MARKS) or _EVENT_MARK in events


def view(name: str, attributes: Attributes, events: Iterable[Said] = ()) -> dict[str, Any] | None:
    """Read a span.

    Args:
        name: The span's.
        attributes: Its attributes, as plain values.
        events: Its events, and the log records within it that are events, in the order of time.

    Returns:
        `operation`, and of `provider`, `model`, `responseModel`, `responseId`, `finishReasons`,
        `conversationId`, `agent`, `system`, `inputMessages`, `outputMessages`, `toolCalls`, `tool`, `usage`,
        `costUsd` what somebody said. None for a span that is none of these.
    """
    said = list(events)
    gathered = _gathered(attributes, said) if said else attributes
    known = _known(gathered)
    operation = _operation(known)
    if operation is None and not (_has_message(said) or any(key.startswith("gen_ai.") for key in gathered)):
        return None
    found: dict[str, Any] = {"operation": operation}
    for field in _SHOWN:
        if field in known:
            found[field] = known[field]
    if operation == "invoke_agent" and "agent" not in found:
        found["agent"] = known.get("entityName", name)
    usage = _usage(known)
    if usage:
        found["usage"] = usage
    if operation == "execute_tool":
        found["tool"] = _tool(name, known, gathered)
    if said or _SAYS_MORE in known:
        found |= _conversation(gathered, said)
    return found


def _conversation(attributes: Attributes, said: Sequence[Said]) -> dict[str, Any]:
    """What was said, as far as anything was."""
    asked, answered = _messages(attributes, said)
    more = {
        "finishReasons": _reasons(attributes, answered),
        "system": structured(attributes.get(_SYSTEM), "system"),
        "inputMessages": asked,
        "outputMessages": answered,
        "toolCalls": tool_calls(answered),
    }
    return {field: value for field, value in more.items() if value}


def _known(attributes: Attributes) -> dict[str, Any]:
    """What attributes say under any of its names, each field's first name winning."""
    found: dict[str, Any] = {}
    ranks: dict[str, int] = {}
    for name, value in attributes.items():
        alias = _ALIASES.get(name)
        if alias is None:
            if name in _HOLDERS or name.startswith(_PREFIXES):
                found[_SAYS_MORE] = True
        else:
            field, rank, read = alias
            if (known := read(value)) is not None and rank < ranks.get(field, rank + 1):
                found[field], ranks[field] = known, rank
    return found


def _gathered(attributes: Attributes, events: Sequence[Said]) -> Attributes:
    """Attributes, and those that an event about the whole operation says in their place."""
    more = [said for name, said in events if name == "gen_ai.client.inference.operation.details"]
    # Conventions of 2024 put prompt and completion into events of the span.
    more += [said for name, said in events if name.startswith("gen_ai.content.")]
    found: dict[str, object] = {}
    for said in more:
        found.update(said)
    return {**found, **attributes} if found else attributes


def _has_message(events: Iterable[Said]) -> bool:
    return any(name in EVENTS for name, _ in events)


def _operation(known: Mapping[str, str]) -> str | None:
    if "operation" in known:
        return known["operation"]
    if "kind" in known:
        return _KINDS.get(known["kind"].upper(), known["kind"].lower())
    if "request" in known:
        return _REQUESTS.get(known["request"], known["request"])
    if "entity" in known:
        return _TRACELOOP.get(known["entity"], known["entity"])
    return "execute_tool" if known.get("ownKind") == "tool" else None


def _messages(attributes: Attributes, events: Sequence[Said]) -> tuple[list[Message], list[Message]]:
    """What was asked and what was answered; events count only where attributes hold nothing of it."""
    asked = _first(attributes, _INPUTS, "user")
    answered = _first(attributes, _OUTPUTS, "assistant")
    if asked and answered:
        return asked, answered
    told = [found for name, said in events if (found := of_event(name, said)) is not None]
    return (
        asked or [message for is_answer, message in told if not is_answer],
        answered or [message for is_answer, message in told if is_answer],
    )


def _first(attributes: Attributes, names: Iterable[str], role: str) -> list[Message]:
    for name in names:
        found = (
            indexed(attributes, name, role) if name.endswith(".") else structured(attributes.get(name), role)
        )
        if found:
            return found
    return []


def _tool(name: str, known: Mapping[str, Any], attributes: Attributes) -> dict[str, Any]:
    found: dict[str, Any] = {"name": known.get("toolName") or known.get("entityName") or name}
    found |= {field: known[field] for field in ("callId", "description") if field in known}
    for field, names in (("arguments", _ARGUMENTS), ("result", _RESULTS)):
        said = next((attributes[each] for each in names if each in attributes), None)
        if said is not None:
            found[field] = loaded(said)
    return found


def _reasons(attributes: Attributes, answered: Iterable[Message]) -> list[str]:
    said = loaded(next((attributes[name] for name in _REASONS if name in attributes), None))
    if isinstance(said, str) and said:
        return [said]
    if isinstance(said, list):
        return [each for each in said if isinstance(each, str)]
    return [each["finish_reason"] for each in answered if "finish_reason" in each]


def _usage(known: Mapping[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {field: known[field] for field in _TOKENS if field in known}
    given, answered = found.get("input"), found.get("output")
    if given is None:
        return found
    if "cached" in found or "cacheWritten" in found:
        beside = found.get("cached", 0) + found.get("cacheWritten", 0)
        if beside > given:
            found["input"] = given = given + beside
    if answered is not None:
        found["total"] = given + answered
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _cost(value: object) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= MAX_COST else None  # type: ignore[arg-type,operator]  # a number


_ALIASES: Final[dict[str, tuple[str, int, Callable[[object], Any]]]] = {
    name: (field, rank, read)
    for fields, read in ((_TEXTS, _text), (_TOKENS, _whole), ({"costUsd": _COSTS}, _cost))
    for field, names in fields.items()
    for rank, name in enumerate(names)
}
