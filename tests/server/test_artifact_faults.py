"""Artifacts while the server dies, its disk fills and clients break off: nothing is half-kept."""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from urllib3.exceptions import HTTPError

from rundial.server.blobs.store import PART_BYTES
from tests.support.artifacts import AT, Artifacts
from tests.support.mounts import mounted
from tests.support.program import ServerProgram
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120)]


@pytest.fixture
def artifacts(server: ServerProgram) -> Iterator[Artifacts]:
    """The artifacts of a server that is a process of its own."""
    found = Artifacts(server.url, server.key)
    yield found
    found.close()


def staged(data: Path) -> list[str]:
    """What is left of uploads below a data directory, as paths."""
    place = data / "blobs" / "staging"
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())


def torn(data: Path) -> list[str]:
    """Temporary files of PUTs."""
    return [path for path in staged(data) if path.rpartition("/")[2].startswith(".")]


class HalfPut:
    """A PUT that has sent its head and a part of its body, and waits."""

    def __init__(self, url: str, data: bytes, sent_bytes: int) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._rest = data[sent_bytes:]
        self._socket = socket.create_connection((parts.hostname, parts.port or 80), timeout=30)
        head = f"PUT {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-length: {len(data)}\r\n\r\n"
        self._socket.sendall(head.encode() + data[:sent_bytes])

    def finish(self) -> int:
        """Send the rest and return the answer's status."""
        with closing(self._socket):
            with suppress(BrokenPipeError, ConnectionResetError):
                self._socket.sendall(self._rest)
            return int(self._socket.recv(65_536).split()[1])

    def break_off(self) -> None:
        """Hang up."""
        self._socket.close()


def test_a_server_killed_in_a_multipart_upload_has_the_parts_that_it_answered_for(
    server: ServerProgram, artifacts: Artifacts
) -> None:
    """A client goes on where it was: no part is sent twice that the server has, and none is believed half."""
    data = os.urandom(2 * PART_BYTES + 1_000)
    begun = artifacts.initiate("big", {"big.bin": data}).json
    parts = begun["files"][0]["parts"]
    artifacts.send_part(parts[0], data)
    half = HalfPut(parts[1]["url"], data[PART_BYTES : 2 * PART_BYTES], 20 * 2**20)
    wait_until(lambda: (staged_bytes(server.data)) > PART_BYTES, 20)
    server.kill()
    half.break_off()
    server.start()

    (resumed,) = artifacts.renew(begun).json["files"]
    artifacts.send_all({"files": [resumed]}, {"big.bin": data})
    done = artifacts.finalize(begun)

    assert [each["partNumber"] for each in resumed["have"]] == [1]
    assert [each["partNumber"] for each in resumed["parts"]] == [2, 3]
    assert done.status == 200
    assert artifacts.content(done.json["artifact"]["artifactId"], "big.bin") == data
    assert staged(server.data) == []


def staged_bytes(data: Path) -> int:
    """How far the files of unfinished uploads reach."""
    return sum((data / "blobs" / "staging" / path).stat().st_size for path in staged(data))


def test_a_server_killed_in_a_put_leaves_nothing_of_it(server: ServerProgram, artifacts: Artifacts) -> None:
    """The temporary file is gone after the next start; the upload goes on."""
    data = os.urandom(16 * 2**20)
    begun = artifacts.initiate("data", {"a": data}).json
    half = HalfPut(begun["files"][0]["url"], data, 10 * 2**20)
    wait_until(lambda: bool(torn(server.data)) and staged_bytes(server.data) > 2**20, 20)
    server.kill()
    half.break_off()
    left = torn(server.data)
    server.start()

    after = torn(server.data)
    artifacts.send_all(artifacts.renew(begun).json, {"a": data})

    assert (len(left), after) == (1, [])
    assert artifacts.finalize(begun).status == 200


def test_a_client_that_breaks_off_leaves_nothing(server: ServerProgram, artifacts: Artifacts) -> None:
    """A connection that is reset in the middle of a PUT costs that PUT."""
    data = os.urandom(8 * 2**20)
    begun = artifacts.initiate("data", {"a": data}).json
    half = HalfPut(begun["files"][0]["url"], data, 4 * 2**20)
    wait_until(lambda: bool(torn(server.data)), 20)
    half.break_off()
    wait_until(lambda: not torn(server.data), 20)

    missing = artifacts.renew(begun).json["files"]
    artifacts.send_all({"files": missing}, {"a": data})

    assert [each["path"] for each in missing] == ["a"]
    assert artifacts.finalize(begun).status == 200


def test_what_is_still_being_written_is_not_judged(server: ServerProgram, artifacts: Artifacts) -> None:
    """A part that is being sent again can never change what was found right."""
    data = os.urandom(PART_BYTES + 1_000)
    begun = artifacts.initiate("big", {"big.bin": data}).json
    artifacts.send_all(begun, {"big.bin": data})
    wrong = bytes(PART_BYTES)
    half = HalfPut(begun["files"][0]["parts"][0]["url"], wrong, 2**20)
    wait_until(lambda: begins_with(server.data, wrong[:1024]), 20)

    early = artifacts.finalize(begun)
    half.finish()
    refused = artifacts.finalize(begun)
    artifacts.send_all(artifacts.renew(begun).json, {"big.bin": data})
    done = artifacts.finalize(begun)

    assert early.error["details"]["files"] == [{"path": "big.bin", "reason": "missing"}]
    assert refused.error["details"]["files"] == [{"path": "big.bin", "reason": "sha256"}]
    assert artifacts.content(done.json["artifact"]["artifactId"], "big.bin") == data


def begins_with(data: Path, content: bytes) -> bool:
    """Whether the one file that arrives in parts begins so."""
    (path,) = (data / "blobs" / "staging").rglob("*.data")
    with path.open("rb") as file:
        return file.read(len(content)) == content


@pytest.mark.parametrize("seed", range(5))
def test_a_server_killed_in_finalize_publishes_once_and_whole(
    server: ServerProgram, artifacts: Artifacts, seed: int
) -> None:
    """Asked again, it goes on with what it had judged: one version, every byte right, nothing left over."""
    files = {f"f{number}": os.urandom(2_000) for number in range(400)} | {"big": os.urandom(PART_BYTES + 7)}
    begun = artifacts.initiate("data", files).json
    artifacts.send_all(begun, files)

    def finalize() -> None:
        with suppress(HTTPError):
            artifacts.finalize(begun)

    asking = threading.Thread(target=finalize)
    asking.start()
    threading.Event().wait(random.Random(seed).uniform(0.0, 0.4))
    server.kill()
    asking.join(30)
    server.start()
    done = artifacts.finalize(begun)
    again = artifacts.finalize(begun)

    assert done.status == 200, done.body
    assert again.json == done.json
    artifact_id = done.json["artifact"]["artifactId"]
    found = artifacts.post(f"{AT}/artifacts/{artifact_id}/verify", {}).json
    assert (found["intact"], found["checked"]["blobs"]) == (True, len(files))
    assert [each["version"] for each in artifacts.listed()] == [0]
    artifacts.gc()
    kept = [path for path in (server.data / "blobs").rglob("*") if path.is_file()]
    assert len(kept) == len(files)


def test_a_full_disk_at_the_server_is_said_and_nothing_is_half_kept(tmp_path: Path) -> None:
    """507 with advice, before and in the middle of a body; what was there stays, and space brings it back."""
    with (
        mounted(tmp_path / "disk", "tmpfs", "size=128m") as disk,
        ServerProgram(disk / "data") as server,
        closing(Artifacts(server.url, server.key)) as artifacts,
    ):
        kept = artifacts.log("kept", {"a": b"stays"})["artifact"]
        too_large = artifacts.initiate("huge", {"a": bytes(127 * 2**20)})
        data = os.urandom(24 * 2**20)
        begun = artifacts.initiate("data", {"a": data}).json
        small = artifacts.initiate("small", {"s": b"1"}).json
        half = HalfPut(begun["files"][0]["url"], data, 8 * 2**20)
        wait_until(lambda: bool(torn(server.data)), 20)
        fill(disk / "filler")
        in_the_middle = half.finish()
        wait_until(lambda: not torn(server.data), 20)
        before = artifacts.put(begun["files"][0]["url"], data)
        fill(disk / "more")
        os.truncate(disk / "filler", (disk / "filler").stat().st_size - 3 * 2**20)
        # What is left now is the database's alone.
        reserved = artifacts.put(small["files"][0]["url"], b"1")
        place = f"{AT}/artifacts/{kept['artifactId']}/aliases"
        written = artifacts.post(place, {"add": ["best"]})
        (disk / "filler").unlink()
        (disk / "more").unlink()
        artifacts.send_all(artifacts.renew(begun).json, {"a": data})
        done = artifacts.finalize(begun)

        assert (too_large.status, in_the_middle, before.status) == (507, 507, 507)
        assert (reserved.status, written.status) == (507, 200)
        assert int(too_large.headers["retry-after"]) > 0
        assert "rundial artifact gc" in too_large.error["details"]["hint"]
        assert before.error["code"] == "INSUFFICIENT_STORAGE"
        assert done.status == 200
        assert artifacts.content(done.json["artifact"]["artifactId"], "a") == data
        assert artifacts.content(kept["artifactId"], "a") == b"stays"


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65_536))


def test_memory_is_bounded_whatever_is_sent(server: ServerProgram, artifacts: Artifacts) -> None:
    """Eight parts at once of a file of 256 MiB, and its download, cost the server a few megabytes."""
    data = os.urandom(2**20) * 256
    artifacts.log("warm", {"a": data[: 2**20]})
    process = psutil.Process(server.pid)
    before = process.memory_info().rss
    begun = artifacts.initiate("big", {"big.bin": data}).json
    greatest = before

    def send(part: dict[str, object]) -> None:
        nonlocal greatest
        artifacts.send_part(part, data)
        greatest = max(greatest, process.memory_info().rss)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, begun["files"][0]["parts"]))
    done = artifacts.finalize(begun).json["artifact"]
    greatest = max(greatest, process.memory_info().rss)
    assert artifacts.content(done["artifactId"], "big.bin") == data
    greatest = max(greatest, process.memory_info().rss)

    assert greatest - before < 64 * 2**20
