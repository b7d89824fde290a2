"""A run's config, summary, alerts and its stop, from a program through the command line to the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rundial.api.client import Client
from tests.support import stored
from tests.support.program import ServerProgram
from tests.support.scripts import end_of, run_script, start_script
from tests.support.shell import rundial

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

SAYS = """
import enum, pathlib
class Mode(enum.Enum):
    FAST = 1
given_config = {"seed": 2**62, "layers": [1, (2, 3)], "data": pathlib.Path("/data"), "mode": Mode.FAST,
                "model": {"depth": 3, "bias": None}, "flag": True,
                "clip": float("inf")}
with rd.init(project="digits", config=given_config, **given) as run:
    run.define_metric("val/*", step_metric="epoch", summary="min")
    for step, loss in enumerate([3.0, 1.0, 2.0]):
        run.log({"val/loss": loss, "epoch": 10.0 * step}, step=step)
    run.config["model"]["depth"] = 4
    run.update_config({"lr": 0.1})
    run.summary["best/epoch"] = 1
    run.alert("loss is low", "at step 1", "warn")
    run.mark_preempting("SIGUSR1")
    print(run.run_id)
"""

STOPS = """
run = rd.init(project="digits")
print(run.run_id, flush=True)
sys.stdin.readline()
import threading
pause, looks = threading.Event(), 0
while not run.should_stop:
    run.log({"looks": looks})
    looks += 1
    pause.wait(0.01)
run.finish(20, status="aborted", reason="asked to stop")
"""


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_what_a_run_says_is_on_the_server(server: ServerProgram, spool_dir: Path, mode: str) -> None:
    """Config, summary, definitions and alerts arrive, at once or by `rundial sync`, types and all."""
    done = run_script(SAYS, mode=mode, spool_directory=str(spool_dir))
    assert done.status == 0, done.stderr
    if mode == "offline":
        synced = rundial("sync", str(spool_dir))
        assert synced.status == 0, synced.stderr
    run_id = done.stdout.strip()

    with Client(server.url, api_key=server.key) as client:
        found: dict[str, Any] = stored.read(client, "digits", run_id).details
    assert found["config"] == {
        "seed": 2**62,
        "layers": [1, [2, 3]],
        "data": "/data",
        "mode": "Mode.FAST",
        "model": {"depth": 4, "bias": None},
        "flag": True,
        "clip": "Infinity",
        "lr": 0.1,
    }
    assert found["summary"] == {"val/loss": 1.0, "epoch": 20.0, "best/epoch": 1}
    assert [(each["title"], each["level"]) for each in found["alerts"]] == [("loss is low", "warn")]
    assert found["preempting"]["reason"] == "SIGUSR1"
    assert found["ledger"]["complete"]


def test_run_stop_ends_the_loop_of_a_running_program(server: ServerProgram) -> None:
    """`rundial run stop` reaches a program that looks, and its run ends as the program says."""
    program = start_script(STOPS)
    assert program.stdout is not None
    assert program.stdin is not None
    run_id = program.stdout.readline().strip()
    asked = rundial("run", "stop", run_id, "--project", "digits", "--reason", "enough")
    program.stdin.write("go\n")
    program.stdin.flush()
    done = end_of(program)

    assert asked.status == 0, asked.stderr
    assert asked.stdout == f"asked {run_id} to stop; its program decides when\n"
    assert done.status == 0, done.stderr
    shown = rundial("run", "status", run_id, "--project", "digits", "--json").found["run"]
    assert (shown["status"], shown["reason"]) == ("aborted", "asked to stop")
    late = rundial("run", "stop", run_id, "--project", "digits")
    assert late.status == 1
    assert "has ended already" in late.stderr
