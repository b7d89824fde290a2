"""Artifacts and media of the published client 1.0.0rc1, unchanged, in real processes against this server."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.artifacts import AT, Artifacts
from tests.support.program import ServerProgram
from tests.support.published import PublishedClient

# The first of them installs it.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

LARGE_BYTES = 40 * 2**20

TRAINING = """
    import pathlib
    run = rd.init(
        project="digits", workspace="default-workspace", endpoint=given["url"], api_key=given["key"],
        name="first", spool_directory=given["spool"], system_metrics=False, request_timeout_seconds=60,
    )
    run_id = run.run_id
    place = pathlib.Path(given["place"])
    assert run.log_artifact(place / "data", name="data", metadata={"rows": 3}, aliases=["raw"])
    assert run.log_artifact(place / "large.bin")
    for step in range(7):
        (place / f"model-{step}.pt").write_bytes(b"weights %d" % step)
        assert run.checkpoint(place / f"model-{step}.pt", step=step, keep_last=3)
        assert run.flush(60)  # it uploads two at a time, in whatever order
    pixels = bytes(range(48))
    class Array:
        shape, dtype = (4, 4, 3), "uint8"
        def tobytes(self): return pixels
    assert run.log({"samples": rd.Image(Array(), caption="a cat")}, step=5)
    assert run.log({"rows": rd.Table(columns=["a", "b"], rows=[[1, "x"]])}, step=6)
    assert run.flush(60)
    assert run.finish(60)
    print(json.dumps({"run_id": run_id}))
"""

USING = """
    import pathlib
    run = rd.init(
        project="digits", workspace="default-workspace", endpoint=given["url"], api_key=given["key"],
        name="second", spool_directory=given["spool"], system_metrics=False, request_timeout_seconds=60,
    )
    place = pathlib.Path(given["place"])
    run.use_artifact("data:raw").download(place / "got")
    run.use_artifact("large.bin").download(place / "got")
    used = run.use_artifact("checkpoint:latest")
    used.download(place / "got")
    assert run.finish(60)
    print(json.dumps({"run_id": run.run_id, "version": used.artifact["version"]}))
"""


def files_below(place: Path) -> dict[str, str]:
    """The sha256 of every file of a directory, by path."""
    return {
        path.relative_to(place).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in place.rglob("*")
        if path.is_file()
    }


def make_files(place: Path) -> dict[str, str]:
    """A data set of small files, and a file that goes in parts."""
    (place / "data" / "sub").mkdir(parents=True)
    (place / "data" / "train.csv").write_text("1,2\n")
    (place / "data" / "sub" / "ключ ✓.bin").write_bytes(os.urandom(100_000))
    (place / "data" / "empty").write_bytes(b"")
    (place / "large.bin").write_bytes(os.urandom(LARGE_BYTES))
    expected = files_below(place / "data")
    expected["large.bin"] = files_below(place)["large.bin"]
    return expected


def test_what_the_published_client_uploads_it_gets_back(
    published: PublishedClient, server: ServerProgram, tmp_path: Path
) -> None:
    """Directories, a multipart file, checkpoints with retention, images and tables, lineage."""
    place = tmp_path / "files"
    expected = make_files(place)

    first = published.script(TRAINING, place=str(place))
    second = published.script(USING, place=str(place))

    assert second["version"] == 6
    got = files_below(place / "got")
    assert got.pop("model-6.pt") == hashlib.sha256(b"weights 6").hexdigest()
    assert got == expected
    artifacts = Artifacts(server.url, server.key)
    checkpoints = artifacts.listed(name="checkpoint")
    assert [each["version"] for each in checkpoints] == [6, 5, 4]
    assert [each["aliases"] for each in checkpoints] == [["latest"], [], []]
    assert artifacts.listed(name="data")[0]["aliases"] == ["latest", "raw"]
    check_media(artifacts, first["run_id"])
    found = artifacts.get(f"{AT}/lineage?runId={second['run_id']}&depth=1").json
    assert {each["kind"] for each in found["edges"]} == {"used"}
    assert len(found["edges"]) == 3
    artifacts.close()


def check_media(artifacts: Artifacts, run_id: str) -> None:
    """The image and the table of the run are shown with their bytes."""
    rows: dict[str, Any] = {
        row["mediaKey"]: row for row in artifacts.get(f"{AT}/runs/{run_id}/media").json["media"]
    }
    assert set(rows) == {"samples", "rows"}
    image, table = rows["samples"], rows["rows"]
    assert (image["step"], image["width"], image["height"], image["caption"]) == (5, 4, 4, "a cat")
    assert artifacts.fetch(image["url"]).body.startswith(b"\x89PNG")
    assert (table["rows"], table["columns"]) == (1, 2)
    assert artifacts.fetch(table["url"]).json == {"columns": ["a", "b"], "rows": [[1, "x"]]}
