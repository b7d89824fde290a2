"""Spans as trees: branch by branch, paged, with what still runs and what was interrupted."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sqlalchemy import Connection, insert, select

from rundial.server.store.tables import spans
from tests.support import otlp
from tests.support.server import LocalServer, Reply, fresh_id

TRACE = (7).to_bytes(16, "big").hex()


def ask(local: LocalServer, run: str, query: str = "") -> Reply:
    """A page of spans."""
    return local.get(f"/api/v1/workspaces/default-workspace/projects/digits/runs/{run}/spans?{query}")


def names(found: Reply) -> list[tuple[str, int]]:
    """The spans of a page, each with the number of its children."""
    assert found.status == 200, found.json
    return [(each["name"], each["childCount"]) for each in found.json["spans"]]


def send(local: LocalServer, run: str, *held: Span) -> None:
    """Store spans."""
    assert local.export("traces", otlp.spans(otlp.resource(run), held)).status == 200


def test_a_tree_is_read_branch_by_branch(local: LocalServer) -> None:
    """The top first, then the children of whom has some; a parent that is not there makes a top."""
    run = fresh_id()
    send(
        local,
        run,
        otlp.span(1, "agent"),
        otlp.span(2, "plan", parent=1),
        otlp.span(3, "tool", parent=1),
        otlp.span(4, "http", parent=3),
        otlp.span(5, "from elsewhere", parent=99),
    )

    assert names(ask(local, run, "parent=none")) == [("agent", 2), ("from elsewhere", 0)]
    span_id = ask(local, run, "parent=none").json["spans"][0]["spanId"]
    assert names(ask(local, run, f"trace={TRACE}&parent={span_id}")) == [("plan", 0), ("tool", 1)]
    assert len(names(ask(local, run))) == 5
    assert names(ask(local, run, f"trace={'0' * 32}")) == []


def test_what_was_interrupted_has_its_place_in_the_tree(local: LocalServer) -> None:
    """A crash leaves its mark where it happened."""
    run = fresh_id()
    send(local, run, otlp.span(1, "agent", is_interrupted=True), otlp.span(2, "tool", parent=1))

    (top,) = ask(local, run, "parent=none").json["spans"]
    assert (top["interrupted"], top["childCount"], top["durationNs"]) == (True, 1, "500")


@pytest.mark.inside
def test_ten_thousand_spans_are_paged_each_once(local: LocalServer) -> None:
    """However wide a branch is."""
    run = fresh_id()
    send(local, run, otlp.span(1, "agent"), otlp.span(2, "tool", parent=1))
    add_siblings(local, 9_999)
    query = f"trace={TRACE}&parent={(1).to_bytes(8, 'big').hex()}&limit=1000"
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = ask(local, run, query + (f"&cursor={cursor}" if cursor else "")).json
        found += page["spans"]
        cursor = page["page"]["nextCursor"] or ""
        if not cursor:
            break

    assert [int(each["spanId"], 16) for each in found] == list(range(2, 10_002))


def add_siblings(local: LocalServer, count: int) -> None:
    """Store copies of the second span, straight into the table: ten thousand requests' worth."""

    def add(connection: Connection) -> None:
        known = connection.execute(select(spans).order_by(spans.c.id.desc()).limit(1)).one()._asdict()
        del known["id"]
        copies = [
            {
                **known,
                "span_id": (number + 3).to_bytes(8, "big"),
                "start_unix_ns": known["start_unix_ns"] + number,
            }
            for number in range(count)
        ]
        connection.execute(insert(spans), copies)

    local.services.writer.submit(add).result(30)


@pytest.mark.parametrize(
    "query", ["trace=xyz", "parent=ab", "parent=0000000000000001", f"trace={TRACE}&parent=zz"]
)
def test_an_id_that_is_none_is_refused(local: LocalServer, query: str) -> None:
    """With what it should be."""
    run = fresh_id()
    send(local, run, otlp.span(1, "agent"))

    assert ask(local, run, query).status == 400


def test_the_spans_of_a_step_are_found(local: LocalServer) -> None:
    """By the number that a span was given, and by nothing that only looks like it."""
    run = fresh_id()
    tied = otel_span(2, "tied", step=7)
    send(
        local,
        run,
        otlp.span(1, "loose"),
        tied,
        otel_span(3, "further on", step=70),
        otel_span(4, "says so", note='"rundial.step":7,'),
        otel_span(5, "alone", step=7, is_alone=True),
    )

    assert names(ask(local, run, "step=7")) == [("tied", 0), ("alone", 0)]
    assert names(ask(local, run, f"step=70&trace={TRACE}")) == [("further on", 0)]
    assert names(ask(local, run, "step=0")) == []
    assert ask(local, run, "step=x").status == 400


def otel_span(
    number: int, name: str, *, step: int | None = None, note: str = "", is_alone: bool = False
) -> Span:
    """A span with a step among its attributes."""
    span = otlp.span(number, name)
    if is_alone:
        del span.attributes[:]
    if note:
        span.attributes.add(key="note").value.string_value = note
    if step is not None:
        span.attributes.add(key="rundial.step").value.int_value = step
    return span


def test_nothing_runs_in_a_run_that_is_over(local: LocalServer) -> None:
    """A span that never ended is interrupted once its run has ended; an end that comes later wins."""
    run = fresh_id()
    owner = otlp.resource(run)
    start = {"trace_id": TRACE, "span_id": "00000000000000aa", "name": "long", "start_unix_ns": otlp.T0}
    announced = otlp.event(1, "rundial.span.start", start)
    assert local.export("logs", otlp.logs(owner, [announced])).status == 200
    (before,) = ask(local, run).json["spans"]
    finish = otlp.event(2, "rundial.run.finish", {"status": "completed"})
    assert local.export("logs", otlp.logs(owner, [finish])).status == 200
    (after,) = ask(local, run).json["spans"]
    send(local, run, otlp.span(0xAA, "long"))
    (ended,) = ask(local, run).json["spans"]

    assert (before["running"], before["interrupted"], before["status"]) == (True, False, "unset")
    assert (after["running"], after["interrupted"], after["status"]) == (False, True, "error")
    assert after["endNs"] is None
    assert (ended["running"], ended["interrupted"], ended["status"]) == (False, False, "unset")
