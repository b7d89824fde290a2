"""`rundial import`: what other trackers have left becomes runs, once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support import eventfiles, wandbpeer
from tests.support.program import ServerProgram
from tests.support.shell import rundial

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

WORKSPACE = "/api/v1/workspaces/default-workspace/projects"
SCRIPT = """
import numpy as np
import wandb

facts = {"project": "offline-one", "name": "named", "tags": ["a"], "notes": "why"}
run = wandb.init(config={"lr": 0.1, "m": {"depth": 3}}, **facts)
run.define_metric("val/*", step_metric="epoch", summary="min")
for epoch in range(3):
    run.log({"epoch": epoch, "val/loss": 1 / (epoch + 1), "n": {"x": epoch}})
picture = wandb.Image(np.zeros((4, 4, 3), dtype=np.uint8))
run.log({"image": picture, "note": "words", "h": wandb.Histogram([1, 2, 3])}, step=10)
run.summary["best"] = 2
with open(run.dir + "/extra.txt", "w") as file:
    file.write("kept")
print("a line of output")
run.finish()
"""


def _import(server: ServerProgram, *args: str) -> dict[str, Any]:
    done = rundial(
        "import", *args, "--json", timeout_s=60, RUNDIAL_ENDPOINT=server.url, RUNDIAL_API_KEY=server.key
    )
    assert done.status == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _points(server: ServerProgram, project: str, run_id: str, place: Path) -> dict[tuple[str, int], float]:
    place.unlink(missing_ok=True)
    where = ("--workspace", "default-workspace", "--project", project, "--out", str(place), "--all-columns")
    done = rundial(
        *("metrics", "export", run_id, *where, "--start-ms", "0", "--end-ms", str(2**41)),
        timeout_s=60,
        RUNDIAL_ENDPOINT=server.url,
        RUNDIAL_API_KEY=server.key,
    )
    assert done.status == 0, done.stderr
    rows = json.loads(place.read_text(encoding="utf-8"))["rows"]
    return {(row["metricKey"], row["step"]): row["value"] for row in rows}


@pytest.mark.timeout(400)
def test_offline_run_of_wandb_is_imported_once_and_whole(
    server: ServerProgram, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Keys, steps, values, times, config, files and media; a second import changes nothing."""
    python = wandbpeer.interpreter(Path(str(request.config.rootpath)) / ".pytest_cache" / "peers")
    _, theirs = wandbpeer.run_theirs(python, SCRIPT, tmp_path / "work")
    (report,) = _import(server, "wandb", str(tmp_path / "work"))["runs"]

    assert report["state"] == "imported"
    assert report["runId"] == theirs.run_id
    assert report["leftOut"] == {}
    assert report["media"] == 2
    assert report["files"] == 1
    run = server.get(f"{WORKSPACE}/offline-one/runs/{theirs.run_id}")
    assert (run["runName"], run["status"]) == ("named", "completed")
    assert run["startedAtMs"] == theirs.started_unix_ns // 1_000_000
    stored = _points(server, "offline-one", theirs.run_id, tmp_path / "points.json")
    wanted = {
        (".".join(path), row.step): value
        for row in theirs.rows
        for path, value in row.values.items()
        if isinstance(value, (int, float))
    }
    assert {at: value for at, value in stored.items() if not at[0].startswith("system/")} == wanted
    (again,) = _import(server, "wandb", str(tmp_path / "work"))["runs"]
    assert (again["state"], again["points"]) == ("present", 0)
    assert server.get(f"{WORKSPACE}/offline-one/runs/{theirs.run_id}")["counts"] == run["counts"]


def test_event_files_of_tensorboard_are_imported_once(server: ServerProgram, tmp_path: Path) -> None:
    """A directory is a run in the project that is named."""
    events = [
        eventfiles.event(1_700_000_000.0 + step, step, eventfiles.scalar("loss", step)) for step in range(3)
    ]
    eventfiles.write(tmp_path / "logs" / "one", *events)
    path = eventfiles.write(tmp_path / "logs" / "two", *events)
    shutil.copy(path, path.with_name("torn.tfevents"))
    path.with_name("torn.tfevents").write_bytes(path.read_bytes()[:-5])
    found = _import(server, "tensorboard", str(tmp_path / "logs"), "--project", "boards")["runs"]

    assert [(run["name"], run["points"], run["state"]) for run in found] == [
        ("one", 3, "imported"),
        ("two", 5, "imported"),
    ]
    assert found[1]["leftOut"] == {"the torn end of a file": 1}
    again = _import(server, "tensorboard", str(tmp_path / "logs"), "--project", "boards")["runs"]
    assert [run["state"] for run in again] == ["present", "present"]
    run = server.get(f"{WORKSPACE}/boards/runs/{found[0]['runId']}")
    assert run["startedAtMs"] == 1_700_000_000_000
    assert run["finishedAtMs"] == 1_700_000_002_000
    assert run["counts"]["points"] == 3


def test_csv_file_is_imported_and_its_report_is_for_people(server: ServerProgram, tmp_path: Path) -> None:
    """The report says what was not carried over."""
    path = tmp_path / "curve.csv"
    path.write_text("step,loss\n0,1.5\n1,nan\n2,0.5\n")
    environment = {"RUNDIAL_ENDPOINT": server.url, "RUNDIAL_API_KEY": server.key}
    done = rundial("import", "csv", str(path), "--project", "tables", timeout_s=60, **environment)

    assert done.status == 0, done.stderr
    assert "imported: 2 points" in done.stdout
    assert "not carried over: values that are not finite (1)" in done.stdout
    again = rundial("import", "csv", str(path), "--project", "tables", timeout_s=60, **environment)
    assert "is there already; nothing was changed" in again.stdout


def test_path_without_anything_to_import_is_told(server: ServerProgram, tmp_path: Path) -> None:
    """One line and a next step."""
    environment = {"RUNDIAL_ENDPOINT": server.url, "RUNDIAL_API_KEY": server.key}
    for kind in ("wandb", "tensorboard", "mlflow"):
        done = rundial("import", kind, str(tmp_path), timeout_s=60, **environment)
        assert done.status == 1
        assert len(done.stderr.splitlines()) == 2, done.stderr
