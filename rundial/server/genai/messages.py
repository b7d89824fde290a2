"""Messages to and from models, in each form that instrumentations write them, as one. Pure.

The form is that of OpenTelemetry's conventions: `{"role", "parts": [{"type", …}], "finish_reason"}`, a part
being a `text`, a `tool_call`, a `tool_call_response`, or whatever else the program said. Nothing here raises:
what cannot be read is a text.

Source:
    OpenTelemetry semantic conventions for generative AI: `gen_ai.input.messages` (1.37 and later), the events
    `gen_ai.user.message` … `gen_ai.choice` (1.28 to 1.36). OpenInference: `llm.input_messages`. OpenLLMetry:
    `gen_ai.prompt.N`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

Message = dict[str, Any]
MAX_MESSAGES: Final = 1_000
# Deeper than any convention nests a name.
_MAX_DEPTH: Final = 8
# Levels that a text which is read as JSON may have: far from what Python's own recursion bears.
_MAX_LEVELS: Final = 100
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_TEXT_PARTS: Final = frozenset({"text", "input_text", "output_text"})
# Older conventions said so by the event's name.
_ROLES: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
CHOICE: Final = "gen_ai.choice"
EVENTS: Final = frozenset({*_ROLES, CHOICE})


def loaded(value: object) -> Any:
    """A value that may be written as JSON text; a text that is none, or is nested too deep, stays one.

    Half a surrogate pair, which JSON can write and UTF-8 cannot, becomes a question mark.
    """
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        found = json.loads(value)
        if _SURROGATE.search(value):
            found = json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return value
    return found if _is_shallow(found) else value


def _is_shallow(value: Any) -> bool:
    """Whether a value has no more levels than what reads it further can bear."""
    level = [value]
    for _ in range(_MAX_LEVELS):
        level = [
            item
            for held in level
            if isinstance(held, (dict, list))
            for item in (held.values() if isinstance(held, dict) else held)
        ]
        if not level:
            return True
    return False


def structured(value: object, role: str) -> list[Message]:
    """Messages that are a list, or JSON of one; `role` is what stands for one that names none."""
    found = loaded(value)
    items = found if isinstance(found, list) else [] if found is None or found == "" else [found]
    return [_message(item, role) for item in items[:MAX_MESSAGES]]


def indexed(attributes: Mapping[str, object], prefix: str, role: str) -> list[Message]:
    """Messages that are spread over attributes: `{prefix}N.role`, `{prefix}N.content`, and so on.

    Args:
        attributes: Of the span.
        prefix: With its last dot.
        role: What stands for one that names none.
    """
    held = _unflattened(attributes, prefix)
    numbers = sorted((int(key), key) for key in held if key.isdecimal() and len(key) < 10)
    found = []
    for _, key in numbers[:MAX_MESSAGES]:
        item = held[key]
        if isinstance(item, dict):
            # OpenInference names each message within its index once more.
            item = item.get("message", item)
        found.append(_message(item, role))
    return found


def of_event(name: str, said: Mapping[str, object]) -> tuple[bool, Message] | None:
    """A message that is an event of its own.

    Args:
        name: The event's.
        said: Its body, or its attributes.

    Returns:
        Whether it is an answer, and the message; None for other events.
    """
    if name == CHOICE:
        inner = loaded(said.get("message"))
        held = (
            {**said, **inner} if isinstance(inner, dict) else {**said, "content": said.get("content", inner)}
        )
        return True, _message(held, "assistant")
    if name not in _ROLES:
        return None
    return False, _message(dict(said), _ROLES[name])


def tool_calls(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """The calls of tools that messages hold."""
    return [
        {"id": part.get("id"), "name": part.get("name"), "arguments": part.get("arguments")}
        for message in messages
        for part in message["parts"]
        if part.get("type") == "tool_call"
    ]


def _message(item: object, role: str) -> Message:
    if not isinstance(item, dict):
        return {"role": role, "parts": [_text(item)]}
    said = item.get("role")
    parts = list(_parts(item, said if isinstance(said, str) else role))
    found: Message = {"role": said if isinstance(said, str) and said else role, "parts": parts}
    for name in ("name", "finish_reason"):
        if isinstance(item.get(name), str) and item[name]:
            found[name] = item[name]
    return found


def _parts(item: Mapping[str, Any], role: str) -> Iterator[dict[str, Any]]:
    parts = loaded(item.get("parts"))
    if isinstance(parts, list):
        yield from map(_part, parts)
        return
    content = item.get("content")
    call_id = item.get("tool_call_id") or (item.get("id") if role == "tool" else None)
    if call_id and role == "tool":
        yield {"type": "tool_call_response", "id": call_id, "response": loaded(content)}
    elif content not in (None, ""):
        several = content if isinstance(content, list) else _written_parts(content)
        yield from [_text(content)] if several is None else map(_part, several)
    yield from (_content(each) for each in _listed(item.get("contents")))
    yield from (_call(each) for each in _listed(loaded(item.get("tool_calls"))))
    legacy = loaded(item.get("function_call"))
    if isinstance(legacy, dict):
        yield _call(legacy)


def _written_parts(content: object) -> list[Any] | None:
    """Parts that are written as JSON text; None for a text, as an answer that is JSON is."""
    found = loaded(content)
    is_parts = isinstance(found, list) and all(
        isinstance(part, dict) and isinstance(part.get("type"), str) for part in found
    )
    return found if is_parts and found else None


def _part(part: object) -> dict[str, Any]:
    if not isinstance(part, dict):
        return _text(part)
    kind = part.get("type")
    if isinstance(kind, str) and kind in _TEXT_PARTS:
        return _text(part.get("content", part.get("text")))
    if kind == "tool_call":
        return {**part, "arguments": loaded(part.get("arguments"))}
    if kind in ("tool_use", "function_call", "function"):
        return _call(part)
    if kind in ("tool_result", "function_call_output", "tool_call_response"):
        answer = next(
            (part[name] for name in ("response", "result", "content", "output") if name in part), None
        )
        call_id = part.get("id") or part.get("tool_use_id") or part.get("call_id")
        return {"type": "tool_call_response", "id": call_id, "response": loaded(answer)}
    return {**part, "type": kind if isinstance(kind, str) else "unknown"}


def _content(held: object) -> dict[str, Any]:
    """One of several contents, as OpenInference spreads them."""
    part = held.get("message_content", held) if isinstance(held, dict) else held
    return _part(part)


def _call(held: object) -> dict[str, Any]:
    """A call of a tool, whichever way it is nested."""
    call = held if isinstance(held, dict) else {}
    call = _dict(call.get("tool_call"), call)
    function = _dict(loaded(call.get("function")), call)
    arguments = function.get("arguments", call.get("input"))
    return {
        "type": "tool_call",
        "id": call.get("id") or call.get("call_id"),
        "name": function.get("name"),
        "arguments": loaded(arguments),
    }


def _text(value: object) -> dict[str, Any]:
    return {"type": "text", "content": value}


def _dict(value: object, otherwise: dict[str, Any]) -> dict[str, Any]:
    return value if isinstance(value, dict) else otherwise


def _listed(value: object) -> list[Any]:
    """A list, also where its places are names."""
    if isinstance(value, dict):
        numbers = sorted((int(key), key) for key in value if key.isdecimal() and len(key) < 10)
        return [value[key] for _, key in numbers]
    return value if isinstance(value, list) else []


def _unflattened(attributes: Mapping[str, object], prefix: str) -> dict[str, Any]:
    """Attributes under a prefix as nested dicts; what contradicts what came before it is left out."""
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        if not name.startswith(prefix):
            continue
        *path, last = name[len(prefix) :].split(".", _MAX_DEPTH)
        here: Any = found
        for step in path:
            here = here.setdefault(step, {})
            if not isinstance(here, dict):
                break
        else:
            here.setdefault(last, value)
    return found
