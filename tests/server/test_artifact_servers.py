"""Artifacts at several server processes at once, at much data, and by the periodic sweep."""

from __future__ import annotations

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from rundial.server.blobs.opening import BlobOptions
from tests.support.artifacts import AT, Artifacts, sha256
from tests.support.clock import ManualClock
from tests.support.postgres import Postgres
from tests.support.program import ServerProgram
from tests.support.server import LocalServer
from tests.support.waiting import wait_until


@pytest.mark.fault
@pytest.mark.timeout(120)
def test_two_servers_that_finalize_one_name_make_every_version_once(
    tmp_path: Path, postgres: Postgres
) -> None:
    """Neither a gap nor a clash between processes; bytes come by one and are judged by the other."""
    options = ("--database", postgres.database())
    with ExitStack() as stack:
        servers = [stack.enter_context(ServerProgram(tmp_path / "data", options=options)) for _ in range(2)]
        clients = [Artifacts(server.url, server.key) for server in servers]
        begun = []
        for number in range(12):
            files = {"a": b"%d" % number, "same": b"shared"}
            begun.append(clients[number % 2].initiate("data", files, run=f"run-{number}").json)
            clients[number % 2].send_all(begun[-1], files)

        def finalize(number: int) -> int:
            return int(clients[1 - number % 2].finalize(begun[number]).json["artifact"]["version"])

        with ThreadPoolExecutor(6) as pool:
            numbers = list(pool.map(finalize, range(12)))
        listed = clients[0].listed(name="data")
        verified = [
            clients[1].post(f"{AT}/artifacts/{each['artifactId']}/verify", {}).json["intact"]
            for each in listed
        ]
        for client in clients:
            client.gc()
            client.close()
        kept = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]

    assert sorted(numbers) == list(range(12))
    assert [each["version"] for each in listed if "latest" in each["aliases"]] == [11]
    assert all(verified)
    assert len(kept) == 13


def test_judging_that_takes_long_goes_on_by_itself(tmp_path: Path, clock: ManualClock) -> None:
    """A client that is told to come again finds the work done."""
    options = BlobOptions(patience_s=0.0)
    with LocalServer(tmp_path / "data", clock, blob_options=options) as server:
        artifacts = Artifacts(server.url, server.key)
        files = {f"f{number}": b"%d" % number for number in range(50)}
        begun = artifacts.initiate("data", files).json
        artifacts.send_all(begun, files)
        first = artifacts.finalize(begun)
        wait_until(lambda: artifacts.finalize(begun).status == 200, 15)
        artifacts.close()

    assert first.status == 503
    assert int(first.headers["retry-after"]) > 0
    assert "goes on by itself" in first.error["details"]["hint"]


def test_the_server_sweeps_by_itself(tmp_path: Path, clock: ManualClock) -> None:
    """Nobody has to call for a collection: deleted bytes and dead uploads go every few minutes."""
    options = BlobOptions(sweep_every_s=0.05)
    with LocalServer(tmp_path / "data", clock, blob_options=options) as server:
        artifacts = Artifacts(server.url, server.key)
        logged = artifacts.log("data", {"a": b"1"})["artifact"]
        dead = artifacts.initiate("dead", {"a": b"2", "b": b"3"}).json
        artifacts.send_all({"files": dead["files"][:1]}, {"a": b"2"})
        artifacts.send("DELETE", f"{AT}/artifacts/{logged['artifactId']}")
        clock.advance(8 * 86_400)

        def kept() -> int:
            return sum(path.is_file() for path in (server.data / "blobs").rglob("*"))

        wait_until(lambda: kept() == 0, 15)
        assert artifacts.finalize(dead).status == 410
        artifacts.close()


@pytest.mark.timeout(90)
def test_a_manifest_of_many_files_is_taken_compressed(tmp_path: Path, clock: ManualClock) -> None:
    """A hundred thousand small files are one request, and the first page of URLs its answer."""
    count = 100_000
    digest = sha256(b"")
    files = [
        {"path": f"folder-{number % 100}/file-{number}.bin", "sizeBytes": 0, "sha256": digest}
        for number in range(count)
    ]
    with LocalServer(tmp_path / "data", clock) as server:
        artifacts = Artifacts(server.url, server.key)
        body = {"projectId": artifacts.project_id, "runId": "run", "name": "many", "files": files}
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        packed = gzip.compress(json.dumps(body).encode(), 1)
        begun = artifacts.send("POST", "/api/v1/artifacts/initiate", packed, headers).json
        artifacts.send_all(begun, {begun["files"][0]["path"]: b""})
        done = artifacts.finalize(begun).json["artifact"]
        shown = artifacts.get(f"{AT}/artifacts/{done['artifactId']}?limit=10").json
        artifacts.close()

    assert len(begun["files"]) == 1
    assert (shown["fileCount"], len(shown["files"]), shown["page"]["hasMore"]) == (count, 10, True)


def test_one_upload_that_many_threads_finalize_is_judged_once(tmp_path: Path, clock: ManualClock) -> None:
    """A client that repeats its request, and its retry, and another thread: one version, one answer."""
    with LocalServer(tmp_path / "data", clock) as server:
        artifacts = Artifacts(server.url, server.key)
        files = {f"f{number}": b"%d" % number for number in range(50)}
        begun = artifacts.initiate("data", files).json
        artifacts.send_all(begun, files)
        gate = threading.Barrier(6)

        def finalize(_: int) -> object:
            gate.wait(10)
            return artifacts.finalize(begun).json

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(finalize, range(6)))
        listed = artifacts.listed()
        artifacts.close()

    assert all(answer == answers[0] for answer in answers)
    assert [each["version"] for each in listed] == [0]
