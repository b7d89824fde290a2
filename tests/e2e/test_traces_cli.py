"""`rundial traces` against a real server: what is there, as trees, and exactly out and in again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from rundial.server.keys import PROJECT_READ, TRACES_WRITE
from tests.support import otlp
from tests.support.program import ServerProgram
from tests.support.shell import Done, rundial

pytestmark = pytest.mark.e2e

TRACE = f"{7:032x}"
P = "/api/v1/workspaces/default-workspace/projects"


@dataclass(frozen=True, slots=True)
class Here:
    """A server with a run of spans."""

    server: ServerProgram

    def rundial(self, *args: str, key: str = "") -> Done:
        """Run a command against it."""
        chosen = key or self.server.key
        place = {"RUNDIAL_ENDPOINT": self.server.url, "RUNDIAL_PROJECT": "digits"}
        return rundial(*args, RUNDIAL_API_KEY=chosen, **place)

    def post(self, path: str, body: bytes, *, kind: str = "application/json", key: str = "") -> Any:
        """POST a body; returns the answer's."""
        headers = {"authorization": f"Bearer {key or self.server.key}", "content-type": kind}
        with urlopen(Request(self.server.url + path, data=body, headers=headers), timeout=20) as answer:
            return answer.read()

    def spans(self, project: str, run: str) -> list[dict[str, Any]]:
        """Every span of a run."""
        return self.server.rows(f"{P}/{project}/runs/{run}/spans?limit=1000", "spans")


def rich_span() -> Span:
    """A span with everything that one may have."""
    span = otlp.span(3, "tool ∞", parent=2)
    span.kind = Span.SPAN_KIND_CLIENT
    span.status.code = 2  # type: ignore[assignment]  # the stub wants the enum's own type
    span.status.message = 'it "failed"\n'
    values = {
        "text": "ü", "big": 2**63 - 1, "whole": 1.0, "small": 5e-324, "flag": True, "none": None,
        "list": ["a", 1, 2.5, [False]], "map": {"deep": {"x": -1}}, "gen_ai.operation.name": "execute_tool",
    }  # fmt: skip  # reads better in few lines
    span.attributes.extend(otlp.pairs(values))
    span.events.add(time_unix_nano=otlp.T0 + 7, name="retry", attributes=otlp.pairs({"n": 1}))
    span.links.add(trace_id=b"l" * 16, span_id=b"s" * 8, attributes=otlp.pairs({"why": "batch"}))
    return span


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    """A server, and in it one run of two instances, with a trace of five spans and one of a circle."""
    with ServerProgram(tmp_path_factory.mktemp("traces") / "data") as server:
        found = Here(server)
        chat = otlp.span(2, "chat", parent=1)
        usage = {"gen_ai.request.model": "large", "gen_ai.usage.input_tokens": 1_200}
        chat.attributes.extend(otlp.pairs({**usage, "gen_ai.usage.output_tokens": 34}))
        circle = [otlp.span(20, "snake", parent=21), otlp.span(21, "tail", parent=20)]
        for each in circle:
            each.trace_id = (8).to_bytes(16, "big")
        one = [otlp.span(1, "agent"), chat, rich_span(), otlp.span(5, "lost", parent=99), *circle]
        two = [otlp.span(4, "crashed", parent=1, is_interrupted=True)]
        for instance, attempt, held in (("one", 1, one), ("two", 2, two)):
            owner = otlp.resource(
                "run-1", instance=instance, attempt=attempt, host__name="h", rundial__rank=0
            )
            found.post("/v1/traces", otlp.spans(owner, held), kind="application/x-protobuf")
        start = {"trace_id": TRACE, "span_id": f"{6:016x}", "name": "open", "start_unix_ns": otlp.T0 + 6}
        opened = [otlp.event(1, "rundial.span.start", start)]
        body = otlp.logs(otlp.resource("run-1", instance="one"), opened)
        found.post("/v1/logs", body, kind="application/x-protobuf")
        yield found


def test_tail_prints_the_last_spans_newest_last(here: Here) -> None:
    """As a person reads a log; as JSON the newest first."""
    done = here.rundial("traces", "tail", "run-1", "--spans", "4")
    found = here.rundial("traces", "tail", "run-1", "--spans", "2", "--json").found

    assert (done.status, done.stderr) == (0, "")
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["lost", "open", "snake", "tail"]
    assert "running" in done.stdout.splitlines()[1]
    assert [each["name"] for each in found["spans"]] == ["tail", "snake"]


def test_show_prints_trees_with_what_agents_say(here: Here) -> None:
    """Children below their parents, models with their tokens, and what is wrong with a parent."""
    lines = here.rundial("traces", "show", "run-1", "--tree").stdout.splitlines()
    names = ["agent", "chat", "tool ∞", "crashed", "lost", "open", "snake", "tail"]

    assert [next(name for name in names if f"  {name}" in line) for line in lines] == names
    assert "(large, 1,234 tokens)" in lines[1]
    assert lines[2].index("tool") - lines[1].index("chat") == 2
    assert lines[1].index("chat") - lines[0].index("agent") == 2
    assert "interrupted" in lines[3]
    assert lines[4].endswith("(parent: missing)")
    assert lines[6].endswith("(parent: cycle)")


def test_show_prints_a_list_and_one_trace(here: Here) -> None:
    """By their start."""
    found = here.rundial("traces", "show", "run-1", "--json").found["spans"]
    narrow = here.rundial("traces", "show", "run-1", "--trace", f"{8:032x}", "--json").found["spans"]
    cut = here.rundial("traces", "show", "run-1", "--spans", "2").stdout.splitlines()

    assert [each["name"] for each in found][:3] == ["agent", "chat", "tool ∞"]
    assert [each["name"] for each in narrow] == ["snake", "tail"]
    assert len(cut) == 2


def test_show_reads_on_where_large_spans_fill_an_answer(here: Here) -> None:
    """A list is whole; a tree, which is one answer, says what it leaves out."""
    trace = b"large".ljust(16)
    for number in range(1, 9):
        span = otlp.span(number, f"large-{number}")
        span.trace_id = trace
        span.attributes.extend(otlp.pairs({"said": "x" * 2**22}))
        body = otlp.spans(otlp.resource("run-2"), [span])
        here.post("/v1/traces", body, kind="application/x-protobuf")

    listed = here.rundial("traces", "show", "run-2").stdout.splitlines()
    tree = here.rundial("traces", "show", "run-2", "--tree")

    assert [line.split()[-1] for line in listed] == [f"large-{number}" for number in range(1, 9)]
    assert len(tree.stdout.splitlines()) == 5
    assert tree.stderr == f"of trace {trace.hex()} the first 5 of 8 spans are shown\n"


def test_what_is_exported_comes_in_again_as_the_same_spans(here: Here, tmp_path: Path) -> None:
    """In another project, by its key, every field of every span is what it was."""
    here.post(f"{P}", b'{"name": "copy"}')
    scopes = json.dumps({"scopes": [TRACES_WRITE, PROJECT_READ]}).encode()
    key = json.loads(here.post(f"{P}/copy/api-keys", scopes))["key"]
    path = tmp_path / "spans.jsonl"

    done = here.rundial("traces", "export", "run-1", "--project", "digits", "--output", str(path))
    for line in path.read_text("utf-8").splitlines():
        assert here.post("/v1/traces", line.encode(), key=key) == b"{}"

    assert (done.status, "1 span still running" in done.stderr, "7 spans" in done.stdout) == (0, True, True)
    before = [each for each in here.spans("digits", "run-1") if not each["running"]]
    assert here.spans("copy", "run-1") == before
    details: list[Any] = [here.server.get(f"{P}/{project}/runs/run-1") for project in ("digits", "copy")]
    instances = [
        [(each["instanceId"], each["attempt"], each["rank"], each["host"]) for each in found["instances"]]
        for found in details
    ]
    assert instances[0] == instances[1] == [("one", 1, 0, "h"), ("two", 2, 0, "h")]


def test_export_writes_to_stdout_and_over_no_file(here: Here, tmp_path: Path) -> None:
    """One request a line; a file that is there stays."""
    done = here.rundial("traces", "export", "run-1", "--project", "digits", "--trace", f"{8:032x}")
    path = tmp_path / "there"
    path.write_text("mine")
    refused = here.rundial("traces", "export", "run-1", "--project", "digits", "--output", str(path))

    (line,) = done.stdout.splitlines()
    (group,) = json.loads(line)["resourceSpans"]
    assert [each["name"] for each in group["scopeSpans"][0]["spans"]] == ["snake", "tail"]
    assert (refused.status, path.read_text()) == (1, "mine")
    assert "exists already" in refused.stderr


def test_a_run_that_is_not_there_is_said(here: Here) -> None:
    """With the status that says so."""
    done = here.rundial("traces", "show", "nothing", "--project", "digits")

    assert done.status == 1
    assert "no run 'nothing'" in done.stderr
