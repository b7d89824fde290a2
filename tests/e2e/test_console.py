"""Console capture in programs of their own: exit, crash, fork, kill, a notebook's kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from rundial.api.client import Client
from tests.support import recorded, stored
from tests.support.program import ServerProgram
from tests.support.recorded import Recorded
from tests.support.scripts import end_of, run_script, start_script
from tests.support.shell import Done, rundial

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

BEGIN = """
    import os, sys
    run = rd.init(project="digits", mode="offline", spool_directory=given["spool"], capture_console=True)
"""


def record(text: str, directory: Path) -> tuple[Done, Recorded]:
    """Run a script with a captured console; return how it ended and what it left."""
    done = run_script(BEGIN + text, spool=str(directory))
    return done, recorded.read(directory)


def test_exit_without_finish_keeps_the_last_words(spool_dir: Path) -> None:
    """What was printed up to the exit is recorded, half a line included, and shown as ever."""
    done, found = record(
        """
    print("one")
    print("two", end="")
        """,
        spool_dir,
    )

    assert (done.status, done.stdout) == (0, "one\ntwo")
    assert [line.body for line in found.lines] == ["one", "two"]


def test_traceback_of_a_crash_is_recorded(spool_dir: Path) -> None:
    """The traceback that Python prints for an uncaught exception is among the run's text."""
    done, found = record("    raise ValueError('bad shape')\n", spool_dir)

    assert done.status == 1
    lines = [line for line in found.lines if line.attributes["log.iostream"] == "stderr"]
    assert [lines[0].body, lines[-1].body] == [
        "Traceback (most recent call last):",
        "ValueError: bad shape",
    ]
    assert {line.severity for line in lines} == {17}
    assert "ValueError: bad shape" in done.stderr


@pytest.mark.fault
def test_forked_child_prints_into_its_own_instance(spool_dir: Path) -> None:
    """A child's lines are recorded by the child, and what its parent had half written is not repeated."""
    done, found = record(
        """
    sys.stdout.write("half ")
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        print("of the child", flush=True)
        os._exit(0 if run.flush(20) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    print("of the parent")
        """,
        spool_dir,
    )

    assert done.status == 0, done.stderr
    assert sorted(line.body for line in found.lines) == ["half of the parent", "of the child"]
    assert len({line.resource["service.instance.id"] for line in found.lines}) == 2


@pytest.mark.fault
def test_child_process_inherits_the_real_streams(spool_dir: Path) -> None:
    """A program that is started with our streams writes to the console itself; its text is not ours."""
    done, found = record(
        """
    import subprocess
    print("before", flush=True)
    subprocess.run([sys.executable, "-c", "print('by a child')"], check=True, stdout=sys.stdout)
        """,
        spool_dir,
    )

    assert done.stdout == "before\nby a child\n"
    assert [line.body for line in found.lines] == ["before"]


@pytest.mark.fault
def test_kill_loses_no_line_that_was_printed(server: ServerProgram, spool_dir: Path) -> None:
    """A process that is killed right after a print leaves its lines for the next sync."""
    script = start_script(
        BEGIN
        + """
    for number in range(1000):
        print("line", number)
    os.write(2, b"ready")
    sys.stdin.read()
        """,
        spool=str(spool_dir),
    )
    assert script.stderr is not None
    assert script.stderr.read(5) == "ready"
    script.kill()
    end_of(script)

    done = rundial("sync", str(spool_dir), "--endpoint", server.url, RUNDIAL_API_KEY=server.key)
    assert done.status == 0, done.stderr
    with Client(endpoint=server.url, api_key=server.key) as client:
        (run,) = server.rows("/api/v1/workspaces/default-workspace/projects/digits/runs/query", "runs")
        found = stored.read(client, "digits", run["runId"])
    assert found.lines == [f"line {number}" for number in range(1000)]


@pytest.fixture
def kernel() -> Iterator[BlockingKernelClient]:
    """A notebook's kernel."""
    manager = KernelManager()
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=40)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def execute(kernel: BlockingKernelClient, code: str) -> dict[str, str]:
    """Run one cell and return what it showed, by stream."""
    shown: dict[str, str] = {}

    def hook(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "stream":
            shown[content["name"]] = shown.get(content["name"], "") + content["text"]
        elif message["msg_type"] == "error":
            shown["error"] = "\n".join(content["traceback"])

    kernel.execute_interactive(code, timeout=40, output_hook=hook)
    return shown


def test_cells_of_a_notebook_are_recorded(kernel: BlockingKernelClient, spool_dir: Path) -> None:
    """In Jupyter, output appears under its cell as ever and is recorded as well."""
    begin = (
        "import sys, rundial as rd\n"
        f"run = rd.init(project='digits', mode='offline', spool_directory={str(spool_dir)!r}, "
        "capture_console=True)"
    )
    assert "error" not in execute(kernel, begin)

    shown = execute(kernel, "print('hello'); print('oh no', file=sys.stderr); type(sys.stdout).__name__")
    assert shown == {"stdout": "hello\n", "stderr": "oh no\n"}
    assert "error" not in execute(kernel, "from tqdm import tqdm\nfor _ in tqdm(range(10)): pass")
    assert execute(kernel, "run.finish(); print('after')") == {"stdout": "after\n"}
    assert execute(kernel, "print(type(sys.stdout))")["stdout"].endswith("OutStream'>\n")

    found = recorded.read(spool_dir).lines
    assert [line.body for line in found[:2]] == ["hello", "oh no"]
    assert found[2].body.startswith("100%")
    assert len(found) == 3
