"""Agents and other traces in processes that are killed, forked, or left waiting: each span in its place."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from rundial.api.adopt import sync
from rundial.api.client import Client
from tests.support.program import ServerProgram
from tests.support.rounds import rounds
from tests.support.scripts import end_of, run_script, start_script
from tests.support.stored import read
from tests.support.waiting import wait_until

PROJECT = "traces"
ROUNDS = 6

pytestmark = pytest.mark.fault


@pytest.fixture
def options(server: ServerProgram, tmp_path: Path) -> dict[str, Any]:
    """Arguments of a run."""
    return {
        "project": PROJECT,
        "endpoint": server.url,
        "api_key": server.key,
        "spool_directory": str(tmp_path / "spool"),
        "ring_bytes": 1 << 20,
        "system_metrics": False,
    }


def spans_of(server: ServerProgram, run_id: str) -> dict[str, dict[str, Any]]:
    """A run's stored spans by id; each of them once."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        found = read(client, PROJECT, run_id).spans
    by_id = {span["spanId"]: span for span in found}
    assert len(by_id) == len(found)
    return by_id


AGENT = """
    import asyncio
    run = rd.init(**given["options"])

    def say(what, span, parent=""):
        print(json.dumps([what, span.span_id, parent]), flush=True)

    async def work(number):
        with run.agent(f"agent {number}", input="go on") as agent:
            say("began", agent)
            while True:
                with run.llm_call(model="m") as call:
                    say("began", call, agent.span_id)
                    call.usage(input_tokens=1, output_tokens=1)
                    await asyncio.sleep(0)
                    with run.tool("t", arguments={"n": number}) as tool:
                        say("began", tool, call.span_id)
                        await asyncio.sleep(0)
                    say("ended", tool)
                say("ended", call)

    async def main():
        await asyncio.gather(*(work(number) for number in range(3)))

    asyncio.run(main())
"""


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_an_agent_killed_in_its_work_is_stored_whole(
    server: ServerProgram, options: dict[str, Any], tmp_path: Path, mode: str
) -> None:
    """Every span that had ended is there as it ended, every open one as interrupted, all in their places."""
    for number in range(rounds(ROUNDS)):
        run_id = f"agent-{mode}-{number}"
        spool = tmp_path / f"spool{number}"
        own = {**options, "run_id": run_id, "mode": mode, "kind": "agent", "spool_directory": str(spool)}
        agent = start_script(AGENT, options=own)
        assert agent.stdout is not None
        told = [json.loads(agent.stdout.readline()) for _ in range(random.randrange(10, 300))]
        os.kill(agent.pid, signal.SIGKILL)
        # What it had said when it died is still in the pipe; its last word may be half of one.
        rest = agent.stdout.read().split("\n")
        told += [json.loads(line) for line in rest[:-1]]
        assert end_of(agent).status == -signal.SIGKILL

        report = sync([spool], endpoint=server.url, api_key=server.key, timeout_s=60)
        assert [result.why for result in report.results] == [""]
        stored = spans_of(server, run_id)
        began = {span_id: parent for what, span_id, parent in told if what == "began"}
        ended = {span_id for what, span_id, _ in told if what == "ended"}
        assert set(began) <= set(stored)
        for span_id, parent in began.items():
            assert (stored[span_id]["parentSpanId"] or "") == parent
            assert not stored[span_id]["running"]
        assert [span_id for span_id in ended if stored[span_id]["interrupted"]] == []
        agents = [span for span in stored.values() if span["name"].startswith("invoke_agent")]
        assert {span["interrupted"] for span in agents} == {True}
        assert {span["status"] for span in agents} == {"error"}
        assert all("gen_ai.input.messages" in span["attributes"] for span in agents)


WAITING = """
    run = rd.init(**given["options"])
    with run.agent("long"):
        with run.tool("done"):
            pass
        print("open", flush=True)
        sys.stdin.readline()
    assert run.finish(20)
"""


def test_a_span_that_is_open_for_long_is_seen_while_it_is(
    server: ServerProgram, options: dict[str, Any]
) -> None:
    """A server shows it as running, above what has ended below it, and then as it ended; once."""
    waiting = start_script(WAITING, options={**options, "run_id": "long"})
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "open\n"

    def seen() -> dict[str, dict[str, Any]]:
        return {span["name"]: span for span in spans_of(server, "long").values()}

    wait_until(lambda: len(seen()) == 2, 30)
    open_one, done = seen()["invoke_agent long"], seen()["execute_tool done"]
    assert (open_one["running"], open_one["endNs"], open_one["interrupted"]) == (True, None, False)
    assert done["parentSpanId"] == open_one["spanId"]

    finished = end_of(waiting)
    assert finished.status == 0, finished.stderr
    ended = seen()["invoke_agent long"]
    assert (ended["running"], ended["interrupted"], ended["status"]) == (False, False, "ok")
    assert ended["spanId"] == open_one["spanId"]


FORKING = """
    import os
    run = rd.init(**given["options"])
    tracer = run.tracer_provider.get_tracer("library")
    emit = run.logger_provider.get_logger("library").emit
    with run.trace("parent") as parent, tracer.start_as_current_span("library's"):
        children = []
        for number in range(given["forks"]):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    # Work of its own below the span that was open, and of the library that has providers.
                    with run.trace("child", attrs={"number": number}):
                        with tracer.start_as_current_span("library's child"):
                            pass
                    status = 0 if run.flush(30) else 2
                finally:
                    os._exit(status)
            children.append(child)
        statuses = [os.waitpid(child, 0)[1] for child in children]
    assert run.finish(20)
    print(json.dumps({"statuses": statuses, "parent": parent.span_id}))
"""


def test_children_forked_inside_a_span_are_below_it(server: ServerProgram, options: dict[str, Any]) -> None:
    """The open spans stay the parent's, once; a child's own, and its instrumentations', are there below."""
    forks = rounds(ROUNDS)
    done = run_script(FORKING, options={**options, "run_id": "forked"}, forks=forks)
    assert done.status == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["statuses"] == [0] * forks

    stored = list(spans_of(server, "forked").values())
    by_name: dict[str, list[dict[str, Any]]] = {}
    for span in stored:
        by_name.setdefault(span["name"], []).append(span)
    (parent,), (library,) = by_name["parent"], by_name["library's"]
    children, grandchildren = by_name["child"], by_name["library's child"]
    assert parent["spanId"] == told["parent"]
    assert sorted(span["attributes"]["number"] for span in children) == list(range(forks))
    assert {span["parentSpanId"] for span in children} == {library["spanId"]}
    assert {span["parentSpanId"] for span in grandchildren} == {span["spanId"] for span in children}
    assert {span["traceId"] for span in stored} == {parent["traceId"]}
    assert not any(span["interrupted"] or span["running"] for span in stored)


HUGE = """
    run = rd.init(**given["options"])
    prompt = "prompt " * 750_000
    with run.llm_call(model="m", input=prompt) as call:
        for number in range(10_000):
            call.event(f"e{number}", {"n": number})
        call.set_attrs({f"k{number}": number for number in range(10_000)})
        call.output(prompt)
    assert run.finish(60)
    assert run.diagnostics().ledger.closes
    print(json.dumps({"bytes": len(prompt), "dropped": run.diagnostics().ledger.spans.dropped}))
"""


def test_a_span_of_any_size_is_stored_within_its_bounds(
    server: ServerProgram, options: dict[str, Any]
) -> None:
    """5 MB of a prompt, 10,000 events and as many attributes cost no span: texts are kept whole."""
    done = run_script(HUGE, options={**options, "run_id": "huge"}, timeout_s=90)
    assert done.status == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["dropped"] == {}

    (span,) = spans_of(server, "huge").values()
    assert span["name"] == "chat m"
    for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
        assert span["attributes"][f"{name}.rundial.original_bytes"] > told["bytes"]
        assert span["attributes"][f"{name}.rundial.evidence.path"].startswith("evidence/")
    assert [event["name"] for event in span["events"]][-1] == "e9999"
    assert 0 < len(span["events"]) <= 128
    assert len(span["attributes"]) <= 140
