"""`rd.Client` and `rundial artifact` over artifacts of a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rundial.api.client import Client
from rundial.cli.main import main
from rundial.errors import RundialRequestError
from tests.support.artifacts import AT as PATH
from tests.support.artifacts import Artifacts
from tests.support.server import LocalServer

AT = {"workspace_slug": "default-workspace", "project_slug": "digits"}


@pytest.fixture
def client(local: LocalServer) -> Iterator[Client]:
    """A client with the owner's key."""
    with Client(local.url, api_key=local.key) as made:
        yield made


@pytest.fixture
def command(local: LocalServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `rundial artifact …` in this process; returns its exit status and what it printed."""
    monkeypatch.setenv("RUNDIAL_ENDPOINT", local.url)
    monkeypatch.setenv("RUNDIAL_API_KEY", local.key)

    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        status = main.main(["artifact", *arguments], standalone_mode=False)
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


def make_some(artifacts: Artifacts) -> None:
    """Two versions of a data set whose name has a slash, and a model that came from the first."""
    artifacts.log("org/data", {"a.csv": b"1,2\n", "b.csv": b"3,4\n"}, run="prepare", artifactType="dataset")
    artifacts.use("org/data:v0", run="train")
    artifacts.log("model", {"m.bin": b"x" * 2048}, run="train", aliases=["best"], metadata={"acc": 0.9})
    artifacts.log("org/data", {"a.csv": b"5,6\n"}, run="prepare")


def test_a_client_lists_and_shows(client: Client, artifacts: Artifacts) -> None:
    """What is there is there for programs, with slashes in names, page by page."""
    make_some(artifacts)

    page = client.list_artifacts(**AT, limit=2)
    every = [f"{each['name']}:{each['versionName']}" for each in client.iter_artifacts(**AT, page_size=1)]
    shown = client.artifact(**AT, artifact_ref="org/data:v0")
    some = client.artifact(**AT, artifact_ref="org/data:v0", max_files=1)

    assert ([file["path"] for file in some["files"]], some["fileCount"]) == (["a.csv"], 2)
    assert len(page["artifacts"]) == 2
    assert page["page"]["hasMore"] is True
    assert every == ["org/data:v1", "model:v0", "org/data:v0"]
    assert [file["path"] for file in shown["files"]] == ["a.csv", "b.csv"]
    assert [each["name"] for each in client.list_artifacts(**AT, run_id="train")["artifacts"]] == ["model"]
    assert [each["version"] for each in client.list_artifacts(**AT, type="dataset")["artifacts"]] == [0]


def test_a_client_follows_lineage(client: Client, artifacts: Artifacts) -> None:
    """The way from a model back to its data is one call."""
    make_some(artifacts)

    found = client.lineage(**AT, artifact_ref="model:best")

    said = {node["id"]: node.get("name") for node in found["nodes"]}
    assert {(said[edge["from"]], said[edge["to"]], edge["kind"]) for edge in found["edges"]} == {
        ("prepare", "org/data", "made"),
        ("org/data", "train", "used"),
        ("train", "model", "made"),
    }


def test_a_client_changes_aliases_and_deletes(client: Client, artifacts: Artifacts) -> None:
    """An alias protects, and is taken away with the call that gave it."""
    make_some(artifacts)
    kept = client.update_artifact_aliases(**AT, artifact_ref="org/data:v0", add=["gold"])
    with pytest.raises(RundialRequestError) as refused:
        client.delete_artifact(**AT, artifact_ref="org/data:gold")
    left = client.update_artifact_aliases(**AT, artifact_ref="org/data:gold", remove=["gold"])
    client.delete_artifact(**AT, artifact_ref="org/data:v0")
    freed = client.collect_artifacts(**AT)

    assert (kept, left, refused.value.status_code) == (["gold"], [], 409)
    assert freed["blobsDeleted"] == 2
    with pytest.raises(RundialRequestError, match="was deleted"):
        client.artifact(**AT, artifact_ref="org/data:v0")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "a:b"}, "':'"),
        ({"aliases": ["v3"]}, "'v3' is a version"),
        ({"metadata": {"x": "y" * 40_000}}, "metadata is over"),
        ({"retention_policy": {"strategy": "keep_last", "keep": 3}}, "keepLast"),
        ({"path_or_dir": "gone"}, "cannot be read"),
    ],
)
def test_put_refuses_what_logging_does(
    client: Client, artifacts: Artifacts, tmp_path: Path, arguments: dict[str, Any], words: str
) -> None:
    """What is wrong is told before a byte is sent, whichever way an artifact goes."""
    (tmp_path / "a").write_text("x")
    given = {"path_or_dir": tmp_path / "a", **arguments}
    with pytest.raises(ValueError, match=words):
        client.put_artifact(project_id=artifacts.project_id, **given)

    assert client.list_artifacts(**AT)["artifacts"] == []


def test_put_says_of_an_artifact_what_logging_does(
    client: Client, artifacts: Artifacts, tmp_path: Path
) -> None:
    """Numbers that JSON has no words for are kept by their names, and a policy is the server's."""
    (tmp_path / "a").write_text("x")
    found = client.put_artifact(
        project_id=artifacts.project_id,
        path_or_dir=tmp_path / "a",
        metadata={"loss": float("nan")},
        retention_policy={"strategy": "keep_last", "keepLast": 2},
    )

    shown = client.artifact(**AT, artifact_ref=str(found["artifactId"]))
    assert (shown["kind"], shown["metadata"]) == ("artifact", {"loss": "nan"})
    assert shown["retentionPolicy"]["keepLast"] == 2


def test_ls_prints_a_table(command: Any, artifacts: Artifacts) -> None:
    """A person sees what there is, how large, and whose."""
    nothing = command("ls")
    make_some(artifacts)
    status, said = command("ls", "--name", "model")

    assert nothing == (0, "no artifacts in default-workspace/digits; upload one: rundial artifact put PATH\n")
    header, row = said.splitlines()
    assert header.split() == ["ARTIFACT", "TYPE", "ALIASES", "SIZE", "FILES", "CREATED", "RUN"]
    assert status == 0
    assert row.split("  ")[0] == "model:v0"
    assert "best, latest" in row
    assert "2.0 KiB" in row
    assert row.endswith("train")


def test_show_prints_files_and_lineage(command: Any, artifacts: Artifacts) -> None:
    """One command answers what a model is and what it came from."""
    make_some(artifacts)

    status, said = command("show", "model:best", "--lineage")

    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert status == 0
    assert "artifact model:v0" in lines
    assert "acc 0.9" in lines
    assert any(line.startswith("m.bin 2.0 KiB") for line in lines)
    assert "org/data:v0 used by run train" in lines
    assert "run train made model:v0" in lines


def test_use_notes_and_show_prints_json(command: Any, artifacts: Artifacts) -> None:
    """A shell script takes part in the lineage too."""
    make_some(artifacts)

    noted = command("use", "model", "--run", "evaluate")
    status, said = command("show", "model", "--lineage", "--json")

    assert noted == (0, "noted: evaluate uses model:v0\n")
    found = json.loads(said)
    edges = found["artifact"]["lineage"]["edges"]
    assert (status, found["ok"]) == (0, True)
    assert {"from": found["artifact"]["artifactId"], "to": "evaluate", "kind": "used"} in edges


def test_rm_and_gc_free_what_was_deleted(command: Any, artifacts: Artifacts) -> None:
    """An alias protects without --force; the sizes are said."""
    make_some(artifacts)

    refused = command("rm", "model")
    forced = command("rm", "model", "org/data:v0", "--force")
    dry = command("gc", "--dry-run")
    done = command("gc")

    assert refused[0] == 1
    assert "best" in refused[1]
    assert forced == (0, "deleted model:v0\ndeleted org/data:v0\n")
    assert dry == (0, "would free 2.0 KiB in 3 files\n")
    assert done == (0, "freed 2.0 KiB in 3 files\nexpired: 0 versions, 0 uploads\n")


def test_verify_names_what_is_damaged(command: Any, local: LocalServer, artifacts: Artifacts) -> None:
    """A flipped bit on the server's disk is found, and the exit status tells scripts."""
    make_some(artifacts)
    before = command("verify", "--all")
    (path,) = [
        each for each in (local.data / "blobs").rglob("*") if each.is_file() and each.stat().st_size == 2048
    ]
    Path(path).write_bytes(b"y" + b"x" * 2047)
    after = command("verify", "model")
    unclear = command("verify")

    assert before == (0, "org/data:v1: intact\nmodel:v0: intact\norg/data:v0: intact\n")
    assert after == (1, "model:v0: damaged\n  m.bin: sha256\n")
    assert unclear[0] == 1
    assert "--all" in unclear[1]


def test_put_and_get_carry_a_directory_there_and_back(
    command: Any, artifacts: Artifacts, tmp_path: Path
) -> None:
    """Names in any alphabet, empty files and a file in parts come back as they went."""
    source = tmp_path / "model dir"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "ключ ✓.bin").write_bytes(b"x" * 5000)
    (source / "empty").write_bytes(b"")
    (source / "large.bin").write_bytes(bytes(range(256)) * (2**18 // 256) * 136)

    put = command("put", str(source), "--name", "org/model", "--alias", "best", "--metadata", '{"acc": 1}')
    again = command("put", str(source), "--name", "org/model", "--json")
    got = command("get", "org/model:best", "--to", str(tmp_path / "back"), "--run", "evaluate")

    assert put == (0, "org/model:v0 (best, latest)\n")
    assert (again[0], json.loads(again[1])["artifact"]["version"]) == (0, 0)
    assert got[0] == 0
    assert got[1].startswith("org/model:v0: 3 files, 34.0 MiB, in ")
    for path in source.rglob("*"):
        if path.is_file():
            assert (tmp_path / "back" / path.relative_to(source)).read_bytes() == path.read_bytes()
    found = artifacts.get(f"{PATH}/lineage?runId=evaluate").json
    assert [edge["kind"] for edge in found["edges"]] == ["used"]


def test_put_says_what_is_wrong(command: Any, local: LocalServer, tmp_path: Path) -> None:
    """Nothing there, no JSON, a name that cannot be: one line and a next step, exit status 1."""
    (tmp_path / "file").write_text("x")

    missing = command("put", str(tmp_path / "nothing"))
    garbled = command("put", str(tmp_path / "file"), "--metadata", "{", "--project", "digits")
    refused = command("put", str(tmp_path / "file"), "--name", "a:b", "--project", "digits")

    assert [each[0] for each in (missing, garbled, refused)] == [1, 1, 1]
    assert "no JSON" in garbled[1]
    assert "a:b" in refused[1]
