"""Whole traces: every span once, whatever parents, clocks and resends make of them."""

from __future__ import annotations

import json
import random
import secrets
from typing import Any

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support import otlp
from tests.support.server import LocalServer, fresh_id

P = "/api/v1/workspaces/default-workspace/projects/digits"
TEMPLATE = (7).to_bytes(16, "big")


class Traced:
    """A trace of the test's own: the engines are shared, and a project's traces with them."""

    def __init__(self, local: LocalServer) -> None:
        self._local = local
        self.id = secrets.token_hex(16)

    def send(self, run: str, *held: Span, instance: str = "instance-1") -> None:
        """Store spans of this trace, but for those that are of another."""
        for span in held:
            if span.trace_id == TEMPLATE:
                span.trace_id = bytes.fromhex(self.id)
        body = otlp.spans(otlp.resource(run, instance=instance), held)
        assert self._local.export("traces", body).status == 200

    def ask(self, query: str = "") -> dict[str, Any]:
        """The trace."""
        reply = self._local.get(f"{P}/traces/{self.id}?{query}")
        assert reply.status == 200, reply.json
        return reply.json

    def tree(self, query: str = "") -> list[tuple[str, int, str | None]]:
        """Name, depth and problem of each span."""
        return [(each["name"], each["depth"], each["parentProblem"]) for each in self.ask(query)["spans"]]


@pytest.fixture
def trace(local: LocalServer) -> Traced:
    """A trace that no other test has."""
    return Traced(local)


def test_a_trace_comes_in_the_order_of_its_tree(local: LocalServer, trace: Traced) -> None:
    """Parents before their children, siblings by their start, from whatever run of the project."""
    one, two = fresh_id(), fresh_id()
    trace.send(one, otlp.span(4, "http", parent=3), otlp.span(2, "plan", parent=1), otlp.span(1, "agent"))
    trace.send(two, otlp.span(3, "tool", parent=1), otlp.span(5, "answer", parent=1), instance="other")

    found = trace.ask()

    assert trace.tree() == [
        ("agent", 0, None),
        ("plan", 1, None),
        ("tool", 1, None),
        ("http", 2, None),
        ("answer", 1, None),
    ]
    assert found["runIds"] == sorted([one, two])
    assert (found["totalSpans"], found["truncated"]) == (5, False)
    assert {each["instanceId"] for each in found["spans"]} == {"instance-1", "other"}
    assert trace.tree(f"runId={two}") == [("tool", 0, "missing"), ("answer", 0, "missing")]


def test_parents_that_go_round_in_a_circle_lose_nothing(local: LocalServer, trace: Traced) -> None:
    """The circle is cut above its earliest span, and marked; what hangs on it stays below it."""
    run = fresh_id()
    trace.send(
        run,
        otlp.span(1, "root"),
        otlp.span(2, "a", parent=4),
        otlp.span(3, "b", parent=2),
        otlp.span(4, "c", parent=3),
        otlp.span(5, "leaf", parent=3),
        otlp.span(6, "own parent", parent=6),
    )

    assert trace.tree() == [
        ("root", 0, None),
        ("a", 0, "cycle"),
        ("b", 1, None),
        ("c", 2, None),
        ("leaf", 2, None),
        ("own parent", 0, "cycle"),
    ]


def test_a_trace_that_is_one_circle_has_a_top(local: LocalServer, trace: Traced) -> None:
    """Read branch by branch, its earliest span; a span that is its own parent has no such child."""
    run = fresh_id()
    trace.send(run, otlp.span(2, "a", parent=3), otlp.span(3, "b", parent=2))
    other = otlp.span(9, "own parent", parent=9)
    other.trace_id = (8).to_bytes(16, "big")
    trace.send(run, other)
    path = f"{P}/runs/{run}/spans"

    tops = local.get(f"{path}?parent=none").json["spans"]

    assert [(each["name"], each["childCount"]) for each in tops] == [("a", 1), ("own parent", 0)]
    below = local.get(f"{path}?trace={(8).to_bytes(16, 'big').hex()}&parent={(9).to_bytes(8, 'big').hex()}")
    assert below.json["spans"] == []


def test_clocks_that_disagree_are_told_and_not_corrected(local: LocalServer, trace: Traced) -> None:
    """A child of another machine that began before its parent stays its child, and times stay as sent."""
    run = fresh_id()
    trace.send(run, otlp.span(1_000, "caller"))
    trace.send(run, otlp.span(400, "callee", parent=1_000), instance="other machine")
    trace.send(run, otlp.span(300, "same machine", parent=1_000))

    found = trace.ask()["spans"]

    assert [(each["name"], each["depth"], each["clockSkewNs"]) for each in found] == [
        ("caller", 0, None),
        ("same machine", 1, None),
        ("callee", 1, "600"),
    ]
    assert found[2]["startNs"] == str(otlp.T0 + 400)


def test_a_span_is_what_was_heard_last_of_it_in_any_order(local: LocalServer, trace: Traced) -> None:
    """Announced, ended, and sent again and again, in one request or in many: one span, counted once."""
    run = fresh_id()
    ended = [otlp.span(number, "step") for number in range(1, 300)]
    started = [
        otlp.event(
            number,
            "rundial.span.start",
            {
                "trace_id": trace.id,
                "span_id": f"{number:016x}",
                "name": "step",
                "kind": "internal",
                "start_unix_ns": otlp.T0 + number,
                "attributes": {"from": "start"},
            },
        )
        for number in range(1, 302)
    ]
    owner = otlp.resource(run)
    trace.send(run, *ended[:150], *ended[:100])
    assert local.export("logs", otlp.logs(owner, started)).status == 200
    random.Random(7).shuffle(ended)
    trace.send(run, *ended, *ended)
    assert local.export("logs", otlp.logs(owner, started)).status == 200

    found = trace.ask()["spans"]

    assert len(found) == 301
    assert [each["spanId"] for each in found if each["running"]] == [f"{300:016x}", f"{301:016x}"]
    assert all("epoch" in each["attributes"] for each in found if not each["running"])
    assert local.details(run)["counts"]["spans"] == 299


def test_an_interruption_gives_way_to_an_end_and_not_the_other_way(local: LocalServer, trace: Traced) -> None:
    """Whichever arrives first, also within one request."""
    run = fresh_id()
    trace.send(run, otlp.span(1, "x", is_interrupted=True))
    trace.send(run, otlp.span(1, "x"), otlp.span(1, "x", is_interrupted=True))
    trace.send(run, otlp.span(2, "y", is_interrupted=True), otlp.span(2, "y"))

    assert [each["interrupted"] for each in trace.ask()["spans"]] == [False, False]
    assert local.details(run)["counts"]["spans"] == 2


@pytest.mark.timeout(60)  # ten thousand spans, on the slowest engine too
def test_ten_thousand_spans_are_one_answer(local: LocalServer, trace: Traced) -> None:
    """Deep or wide; beyond the limit the answer says how much is missing."""
    run = fresh_id()
    deep = [otlp.span(number, "deep", parent=number - 1) for number in range(1, 5_001)]
    wide = [otlp.span(number, "wide", parent=1) for number in range(5_001, 10_001)]
    trace.send(run, *deep, *wide)

    found = trace.ask()

    assert (len(found["spans"]), found["truncated"]) == (10_000, False)
    assert max(each["depth"] for each in found["spans"]) == 4_999
    cut: dict[str, Any] = trace.ask("limit=10")
    assert (len(cut["spans"]), cut["totalSpans"], cut["truncated"]) == (10, 10_000, True)


@pytest.mark.parametrize(("trace_id", "status"), [("0" * 31 + "1", 404), ("zz", 400), ("0" * 30, 400)])
def test_a_trace_that_is_none_is_refused(local: LocalServer, trace_id: str, status: int) -> None:
    """With what it should be."""
    local.project_id()

    assert local.get(f"{P}/traces/{trace_id}").status == status


def test_a_span_has_its_view_from_attributes_and_log_records(local: LocalServer, trace: Traced) -> None:
    """As instrumentations write them: what a model was asked stands in log records of the span."""
    run = fresh_id()
    chat = otlp.span(1, "chat")
    chat.attributes.extend(
        otlp.pairs(
            {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.usage.input_tokens": 7}
        )
    )
    trace.send(run, chat, otlp.span(2, "http", parent=1))
    said = [
        LogRecord(
            time_unix_nano=otlp.T0 + number,
            event_name=name,
            body=otlp.value(body),
            trace_id=bytes.fromhex(trace.id),
            span_id=chat.span_id,
        )
        for number, (name, body) in enumerate(
            [
                ("gen_ai.user.message", {"content": "Hello"}),
                ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"content": "Hi"}}),
                ("something.else", {"content": "no"}),
            ]
        )
    ]
    assert local.export("logs", otlp.logs(otlp.resource(run), said)).status == 200

    for found in (trace.ask()["spans"], local.spans(run)):
        assert [each["genai"] is None for each in found] == [False, True]
        view = found[0]["genai"]
        assert (view["operation"], view["provider"], view["usage"]) == ("chat", "openai", {"input": 7})
        assert view["inputMessages"] == [{"role": "user", "parts": [{"type": "text", "content": "Hello"}]}]
        assert view["outputMessages"] == [
            {"role": "assistant", "parts": [{"type": "text", "content": "Hi"}], "finish_reason": "stop"}
        ]


def test_what_programs_exaggerate_is_kept_whole(local: LocalServer, trace: Traced) -> None:
    """A prompt of 5 MB, ten thousand attributes, ten thousand events, and a name of any length."""
    prompt = "é" * 2_500_000
    spoken, wide, busy = otlp.span(1, "chat"), otlp.span(2, "wide"), otlp.span(3, "busy" * 1_000)
    asked = [{"role": "user", "parts": [{"type": "text", "content": prompt}]}]
    spoken.attributes.extend(otlp.pairs({"gen_ai.input.messages": json.dumps(asked, ensure_ascii=False)}))
    wide.attributes.extend(otlp.pairs({f"key-{number}": number for number in range(10_000)}))
    for number in range(10_000):
        busy.events.add(time_unix_nano=otlp.T0 + number, name="tick")
    run = fresh_id()

    for each in (spoken, wide, busy):
        trace.send(run, each)

    chat, attributes, events = trace.ask()["spans"]
    assert chat["genai"]["inputMessages"] == asked
    assert (len(attributes["attributes"]), attributes["genai"]) == (10_001, None)
    assert (len(events["events"]), events["name"]) == (10_000, "busy" * 1_000)


MIB = 2**20


def _large(number: int, megabytes: int) -> Span:
    """A span that says much."""
    held = otlp.span(number, "large")
    held.attributes.extend(otlp.pairs({"said": "x" * megabytes * MIB}))
    return held


@pytest.mark.timeout(60)  # 40 MB, on the slowest engine too
def test_a_trace_of_any_size_is_an_answer_of_a_bounded_one(local: LocalServer, trace: Traced) -> None:
    """What does not fit is counted, and told as left out."""
    run = fresh_id()
    for number in range(1, 11):
        trace.send(run, _large(number, 4))

    reply = local.get(f"{P}/traces/{trace.id}")

    found = reply.json
    assert len(reply.body) <= 32 * MIB
    assert (found["totalSpans"], found["truncated"], found["messagesTruncated"]) == (10, True, False)
    assert [int(each["spanId"], 16) for each in found["spans"]] == [1, 2, 3, 4, 5]


@pytest.mark.timeout(60)  # 40 MB, on the slowest engine too
def test_a_page_of_spans_ends_where_its_bytes_do(local: LocalServer, trace: Traced) -> None:
    """The next page goes on behind it, in either order, so that every span is shown once."""
    run = fresh_id()
    for number in range(1, 11):
        trace.send(run, _large(number, 4))

    for order in ("asc", "desc"):
        seen: list[int] = []
        cursor = ""
        while True:
            reply = local.get(f"{P}/runs/{run}/spans?order={order}&limit=100{cursor}")
            assert len(reply.body) <= 32 * MIB
            seen += [int(each["spanId"], 16) for each in reply.json["spans"]]
            page = reply.json["page"]
            if not page["hasMore"]:
                break
            cursor = f"&cursor={page['nextCursor']}"
        assert seen == sorted(range(1, 11), reverse=order == "desc")


def _said(trace: Traced, span: int, number: int, text: str) -> LogRecord:
    """A message to a model, as a log record of a span."""
    return LogRecord(
        time_unix_nano=otlp.T0 + number,
        event_name="gen_ai.user.message",
        body=otlp.value({"content": text}),
        trace_id=bytes.fromhex(trace.id),
        span_id=span.to_bytes(8, "big"),
        attributes=otlp.pairs({"number": number}),
    )


@pytest.mark.timeout(60)  # twenty thousand lines, on the slowest engine too
def test_messages_that_are_left_out_are_told(local: LocalServer, trace: Traced) -> None:
    """Also where others than those of the shown spans are many: these are not read for them."""
    run = fresh_id()
    owner = otlp.resource(run)
    chats = [otlp.span(number, "chat") for number in range(1, 4)]
    for chat in chats:
        chat.attributes.extend(otlp.pairs({"gen_ai.operation.name": "chat"}))
    trace.send(run, *chats)
    records = [_said(trace, 2, number, "much") for number in range(20_001)]
    for start in range(0, len(records), 5_000):
        assert local.export("logs", otlp.logs(owner, records[start : start + 5_000])).status == 200
    late = [_said(trace, 1, 30_000, "first"), _said(trace, 3, 30_000, "last")]
    assert local.export("logs", otlp.logs(owner, late)).status == 200

    found = trace.ask()

    assert (found["truncated"], found["messagesTruncated"]) == (False, True)
    first = local.get(f"{P}/runs/{run}/spans?limit=1").json
    assert first["messagesTruncated"] is False
    assert first["spans"][0]["genai"]["inputMessages"][0]["parts"][0]["content"] == "first"
    assert local.get(f"{P}/runs/{run}/spans").json["messagesTruncated"] is True
