"""`opentelemetry-instrumentation-openai-v2` on a run's providers: conversations, tool calls, tokens and cost.

The model is a mock (`tests/support/modelserver.py`); library and instrumentation are real.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import modelserver, recorded
from tests.support.companions import Companions
from tests.support.recorded import Recorded

# The first of them installs the environment.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PROGRAM = """
    import openai
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    run = rd.init(
        project="agents", kind="agent", mode="offline", spool_directory=given["spool"], system_metrics=False,
        prices={"small-model-2026": {"input": 1.0, "output": 2.0}},
    )
    OpenAIInstrumentor().instrument(
        tracer_provider=run.tracer_provider,
        logger_provider=run.logger_provider,
        meter_provider=run.meter_provider,
    )
    client = openai.OpenAI(base_url=given["url"], api_key="none", max_retries=0)
    asked = [{"role": "system", "content": "be short"}, {"role": "user", "content": "what is a ring?"}]
    tools = [{"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}]
    with run.agent("helper") as agent:
        answer = client.chat.completions.create(model="small-model", messages=asked, tools=tools)
        message = answer.choices[0].message
        with run.tool("search", call_id=message.tool_calls[0].id) as tool:
            found = tool.result("a page")
        asked += [message.model_dump(exclude_none=True)]
        asked += [{"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": found}]
        stream = client.chat.completions.create(
            model="small-model", messages=asked, stream=True, stream_options={"include_usage": True}
        )
        said = "".join(piece.choices[0].delta.content or "" for piece in stream)
        try:
            client.chat.completions.create(model="broken", messages=asked)
        except openai.InternalServerError:
            pass
    assert run.finish(20)
    print(json.dumps({"said": said, "dropped": run.diagnostics().ledger.spans.dropped}))
"""
LATEST = "gen_ai_latest_experimental"


def recorded_by(beside: Companions, *, content: str, convention: str = "") -> tuple[Recorded, Any]:
    """Run the program; return what the run has on disk, and what the program said."""
    env = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": content}
    if convention:
        env["OTEL_SEMCONV_STABILITY_OPT_IN"] = convention
    with modelserver.serving() as url:
        told = beside.run(PROGRAM, env=env, url=url)
    return recorded.read(beside.spool), told


def test_a_conversation_in_spans_is_all_there(beside: Companions) -> None:
    """Messages, tool calls, tokens, cost, errors, and each span below the agent that caused it."""
    found, told = recorded_by(beside, content="SPAN_ONLY", convention=LATEST)

    assert told == {"said": "".join(modelserver.PIECES), "dropped": {}}
    by_name = {span.name: span for span in found.spans}
    first, second = (span for span in found.spans if span.name == "chat small-model")
    agent = by_name["invoke_agent helper"]
    assert {span.parent_span_id for span in found.spans if span is not agent} == {agent.span_id}
    assert {span.trace_id for span in found.spans} == {agent.trace_id}

    (answer,) = json.loads(first.attributes["gen_ai.output.messages"])
    (call,) = answer["parts"]
    assert (call["type"], call["name"], call["arguments"]) == ("tool_call", "search", {"query": "rings"})
    assert by_name["execute_tool search"].attributes["gen_ai.tool.call.id"] == call["id"]
    asked = json.loads(second.attributes["gen_ai.input.messages"])
    assert [message["role"] for message in asked] == ["system", "user", "assistant", "tool"]
    (said,) = json.loads(second.attributes["gen_ai.output.messages"])
    assert said["parts"][0]["content"] == "".join(modelserver.PIECES)
    for span in (first, second):
        assert span.attributes["gen_ai.usage.input_tokens"] == 100
        assert span.attributes["gen_ai.usage.output_tokens"] == 20
        assert span.attributes["gen_ai.response.model"] == modelserver.MODEL
        assert span.attributes["rundial.cost_usd"] == pytest.approx((100 * 1.0 + 20 * 2.0) / 1e6)
    broken = by_name["chat broken"]
    assert (broken.status, broken.attributes["error.type"]) == (2, "InternalServerError")
    assert "rundial.cost_usd" not in broken.attributes


def test_a_conversation_in_events_is_all_there(beside: Companions) -> None:
    """The conventions' other place for content: log records, each with its span."""
    found, _ = recorded_by(beside, content="EVENT_ONLY", convention=LATEST)

    spans = [span for span in found.spans if span.name == "chat small-model"]
    events = [line for line in found.events if line.event_name == "gen_ai.client.inference.operation.details"]
    assert {span.span_id for span in spans} <= {event.span_id for event in events}
    text = "".join(str(event.attributes["gen_ai.input.messages"]) for event in events)
    assert "what is a ring?" in text
    assert "a page" in text
    assert any("tool_call" in str(event.attributes.get("gen_ai.output.messages")) for event in events)
    assert all("gen_ai.input.messages" not in span.attributes for span in spans)


def test_a_conversation_of_the_older_conventions_is_all_there(beside: Companions) -> None:
    """What the instrumentation writes by default: one log record for each message."""
    found, _ = recorded_by(beside, content="true")

    said = [(line.event_name, line.body) for line in found.events if line.event_name.startswith("gen_ai.")]
    assert ("gen_ai.user.message", '{"content": "what is a ring?"}') in said
    assert any(name == "gen_ai.choice" and "search" in str(body) for name, body in said)
    assert any(name == "gen_ai.tool.message" and "a page" in str(body) for name, body in said)
    assert [
        span.attributes.get("rundial.cost_usd") for span in found.spans if span.name == "chat small-model"
    ] == [pytest.approx(0.00014)] * 2


def test_its_metrics_are_points(beside: Companions) -> None:
    """Durations and tokens, by model and kind of token."""
    found, _ = recorded_by(beside, content="NO_CONTENT", convention=LATEST)

    tokens = {
        point.attributes["gen_ai.token.type"]: point.value
        for point in found.points
        if point.name == "gen_ai.client.token.usage/sum"
    }
    assert tokens == {"input": 200.0, "output": 40.0}
    assert sum(found.values("gen_ai.client.operation.duration/count")) == 3.0
