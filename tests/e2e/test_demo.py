"""`rundial demo` from a shell."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from rundial.demo.child import ServerChild, isolated
from rundial.demo.flow import record
from tests.support.program import ServerProgram
from tests.support.shell import rundial

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def test_demo_stores_everything_that_it_logs_and_touches_nothing_of_the_users(
    server: ServerProgram, home: Path, tmp_path: Path
) -> None:
    """A stranger's first command trains a real model and finds every record on its own server.

    Profiles, keys and modes of the account neither disturb it nor are changed by it.
    """
    folder = home / ".config" / "rundial"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    done = rundial(
        *("demo", "--data", str(tmp_path / "demo"), "--json"),
        timeout_s=90,
        RUNDIAL_ENDPOINT="http://127.0.0.1:1",
        RUNDIAL_API_KEY="rdk_wrong",
        RUNDIAL_MODE="disabled",
        RUNDIAL_PROJECT="mine",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
    )

    found = done.found
    assert done.status == 0
    assert found["equal"] is True
    assert found["stored"] == found["logged"]
    assert found["logged"]["points"] > 10_000
    assert min(found["metrics"]["val/accuracy"], found["metrics"]["test/accuracy"]) > 0.95
    assert found["run"]["status"] == "completed"
    assert found["seconds"] < 60
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


class SamplersSeen:
    """Follows a training, and notes whether anything is sampled beside it."""

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def begin(self, steps: int) -> None:
        """The run is not there yet."""

    def step(self, done: int, last: Mapping[str, float]) -> None:
        """Look which threads there are while it trains."""
        self.threads |= {thread.name for thread in threading.enumerate()}

    def end(self, last: Mapping[str, float]) -> None:
        """The run is still open."""


def test_demo_compares_nothing_but_what_the_training_logged(tmp_path: Path) -> None:
    """On a machine so slow that a sample of the system would fall into it, no more is stored than logged."""
    seen = SamplersSeen()
    with isolated(tmp_path / "config"), ServerChild(tmp_path) as child:
        shown = record(child, tmp_path, seen)

    assert shown.is_equal
    assert any(name.startswith("rundial") for name in seen.threads)
    assert "rundial-sampler" not in seen.threads


def test_demo_prints_summary_chart_and_how_to_go_on(tmp_path: Path) -> None:
    """What a person sees: what is stored of what was logged, the loss, and the next command."""
    data = tmp_path / "demo"
    done = rundial("demo", "--data", str(data), timeout_s=90, PYTHONIOENCODING="ascii")

    assert done.status == 0, done.stderr
    assert "Everything that was logged is stored." in done.stdout
    assert "val/loss" in done.stdout
    assert f"rundial server --data {data}" in done.stdout
    assert done.stdout.count(f"{sys.executable} -m rundial server") == (shutil.which("rundial") is None)
    assert done.stdout.isascii()
    assert "\r" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_leaves_no_server_behind(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C, or the end of the session, ends the server with the demo."""
    command = [sys.executable, "-m", "rundial", "demo", "--data", str(tmp_path / "demo"), "--serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("server"):
            break
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)

    assert children
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert psutil.wait_procs(children, timeout=10)[1] == []


def test_served_demo_can_be_read_by_the_command_that_it_prints(tmp_path: Path) -> None:
    """`--serve` keeps the server up, and the printed command lists the run."""
    data = tmp_path / "demo"
    command = [sys.executable, "-m", "rundial", "demo", "--data", str(data), "--serve", "--quiet", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        endpoint = _endpoint(process.stdout.readline())
        key = (data / "owner.key").read_text().strip()
        listed = rundial("run", "list", "--json", RUNDIAL_ENDPOINT=endpoint, RUNDIAL_API_KEY=key)
        process.send_signal(signal.SIGINT)
        process.wait(30)

    assert [run["status"] for run in listed.found["result"]["runs"]] == ["completed"]
    assert process.returncode == 0


def test_server_that_cannot_start_is_told_with_its_reason(tmp_path: Path) -> None:
    """A taken port ends the demo with one line that says so, not with a hang."""
    with ServerProgram(tmp_path / "other") as other:
        port = other.url.rsplit(":", 1)[1]
        done = rundial("demo", "--data", str(tmp_path / "demo"), "--port", port, timeout_s=60)

    assert done.status == 1
    assert port in done.stderr
    assert "Traceback" not in done.stderr


def _endpoint(line: str) -> str:
    found = json.loads(line)
    assert os.path.isdir(found["dataDir"])
    return str(found["endpoint"])
