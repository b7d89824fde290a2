"""Files, checkpoints, media and evidence of a program, from its calls to the server and back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rundial.api.client import Client
from tests.support.program import ServerProgram
from tests.support.scripts import run_script
from tests.support.shell import rundial

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

PLACE = {"workspace_slug": "default-workspace", "project_slug": "digits"}
MAKES = """
import numpy as np
with rd.init(project="digits", spool_directory=given["spool"], mode=given["mode"],
             finish_timeout_seconds=30, capture_environment=False) as run:
    run.log_artifact(given["data"], name="data", type="dataset", metadata={"rows": 3}, aliases=["best"])
    for step in range(3):
        with open("model.bin", "wb") as file:
            file.write(bytes([step]) * 1000)
        run.checkpoint("model.bin", step=step, keep_last=2)
        run.flush(30)
    run.log({"image": rd.Image(np.zeros((4, 6), np.uint8), caption="dark"), "loss": 0.5}, step=7)
    run.log({"table": rd.Table(columns=["a"], rows=[[1], [float("nan")]])}, step=7)
    run.tool_call("search", output="y" * 20_000)
    print(run.run_id)
"""
USES = """
with rd.init(project="digits", spool_directory=given["spool"]) as run:
    run.use_artifact("data:best").download(given["target"])
    run.use_artifact("checkpoint:latest").download(given["target"])
    print(run.run_id)
"""


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_files_of_a_program_come_back_as_they_were(
    server: ServerProgram, spool_dir: Path, tmp_path: Path, mode: str
) -> None:
    """Online at once, offline by `rundial sync`: every file is on the server, and comes back whole."""
    data, target = tmp_path / "data", tmp_path / "target"
    (data / "é").mkdir(parents=True)
    (data / "empty").write_bytes(b"")
    (data / "é" / "big").write_bytes(big := os.urandom(70 << 20))
    done = run_script(MAKES, spool=str(spool_dir), data=str(data), mode=mode)
    assert done.status == 0, done.stderr
    run_id = done.stdout.strip()
    if mode == "offline":
        synced = rundial("sync", str(spool_dir))
        assert synced.status == 0, synced.stderr
        assert "artifacts" in synced.stdout

    used = run_script(USES, spool=str(spool_dir), target=str(target))

    assert used.status == 0, used.stderr
    assert (target / "é" / "big").read_bytes() == big
    assert (target / "empty").read_bytes() == b""
    assert (target / "model.bin").read_bytes() == bytes([2]) * 1000
    with Client() as client:
        found = list(client.iter_artifacts(**PLACE, run_id=run_id))
        media = client.list_media(**PLACE, run_id=run_id)
    kinds = {each["name"] for each in found}
    assert {"data", "checkpoint"} <= kinds
    assert "dark" in json.dumps(media)
    assert {row["mediaKey"] for row in media["media"]} == {"image", "table"}
    assert not list(spool_dir.glob("*/*/journal"))


def test_artifact_is_put_and_fetched_by_commands(server: ServerProgram, tmp_path: Path) -> None:
    """A version that no run has made goes to the server and comes back; a wrong path is one line."""
    made = run_script('run = rd.init(project="digits"); run.finish(20)')
    assert made.status == 0, made.stderr
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.txt").write_text("hello")

    put = rundial("artifact", "put", str(data), "--name", "mine", "--alias", "good", "--project", "digits")
    got = rundial("artifact", "get", "mine:good", "--to", str(tmp_path / "out"), "--project", "digits")
    gone = rundial("artifact", "put", str(tmp_path / "gone"), "--project", "digits")

    assert (put.status, got.status, gone.status) == (0, 0, 1), put.stderr + got.stderr
    assert "mine:v0 (good, latest)" in put.stdout
    assert (tmp_path / "out" / "a.txt").read_text() == "hello"
    assert "does not exist" in gone.stderr
    assert "Traceback" not in gone.stderr


def test_artifact_is_fetched_by_a_command(server: ServerProgram, spool_dir: Path, tmp_path: Path) -> None:
    """`rundial artifact get` writes the files of a version below a directory."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.txt").write_text("hello")
    done = run_script(MAKES, spool=str(spool_dir), data=str(data), mode="online")
    assert done.status == 0, done.stderr

    got = rundial("artifact", "get", "data:best", "--to", str(tmp_path / "out"), "--project", "digits")

    assert got.status == 0, got.stderr
    assert (tmp_path / "out" / "a.txt").read_text() == "hello"
    missing = rundial("artifact", "get", "nothing", "--to", str(tmp_path / "out"), "--project", "digits")
    assert missing.status == 1
    assert "Traceback" not in missing.stderr
