"""What the published client did to files: each of its defects, and that it is none here."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import rundial as rd
from rundial.api.session import Session
from rundial.errors import ArtifactError
from tests.support.artifactserver import ArtifactServer
from tests.support.collector import Collector
from tests.support.control import control
from tests.support.filesrig import Start, account, starter
from tests.support.scripts import run_script
from tests.support.waiting import wait_until


@pytest.fixture
def files() -> Iterator[ArtifactServer]:
    """A server for files."""
    with ArtifactServer() as server:
        yield server


@pytest.fixture
def begin(files: ArtifactServer, session: Session, spool_dir: Path) -> Start:
    """Make a run at it."""
    del session
    return starter(files, spool_dir)


def _failing(status: int, *, times: int, method: str = "PUT") -> tuple[list[int], object]:
    seen = [0]

    def rule(found: str, path: str) -> tuple[int, dict[str, str]] | None:
        if found != method or not ("/blobs/" in path or "/artifacts/" in path) or seen[0] >= times:
            return None
        seen[0] += 1
        return status, {}

    return seen, rule


def test_c4_a_buffer_that_is_used_again_is_logged_as_it_was(begin: Start, files: ArtifactServer) -> None:
    """An array and a table changed right after the call arrive as they were at the call."""
    run = begin()
    pixels, row = np.zeros((4, 4), np.uint8), [1, float("nan"), np.int64(3)]
    table = rd.Table(columns=["a", "b", "c"], rows=[row])
    assert run.log({"image": rd.Image(pixels), "table": table}, step=1)
    pixels[:] = 255
    row[0] = 99
    assert run.flush(10)

    (written,) = [path for path in files.versions["media"][0].files if path.endswith("table.json")]
    found = files.paths("media")
    assert json.loads(found[written]) == {
        "columns": ["a", "b", "c"],
        "rows": [[1, None, 3]],
        "nonFinite": [[0, 1, "NaN"]],
    }
    (picture,) = [content for path, content in found.items() if path.endswith(".png")]
    from io import BytesIO

    from PIL import Image

    assert np.asarray(Image.open(BytesIO(picture))).max() == 0


def test_a4_checkpoints_from_many_threads_are_all_there(
    begin: Start, files: ArtifactServer, tmp_path: Path
) -> None:
    """The journal has one lock and one writer: 120 calls from four threads raise nothing and lose nothing."""
    run, path = begin(), tmp_path / "model.bin"
    path.write_bytes(b"weights")
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(30):
                assert run.checkpoint(path, step=step, name=f"model-{number}")
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert errors == []
    assert run.flush(15)
    assert account(run).delivered == account(run).logged == 120
    assert sum(len(files.versions[f"model-{number}"]) for number in range(4)) == 120
    sent = files.versions["model-0"][0].body
    assert sent["retentionPolicy"] == {"strategy": "keep_last", "keepLast": 5}
    assert (sent["artifactType"], sent["aliases"]) == ("checkpoint", ["latest"])


@pytest.mark.parametrize("status", [503, 500, 429])
def test_l10_a_store_that_fails_for_a_while_gets_the_file_all_the_same(
    begin: Start, files: ArtifactServer, tmp_path: Path, status: int
) -> None:
    """A 503 is tried again; until then flush says no, and the account says what waits."""
    seen, rule = _failing(status, times=2)
    files.rules.append(rule)  # type: ignore[arg-type]  # a rule
    run, path = begin(), tmp_path / "a.txt"
    path.write_text("hello")
    assert run.log_artifact(path)

    assert run.flush(15)
    assert seen[0] == 2
    assert files.paths("a.txt") == {"a.txt": b"hello"}
    assert account(run).delivered == 1


def test_l10_a_file_that_is_gone_is_said_and_counted(
    begin: Start, files: ArtifactServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is rotated away before its snapshot is lost, which log, ledger and diagnostics say."""
    run = begin(flush_interval_seconds=30)
    run.log({"x": 1.0})
    assert run.flush(10)
    path = tmp_path / "log.1"
    path.write_text("x")
    # The worker looks at it after the encoder's next pass: by then it is gone.
    assert run.log_artifact(path)
    path.unlink()

    assert run.flush(10)
    found = account(run)
    assert (found.recorded, found.delivered, found.evicted) == (1, 0, {"invalid": 1})
    assert "log.1" in run.diagnostics().artifact_failures[0]
    assert "is lost and counted invalid" in caplog.text


def test_l10_a_200_of_something_else_is_no_delivery(
    session: Session, spool_dir: Path, tmp_path: Path
) -> None:
    """A service that answers 200 to everything has taken no file: it waits, and the run says so."""
    del session
    (tmp_path / "model").write_bytes(b"weights")
    with Collector(rules=[control()]) as collector:
        where = {"endpoint": collector.url, "api_key": "rdk_test", "spool_directory": spool_dir}
        run = rd.init(project="digits", finish_timeout_seconds=0.5, **where)
        assert run.log_artifact(tmp_path / "model")
        wait_until(lambda: any("/artifacts/initiate" in each.path for each in collector.requests), 10)
        is_delivered = run.flush(0.3)
        found = account(run)
        run.finish(0.5)

    assert not is_delivered
    assert (found.delivered, found.rejected, found.waiting) == (0, 0, 1)


def test_l10_media_that_are_too_much_are_counted(begin: Start, files: ArtifactServer) -> None:
    """What finds no room in memory is refused, counted and told by the call."""
    run = begin(mode="offline")
    run._sink.made._max_bytes = 1 << 20  # type: ignore[attr-defined]  # the recorder's own store, made small
    big = np.zeros((1000, 1000), np.uint8)
    answers = [run.log({"image": rd.Image(big)}, step=step) for step in range(20)]

    found = account(run)
    assert answers.count(False) == found.dropped.get("queue_full", 0)
    assert found.logged == 20
    assert run.flush(20)
    assert account(run).waiting_spool == answers.count(True)


def test_l15_evidence_that_fails_costs_neither_span_nor_metric(begin: Start, files: ArtifactServer) -> None:
    """A store that answers 500 leaves the evidence waiting; the span and all metrics arrive."""
    _, rule = _failing(500, times=10**6)
    files.rules.append(rule)  # type: ignore[arg-type]  # a rule
    run = begin()
    for step in range(20):
        run.log({"x": step}, step=step)
    assert run.tool_call("search", output="y" * 20_000)
    assert not run.flush(1)

    ledger = run.diagnostics().ledger
    assert (ledger.points.delivered, ledger.spans.delivered) == (20, 1)
    assert account(run).waiting == 1
    files.rules.clear()
    assert run.flush(15)
    (content,) = files.paths("evidence").values()
    assert content == b"y" * 20_000


def test_p7_logging_a_file_writes_nothing_on_the_callers_thread(
    begin: Start, files: ArtifactServer, tmp_path: Path
) -> None:
    """`log_artifact`, `checkpoint` and an image's path cost one stat, and open no file."""
    run, path = begin(), tmp_path / "image.png"
    path.write_bytes(b"\x89PNG")
    run.log_artifact(path)  # what is imported once
    run.log({"image": rd.Image(path)})
    me, seen = threading.get_ident(), list[str]()

    def audit(event: str, args: object) -> None:
        watched = ("open", "os.rename", "os.mkdir", "socket.connect")
        if is_on[0] and threading.get_ident() == me and event in watched:
            seen.append(f"{event} {args!r}")

    is_on = [True]
    import sys

    sys.addaudithook(audit)
    assert run.log_artifact(path)
    assert run.checkpoint(path, step=1)
    assert run.log({"image": rd.Image(path)}, step=1)
    is_on[0] = False

    assert seen == []


def test_p8_a_slow_store_delays_no_metric(begin: Start, files: ArtifactServer) -> None:
    """Metrics of the same moment arrive while a 20 KB value of a span is stuck in the store."""
    gate = threading.Event()

    def rule(method: str, path: str) -> tuple[int, dict[str, str]] | None:
        del path
        if method == "PUT":
            gate.wait(15)
        return None

    files.rules.append(rule)
    run = begin()
    run.tool_call("search", output="y" * 20_000)
    began = time.monotonic()
    run.log({"x": 1.0}, step=1)
    while run.diagnostics().ledger.points.delivered < 1:
        assert time.monotonic() - began < 5
        gate.wait(0.01)

    assert account(run).waiting == 1
    gate.set()
    assert run.flush(15)


SPARSE = """
    import os, resource, threading
    run = rd.init(project="digits", endpoint=given["url"], api_key="k", spool_directory=given["spool"],
                  capture_environment=False, system_metrics=False, artifact_copy_bytes=0)
    with open("big.bin", "wb") as file:
        file.truncate(given["size"])
    run.log({"x": 1})
    assert run.flush(10)
    def rss():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096
    before, most, over = rss(), [0], threading.Event()
    def watch():
        while not over.wait(0.02):
            most[0] = max(most[0], rss())
    thread = threading.Thread(target=watch); thread.start()
    assert run.log_artifact("big.bin")
    assert run.flush(given["seconds"])
    over.set(); thread.join()
    print(json.dumps({"more": most[0] - before, "delivered": run.diagnostics().ledger.artifacts.delivered}))
"""


@pytest.mark.timeout(180)
def test_p9_a_file_of_4_gib_takes_little_memory(tmp_path: Path) -> None:
    """A file is hashed and sent in blocks: 4 GiB in parts of 64 MiB take less than 64 MiB of memory."""
    with ArtifactServer(part_bytes=64 << 20) as server:
        done = run_script(
            SPARSE, url=server.url, spool=str(tmp_path / "spool"), size=4 << 30, seconds=150, timeout_s=170
        )

        assert done.status == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        assert found["delivered"] == 1
        assert found["more"] < 64 << 20
        assert sum(server.puts.values()) == 64


def test_p9_finish_keeps_its_deadline_with_a_slow_store(
    begin: Start, files: ArtifactServer, tmp_path: Path
) -> None:
    """A store that hangs holds up no end; the file waits, and `diagnostics` says so."""
    gate = threading.Event()
    files.rules.append(lambda method, path: (gate.wait(10) and None) if method == "PUT" else None)
    run, path = begin(), tmp_path / "a.bin"
    path.write_bytes(os.urandom(1000))
    run.log_artifact(path)
    began = time.monotonic()
    is_done = run.finish(1)
    took = time.monotonic() - began
    gate.set()

    assert not is_done
    assert took < 2.5
    assert account(run).waiting == 1


def test_s1_download_writes_nothing_outside_its_directory(
    begin: Start, files: ArtifactServer, tmp_path: Path
) -> None:
    """Names that lead out, absolute ones, devices and links on the way are refused; nothing is written."""
    run, source = begin(), tmp_path / "a.txt"
    source.write_text("secret")
    assert run.log_artifact(source, name="a")
    assert run.flush(10)
    target = tmp_path / "target"
    for name in ("../out", "/abs", "x/../../out", "a\\b", "nul", "", ".", "a//b", "a\0b"):
        handle = run.use_artifact("a")
        handle.artifact["files"][0]["path"] = name  # type: ignore[index]  # a dictionary, as the server sent it
        with pytest.raises(ArtifactError):
            handle.download(target)
    assert not target.exists() or list(target.iterdir()) == []

    target.mkdir(exist_ok=True)
    (target / "link").symlink_to(tmp_path)
    handle = run.use_artifact("a")
    handle.artifact["files"][0]["path"] = "link/out.txt"  # type: ignore[index]  # as above
    with pytest.raises(ArtifactError, match="in the way"):
        handle.download(target)
    assert not (tmp_path / "out.txt").exists()


def test_s1_download_verifies_every_digest(begin: Start, files: ArtifactServer, tmp_path: Path) -> None:
    """Bytes that are not those that were recorded are an error, and are not written."""
    run, source = begin(), tmp_path / "a.txt"
    source.write_text("secret")
    assert run.log_artifact(source, name="a")
    assert run.flush(10)
    (sha256,) = [each["sha256"] for each in files.versions["a"][0].files.values()]
    files.blobs[sha256] = b"SECRET"

    with pytest.raises(ArtifactError, match="was recorded"):
        run.use_artifact("a").download(tmp_path / "target")
    assert not (tmp_path / "target" / "a.txt").exists()

    files.blobs[sha256] = b"secret"
    assert (run.use_artifact("a:v0").download(tmp_path / "target") / "a.txt").read_text() == "secret"


def test_downloads_over_one_cache_leave_each_other_alone(
    begin: Start, files: ArtifactServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All ranks of a machine ask for the same model at once, and each gets it whole."""
    monkeypatch.setenv("RUNDIAL_CACHE_DIR", str(tmp_path / "cache"))
    run, source = begin(), tmp_path / "model"
    source.write_bytes(content := os.urandom(2_000_000))
    assert run.log_artifact(source)
    assert run.flush(10)
    handles = [run.use_artifact("model") for _ in range(6)]
    with ThreadPoolExecutor(6) as ranks:
        places = list(
            ranks.map(lambda rank: handles[rank].download(tmp_path / f"rank{rank}"), range(len(handles)))
        )

    assert [(place / "model").read_bytes() == content for place in places] == [True] * 6
    assert len([path for _, path, _ in files.seen if "/get/" in path]) == 1


def test_numbers_beside_media_of_no_step_are_counted(begin: Start) -> None:
    """What is dropped because its step is none is counted, the numbers as the images."""
    run = begin()

    assert not run.log({"image": rd.Image(np.zeros((2, 2), np.uint8)), "loss": 1.0}, step="x")  # type: ignore[arg-type]  # what is tested

    ledger = run.diagnostics().ledger
    assert (ledger.points.dropped, ledger.artifacts.dropped) == ({"invalid": 1}, {"invalid": 1})


def test_download_goes_on_where_it_broke_off(
    begin: Start, files: ArtifactServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came before is not fetched again, nor is what the cache has; many files come together."""
    monkeypatch.setenv("RUNDIAL_CACHE_DIR", str(tmp_path / "cache"))
    run, source = begin(), tmp_path / "data"
    source.mkdir()
    for number in range(20):
        (source / f"f{number}").write_bytes(os.urandom(100))
    (source / "big").write_bytes(content := os.urandom(300_000))
    assert run.log_artifact(source)
    assert run.flush(10)
    sha256 = files.versions["data"][0].files["big"]["sha256"]
    part = tmp_path / "cache" / sha256[:2] / f"{sha256}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(content[:200_000])

    run.use_artifact("data").download(tmp_path / "one")
    assert sorted(files.ranges) == [0] * 20 + [200_000]
    run.use_artifact("data").download(tmp_path / "two")
    run.use_artifact("data").download(tmp_path / "two")

    assert len(files.ranges) == 21
    for place in ("one", "two"):
        found = {path.name: path.read_bytes() for path in (tmp_path / place).iterdir()}
        assert found == {path.name: path.read_bytes() for path in source.iterdir()}


def test_the_key_goes_to_the_api_and_to_no_store(begin: Start, files: ArtifactServer, tmp_path: Path) -> None:
    """A pre-signed URL is the right by itself: no PUT and no GET of bytes carries the key."""
    run, source = begin(), tmp_path / "a.txt"
    source.write_text("secret")
    assert run.log_artifact(source, name="a")
    assert run.flush(10)
    run.use_artifact("a").download(tmp_path / "target")

    bytes_went = [key for method, path, key in files.seen if "/blobs/" in path or "/get/" in path]
    assert bytes_went
    assert set(bytes_went) == {""}
    assert all(key for _, path, key in files.seen if "/artifacts/" in path)
