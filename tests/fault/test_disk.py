"""A disk that is full or read-only costs what the books say, and nothing else."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import rundial as rd
from rundial.api.adopt import sync
from rundial.api.client import Client
from rundial.api.run import Run
from tests.support.collector import Collector
from tests.support.mounts import image_mounted, mounted, remount
from tests.support.processes import own_parts
from tests.support.program import ServerProgram
from tests.support.scripts import end_of, start_script
from tests.support.stored import Stored, read

PROJECT = "disk"

pytestmark = pytest.mark.fault


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB."""
    with mounted(tmp_path / "disk", "tmpfs", "size=1m") as place:
        yield place


@pytest.fixture
def options(server: ServerProgram, disk: Path) -> dict[str, Any]:
    """Arguments of a run whose spool is on the small disk; its ring fits into shared memory alone."""
    return {
        "project": PROJECT,
        "endpoint": server.url,
        "api_key": server.key,
        "spool_directory": str(disk / "spool"),
        "ring_bytes": 1 << 20,
        "flush_interval_seconds": 0.05,
    }


def line(number: int) -> str:
    """A line that tells its number and that gzip shrinks by half at most: a small disk is full soon."""
    return f"{number} " + (number**400 + 1).to_bytes(4000, "big").strip(b"\0").hex()[:4000].ljust(4000, "x")


def log_until_evicted(run: Run, numbers: Iterator[int], lines: int) -> list[int]:
    """Log until so many lines were given up; return those that were accepted."""
    accepted: list[int] = []
    while run.diagnostics().ledger.lines.evicted.get("spool_full", 0) < lines:
        accepted += [number for number in itertools.islice(numbers, 20) if run.log_text(line(number))]
        threading.Event().wait(0.01)
    return accepted


def stored(server: ServerProgram, run_id: str) -> Stored:
    """Read a run back."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        return read(client, PROJECT, run_id)


def numbers_of(found: Stored) -> list[int]:
    """The numbers of the stored lines, each of which is whole and there once."""
    numbers = [int(text.split()[0]) for text in found.lines]
    assert all(text == line(number) for text, number in zip(found.lines, numbers, strict=True))
    assert len(set(numbers)) == len(numbers)
    return sorted(numbers)


def assert_books(found: Stored) -> None:
    """The server's ledger names what was given up, and misses nothing else."""
    account = found.details["ledger"]["lines"]
    assert account["evicted"] > 0
    assert account["recorded"] - account["evicted"] == account["stored"] == len(found.lines)
    assert found.details["ledger"]["points"]["missing"] == 0


def test_a_disk_that_takes_nothing_costs_the_oldest_and_is_used_again(
    server: ServerProgram, options: dict[str, Any], disk: Path
) -> None:
    """While a spool cannot be written the oldest goes, counted; with room again all the rest is delivered."""
    with own_parts():
        run = rd.init(**options, mode="offline")
        assert run.flush(10)
        accepted = log_until_evicted(run, itertools.count(1), 500)
        assert run.log({"loss": 0.5}, step=1)
        while_broken = run.diagnostics()
        is_sealed = run.flush(0.2)
        remount(disk, "size=64m")
        assert run.flush(20)
        after = run.diagnostics()
        assert run.finish(10)
    report = sync([disk / "spool"], endpoint=server.url, api_key=server.key, timeout_s=30)

    assert not is_sealed
    assert while_broken.health == "degraded"
    assert "cannot be written" in (while_broken.last_error or "")
    assert while_broken.ledger.closes
    assert after.last_error is None
    assert after.ledger.closes
    assert [result.why for result in report.results] == [""]
    found = stored(server, run.run_id)
    assert_books(found)
    assert_one_hole(numbers_of(found), accepted)
    assert found.points == [("loss", 1, 0.5)]
    assert found.details["status"] == "completed"


def assert_one_hole(kept: list[int], accepted: list[int]) -> None:
    """What was given up lies together, before the newest: the oldest that had not reached the disk."""
    lost = sorted(set(accepted) - set(kept))
    first = accepted.index(lost[0])
    assert lost == accepted[first : first + len(lost)]
    assert accepted[-1] not in lost
    assert set(kept) <= set(accepted)


def test_a_program_that_ends_on_a_full_disk_leaves_the_rest_to_sync(
    server: ServerProgram, options: dict[str, Any], disk: Path
) -> None:
    """A process that ends while its disk is full leaves the newest in the ring, and sync sends them."""
    script = start_script(
        """
        from tests.fault.test_disk import log_until_evicted
        import itertools
        run = rd.init(**given, mode="offline", finish_timeout_seconds=0.5)
        print(json.dumps([run.run_id, log_until_evicted(run, itertools.count(1), 300)]))
        """,
        **options,
    )
    done = end_of(script)
    assert done.status == 0, done.stderr
    run_id, accepted = json.loads(done.stdout)

    remount(disk, "size=64m")
    report = sync([disk / "spool"], endpoint=server.url, api_key=server.key, timeout_s=30)

    assert "rundial sync" in done.stderr
    assert [result.why for result in report.results] == [""]
    found = stored(server, run_id)
    assert_books(found)
    assert_one_hole(numbers_of(found), accepted)
    assert [path for path in disk.rglob("*") if path.is_file()] == []


def test_on_a_disk_that_takes_nothing_the_rest_waits_for_every_endpoint(tmp_path: Path) -> None:
    """Also for one whose spool holds nothing yet: what only the ring holds is to reach it, too."""
    with Collector() as one, Collector() as two:
        script = start_script(
            """
            import resource
            run = rd.init(project="disk", **given, ring_bytes=1 << 20, system_metrics=False,
                          finish_timeout_seconds=0.5)
            assert run.flush(10)
            # Every write to a file fails from here on, and files can be removed as ever.
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
            for step in range(50):
                assert run.log({"loss": float(step)}, step=step)
            """,
            spool_directory=str(tmp_path / "spool"),
            otlp_endpoint=[one.url, two.url],
        )
        done = end_of(script)
        assert done.status == 0, done.stderr
        before = [len(place.points) for place in (one, two)]
        report = sync([tmp_path / "spool"], timeout_s=30)

        assert before == [0, 0]
        assert [result.why for result in report.results if result.why] == []
        for place in (one, two):
            steps = [int(each.attributes["rundial.step"]) for each in place.points if each.name == "loss"]
            assert sorted(steps) == list(range(50))


def test_an_export_to_a_disk_that_takes_nothing_waits_once(tmp_path: Path) -> None:
    """However many spans one export holds, it takes the time of one, and says that they are not kept."""
    script = start_script(
        """
        import resource, time
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SpanExportResult
        from rundial import otel
        otel.EXPORT_S = 0.3
        exporter = otel.SpoolingSpanExporter(**given, ring_bytes=1 << 20, finish_timeout_seconds=0.1)
        tracer = TracerProvider().get_tracer("a program")
        spans = [tracer.start_span(str(number), attributes={"long": "x" * 50_000}) for number in range(100)]
        for span in spans:
            span.end()
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        start = time.monotonic()
        is_done = exporter.export(spans) is SpanExportResult.SUCCESS
        print(json.dumps([is_done, time.monotonic() - start]))
        """,
        spool_directory=str(tmp_path / "spool"),
        otlp_endpoint="http://127.0.0.1:9",
    )
    done = end_of(script)
    assert done.status == 0, done.stderr
    is_done, took_s = json.loads(done.stdout)

    assert not is_done
    # Of the 100, some 90 find the ring more than half full.
    assert took_s < 10 * 0.3


def fill_up(disk: Path) -> Path:
    """Take every free byte of a disk; return the file that holds them."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (4096, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass
    return filler


def test_a_disk_without_one_free_byte_takes_more_once_all_is_answered(
    server: ServerProgram, options: dict[str, Any], disk: Path
) -> None:
    """What has been delivered makes room for what comes, though not a byte is free to begin a file with."""
    with own_parts():
        run = rd.init(**options, mode="online")
        accepted = [number for number in range(40) if run.log_text(line(number))]
        assert run.flush(10)
        filler = fill_up(disk)
        with pytest.raises(OSError, match="No space left"):
            (disk / "one more").write_bytes(b"x")
        accepted += [number for number in range(40, 60) if run.log_text(line(number))]
        is_flushed = run.flush(20)
        account = run.diagnostics().ledger
        filler.unlink()
        assert run.finish(20)

    assert is_flushed
    assert account.closes
    assert account.lines.lost == 0
    assert numbers_of(stored(server, run.run_id)) == accepted == list(range(60))
    assert [path for path in disk.rglob("*") if path.is_file() and path.name != "one more"] == []


def test_a_disk_that_becomes_read_only_stops_nothing_and_invents_nothing(
    server: ServerProgram, options: dict[str, Any], tmp_path: Path
) -> None:
    """On a disk that fails under a run the program goes on and is told; what the disk kept is true, once."""
    image, place = tmp_path / "image", tmp_path / "failing"
    with image_mounted(image, place):
        script = start_script(
            """
            from tests.fault.test_disk import line, log_until_evicted
            from tests.support.mounts import remount
            import itertools, os
            from pathlib import Path
            place = Path(given.pop("place"))
            run = rd.init(**given, mode="offline", finish_timeout_seconds=0.5)
            numbers = itertools.count(1)
            for number in itertools.islice(numbers, 50):
                run.log_text(line(number))
            assert run.flush(10)
            os.sync()
            remount(place, "abort")
            log_until_evicted(run, numbers, 300)
            found = run.diagnostics()
            print(json.dumps([run.run_id, found.ledger.closes, found.last_error, found.durability]))
            raise KeyError("the user's own")
            """,
            **{**options, "spool_directory": str(place / "spool")},
            place=str(place),
        )
        done = end_of(script)
    with image_mounted(image, place):
        report = sync([place / "spool"], endpoint=server.url, api_key=server.key, timeout_s=30)

    run_id, closes, last_error, durability = json.loads(done.stdout)
    assert done.status == 1
    assert 'KeyError: "the user\'s own"' in done.stderr
    assert closes
    assert "Read-only file system" in last_error
    assert durability == "disk"
    assert [result.why for result in report.results] == [""]
    assert numbers_of(stored(server, run_id))[:50] == list(range(1, 51))
