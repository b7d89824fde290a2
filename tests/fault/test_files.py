"""Files of processes that are killed, of disks that are full, of URLs that expire: what becomes of them."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import rundial as rd
from rundial.api.adopt import sync
from rundial.api.session import Session
from tests.support.artifactserver import ArtifactServer, Upload
from tests.support.filesrig import Start, account, starter
from tests.support.mounts import mounted
from tests.support.processes import own_parts
from tests.support.scripts import end_of, run_script, start_script
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120)]

PART = 1 << 20


@pytest.fixture
def files() -> Iterator[ArtifactServer]:
    """A server for files, with small parts."""
    with ArtifactServer(part_bytes=PART) as server:
        yield server


@pytest.fixture
def begin(files: ArtifactServer, spool_dir: Path) -> Iterator[Start]:
    """Make a run at it."""
    with own_parts():
        yield starter(files, spool_dir)


@pytest.fixture
def session() -> Iterator[Session]:
    """What a fresh process has."""
    with own_parts() as parts:
        yield parts


LOGS = """
    import threading
    run = rd.init(project="digits", endpoint=given["url"], api_key="k", spool_directory=given["spool"],
                  capture_environment=False, system_metrics=False, ring_bytes=1 << 20,
                  mode=given.get("mode", "online"), flush_interval_seconds=given.get("interval", 0.25))
    for path in given["paths"]:
        assert run.log_artifact(path, name=given.get("name"))
    print(run.run_id, flush=True)
    threading.Event().wait()
"""


def _first_line(script: subprocess.Popen[str]) -> str:
    assert script.stdout is not None
    return script.stdout.readline().strip()


def test_kill_in_the_middle_of_a_multipart_upload_resumes_by_parts(
    files: ArtifactServer, spool_dir: Path, tmp_path: Path
) -> None:
    """After kill -9 the next one sends what the server lacks, and no part twice that it has."""
    path = tmp_path / "model.bin"
    content = os.urandom(12 * PART + 5)
    path.write_bytes(content)
    some, gate = threading.Event(), threading.Event()
    taken = []

    def rule(method: str, where: str) -> tuple[int, dict[str, str]] | None:
        # Four parts get through; every further one hangs until the process is dead.
        if method == "PUT" and not gate.is_set():
            if len(taken) >= 4:
                some.set()
                gate.wait(60)
                return 503, {}
            taken.append(where)
        return None

    files.rules.append(rule)
    script = start_script(LOGS, url=files.url, spool=str(spool_dir), paths=[str(path)])
    assert _first_line(script)
    assert some.wait(30)
    script.send_signal(signal.SIGKILL)
    script.wait(10)
    gate.set()
    before = dict(files.puts)
    assert 0 < len(before) <= 4
    path.unlink()

    report = sync([spool_dir], timeout_s=60)

    assert [(each.why, each.delivered["artifacts"]) for each in report.results] == [("", 1)]
    assert files.paths("model.bin") == {"model.bin": content}
    assert set(files.puts.values()) == {1}, files.puts
    assert len(files.puts) == 13
    assert not list(spool_dir.glob("*/*"))
    end_of(script)


def test_next_run_delivers_the_files_that_a_killed_one_left(
    files: ArtifactServer, spool_dir: Path, tmp_path: Path
) -> None:
    """An online init on the same spool directory uploads an earlier process's files by itself."""
    path = tmp_path / "left.txt"
    path.write_text("left")
    tried = threading.Event()

    def away(method: str, where: str) -> tuple[int, dict[str, str]] | None:
        if "/artifacts/" not in where:
            return None
        tried.set()
        return 503, {}

    files.rules.append(away)
    script = start_script(LOGS, url=files.url, spool=str(spool_dir), paths=[str(path)])
    assert _first_line(script)
    assert tried.wait(30)
    script.kill()
    end_of(script)
    path.unlink()
    files.rules.clear()

    with own_parts() as parts:
        run = starter(files, spool_dir)()
        for thread in parts.parts.adopters:
            thread.join(60)
        assert run.finish(20)

    assert files.paths("left.txt") == {"left.txt": b"left"}
    assert not list(spool_dir.glob("*/*/journal"))


@pytest.mark.parametrize("interval", [0.01, 60.0])
def test_kill_right_after_the_call_loses_no_file(
    files: ArtifactServer, spool_dir: Path, tmp_path: Path, interval: float
) -> None:
    """What `log_artifact` accepted is in the ring or the journal, and delivered by whoever comes next."""
    paths = []
    for number in range(20):
        path = tmp_path / f"f{number}.txt"
        path.write_text(f"content {number}")
        paths.append(str(path))
    script = start_script(
        LOGS, url=files.url, spool=str(spool_dir), paths=paths, mode="offline", interval=interval
    )
    assert _first_line(script)
    script.kill()
    end_of(script)

    report = sync([spool_dir], endpoint=files.url, to=files.url, timeout_s=60)

    assert sum(each.delivered["artifacts"] for each in report.results) == 20
    for number in range(20):
        name = f"f{number}.txt"
        assert files.paths(name) == {name: f"content {number}".encode()}


def test_file_that_is_gone_when_the_spool_is_adopted_is_reported(
    files: ArtifactServer, spool_dir: Path, tmp_path: Path
) -> None:
    """A file that nobody had looked at, and that is gone, is lost and said; the others arrive."""
    kept, gone = tmp_path / "kept.txt", tmp_path / "gone.txt"
    kept.write_text("kept")
    gone.write_text("gone")
    paths = [str(gone), str(kept)]
    script = start_script(LOGS, url=files.url, spool=str(spool_dir), paths=paths, mode="offline", interval=60)
    assert _first_line(script)
    script.kill()
    end_of(script)
    gone.unlink()

    (result,) = sync([spool_dir], to=files.url, timeout_s=60).results

    assert result.delivered["artifacts"] == 1
    assert "gone.txt" in result.why
    assert files.paths("kept.txt") == {"kept.txt": b"kept"}


def test_generated_media_survive_once_they_are_written(
    files: ArtifactServer, session: Session, spool_dir: Path
) -> None:
    """An offline run's image is delivered by sync, with its row; a second sync delivers nothing more."""
    run = starter(files, spool_dir)(mode="offline")
    assert run.log({"image": rd.Image(np.zeros((4, 4), np.uint8), caption="dark")}, step=3)
    with run.trace("span", attrs={"prompt": "p" * 20_000}):
        pass
    assert run.finish()
    assert account(run).waiting_spool == 2

    first = sync([spool_dir], to=files.url, timeout_s=60)
    second = sync([spool_dir], to=files.url, timeout_s=60)

    assert [each.delivered["artifacts"] for each in first.results] == [2]
    assert not second.results
    (content,) = files.paths("media").values()
    assert content.startswith(b"\x89PNG")
    assert list(files.paths("evidence").values()) == [b"p" * 20_000]


def test_expired_urls_are_renewed(begin: Start, files: ArtifactServer, tmp_path: Path) -> None:
    """A 403 of the store asks for fresh URLs, and only of what is still missing."""
    path = tmp_path / "a.bin"
    path.write_bytes(os.urandom(6 * PART))
    puts = []

    def rule(method: str, where: str) -> tuple[int, dict[str, str]] | None:
        if method == "PUT":
            puts.append(where)
            if len(puts) == 3:
                files.expire()
        return None

    files.rules.append(rule)
    run = begin()
    assert run.log_artifact(path)
    assert run.flush(30)

    assert account(run).delivered == 1
    assert set(files.puts.values()) == {1}
    assert files.generation == 1


def test_two_processes_that_log_the_same_name_make_two_versions(
    files: ArtifactServer, spool_dir: Path, tmp_path: Path
) -> None:
    """Each process's file is a version of its own; neither takes the other's place, and none is lost."""
    script = """
        run = rd.init(project="digits", endpoint=given["url"], api_key="k", spool_directory=given["spool"],
                      capture_environment=False, system_metrics=False, ring_bytes=1 << 20)
        for number in range(5):
            with open(given["path"], "w") as file:
                file.write(f"{given['path']} {number}")
            assert run.log_artifact(given["path"], name="shared")
            assert run.flush(30)
        assert run.finish(30)
    """
    started = [
        start_script(script, url=files.url, spool=str(spool_dir), path=str(tmp_path / f"{who}.txt"))
        for who in ("one", "two")
    ]
    for each in started:
        done = end_of(each)
        assert done.status == 0, done.stderr

    contents = [content for upload in range(10) for content in files.paths("shared", upload).values()]
    wanted = {f"{tmp_path / who}.txt {number}".encode() for who in ("one", "two") for number in range(5)}
    assert set(contents) == wanted


SMALL = """
    import os
    run = rd.init(project="digits", endpoint=given["url"], api_key="k", spool_directory=given["spool"],
                  capture_environment=False, system_metrics=False, ring_bytes=1 << 20)
    run.log({"x": 1.0})
    assert run.flush(20)
    # A limit on file size stands for a full disk: a copy fails in its middle, the file itself is there.
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    assert run.log_artifact(given["path"])
    assert run.flush(30)
    print(json.dumps(run.diagnostics().ledger.artifacts.delivered))
    assert run.finish(10)
"""


def test_full_disk_at_the_client_sends_the_file_from_where_it_is(
    files: ArtifactServer, spool_dir: Path, tmp_path: Path
) -> None:
    """Where a snapshot finds no room, the file is hashed and sent in place, and arrives all the same."""
    path = tmp_path / "big.bin"
    content = os.urandom(5 * PART)
    path.write_bytes(content)
    done = run_script(SMALL, url=files.url, spool=str(spool_dir), path=str(path))

    assert done.status == 0, done.stderr
    assert json.loads(done.stdout) == 1
    assert files.paths("big.bin") == {"big.bin": content}


def test_file_that_changes_while_it_is_sent_is_recorded_as_what_was_hashed(
    begin: Start, files: ArtifactServer, tmp_path: Path
) -> None:
    """Sent in place and changed in the middle: it is hashed once more, and the artifact says so."""
    path = tmp_path / "log.bin"
    path.write_bytes(b"a" * (4 * PART))
    changed = []

    def rule(method: str, where: str) -> tuple[int, dict[str, str]] | None:
        if method == "PUT" and not changed:
            changed.append(where)
            path.write_bytes(b"b" * (4 * PART))
        return None

    files.rules.append(rule)
    run = begin(artifact_copy_bytes=0)
    assert run.log_artifact(path)
    assert run.flush(30)

    (upload,) = files.versions["log.bin"]
    (each,) = upload.files.values()
    assert each["sha256"] == hashlib.sha256(b"b" * (4 * PART)).hexdigest()
    assert upload.body["metadata"] == {"rundial.changed_before_snapshot": True}


def test_refused_artifact_is_counted_and_the_next_one_arrives(
    begin: Start, files: ArtifactServer, tmp_path: Path
) -> None:
    """A 400 is for good: told, counted as rejected, and in nobody's way."""
    refused = []

    def rule(method: str, where: str) -> tuple[int, dict[str, str]] | None:
        if where.endswith("/artifacts/initiate") and not refused:
            refused.append(method)
            return 400, {}
        return None

    files.rules.append(rule)
    run = begin()
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    assert run.log_artifact(tmp_path / "a")
    wait_until(lambda: account(run).rejected == 1, 20)
    assert run.log_artifact(tmp_path / "b")
    assert run.flush(20)

    assert (account(run).delivered, account(run).rejected) == (1, 1)


def test_media_wait_for_room_on_a_disk_that_is_full(files: ArtifactServer, tmp_path: Path) -> None:
    """On a real disk of 1 MiB without a free byte pictures wait in memory, and files go as they lie."""
    model = tmp_path / "model.bin"
    model.write_bytes(os.urandom(3 * PART))
    with mounted(tmp_path / "disk", "tmpfs", "size=1m") as disk, own_parts():
        run = starter(files, disk / "spool")()
        assert run.log({"loss": 1.0}, step=0)
        assert run.flush(30)
        # Room for the journal and a manifest, and for no picture.
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        (disk / "filler").write_bytes(bytes(free - 32_768))
        pictures = [
            np.random.default_rng(number).integers(0, 256, (99, 99, 3), np.uint8) for number in range(3)
        ]
        assert all(run.log({"picture": rd.Image(each)}, step=step) for step, each in enumerate(pictures))
        assert run.log_artifact(model)
        assert run.log({"loss": 2.0}, step=1)
        is_through = run.flush(2)
        full = account(run)
        (disk / "filler").unlink()
        assert run.flush(60)

        assert not is_through
        assert (full.recorded, full.dropped, full.evicted) == (4, {}, {})
        assert (account(run).delivered, account(run).waiting) == (4, 0)
    assert files.sizes[hashlib.sha256(model.read_bytes()).hexdigest()] == 3 * PART
    sent = [content for upload in files.versions["media"] for content in _contents(files, upload)]
    assert len(sent) == 3
    assert all(content.startswith(b"\x89PNG") for content in sent)


def _contents(files: ArtifactServer, upload: Upload) -> list[bytes]:
    return [files.blobs[each["sha256"]] for each in upload.files.values()]


@pytest.mark.parametrize("size", [100, 3 * PART])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_snapshot_that_a_power_cut_has_emptied_is_taken_again_or_reported(
    files: ArtifactServer, spool_dir: Path, tmp_path: Path, size: int, is_there: bool
) -> None:
    """Bytes that the server must refuse are not sent to it for ever, whether the file is there or not."""
    path = tmp_path / "model.bin"
    path.write_bytes(os.urandom(size))
    with own_parts():
        run = starter(files, spool_dir)(mode="offline")
        assert run.log_artifact(path)
        assert run.finish(30)
    (kept,) = spool_dir.glob("*/*/artifacts/*/0")
    kept.write_bytes(bytes(size))
    if not is_there:
        path.unlink()
    (result,) = sync([spool_dir], to=files.url, timeout_s=20).results

    assert result.waiting.get("artifacts", 0) == 0
    if is_there:
        assert result.delivered["artifacts"] == 1
        assert files.sizes[hashlib.sha256(path.read_bytes()).hexdigest()] == size
    else:
        assert result.delivered.get("artifacts", 0) == 0
        assert "model.bin" in result.why


def test_a_wait_for_files_says_what_for(
    begin: Start, files: ArtifactServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A script that stands still because a store is away says so in one line, and goes on in time."""
    path = tmp_path / "model.bin"
    path.write_bytes(b"x" * 1_000)
    files.rules.append(lambda method, where: (503, {}) if method == "PUT" else None)
    run = begin()
    assert run.log_artifact(path)
    assert not run.flush(4)
    assert not run.flush(4)
    files.rules.clear()
    assert run.flush(30)

    said = [record.getMessage() for record in caplog.records if "waiting for" in record.getMessage()]
    assert said == [f"run {run.run_id}: waiting for 1 artifacts to be uploaded; 0 MiB sent"]
