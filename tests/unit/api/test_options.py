"""Each option of a run at its limit: what it bounds is bounded, and what is beyond it is counted."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rundial as rd
from rundial.api.run import Run
from rundial.errors import ConfigError
from tests.support import recorded
from tests.support.collector import Collector
from tests.support.control import Faulty, control, exports
from tests.support.ourthreads import note_threads, threads
from tests.support.processes import own_parts
from tests.support.scripts import run_script
from tests.support.waiting import wait_until

Start = Callable[..., Run]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A server that takes every run."""
    with Collector(rules=[control()]) as collector:
        yield collector


@pytest.fixture
def online(collector: Collector, spool_dir: Path) -> Iterator[Start]:
    """Make a run that sends to the collector."""

    def make(**options: Any) -> Run:
        options = {
            "spool_directory": spool_dir,
            "ring_bytes": 1 << 20,
            "finish_timeout_seconds": 0.2,
            **options,
        }
        return rd.init(project="digits", endpoint=collector.url, api_key="k", **options)

    with own_parts():
        yield make


def frames(spool_dir: Path, lane: str) -> list[Any]:
    """What a run has written of one lane."""
    return [frame for name, frame in recorded.read(spool_dir).frames if name == lane]


def test_queue_capacity_refuses_what_is_beyond_it(start: Start) -> None:
    """With a capacity of 5, a sixth point in the ring is refused, counted, and the call says so."""
    # The encoder looks at the ring once a minute here, so that it stays as full as it is made.
    run = start(queue_capacity=5, flush_interval_seconds=60)
    accepted = [run.log({"a": 1, "b": 2}, step=step) for step in range(3)]
    accepted += [run.log_text("fifth"), run.log_text("sixth"), run.log({"a": 1})]

    assert accepted == [True, True, False, True, False, False]
    ledger = run.diagnostics().ledger
    assert (ledger.points.recorded, ledger.points.dropped) == (4, {"queue_full": 3})
    assert (ledger.lines.recorded, ledger.lines.dropped) == (1, {"queue_full": 1})
    assert ledger.closes


def test_queue_capacity_is_free_again_once_written(start: Start) -> None:
    """What is on disk takes no place in the queue."""
    run = start(queue_capacity=1)
    for _ in range(5):
        assert run.log({"a": 1})
        assert run.flush(10)
        with run.trace("span"):
            pass
        assert run.flush(10)

    assert run.diagnostics().ledger.points.lost == run.diagnostics().ledger.spans.lost == 0


def test_queue_max_bytes_is_the_ring(start: Start) -> None:
    """The published name bounds the same bytes."""
    run = start(ring_bytes=None, queue_max_bytes=1 << 20)

    assert run.settings.ring_bytes == 1 << 20


@pytest.mark.parametrize("most", [1, 7, 200])
def test_max_batch_points_bounds_every_request(start: Start, spool_dir: Path, most: int) -> None:
    """No request holds more records than were allowed, and none is lost."""
    run = start(max_batch_points=most)
    for step in range(450):
        assert run.log({"x": step}, step=step)
    for number in range(450):
        assert run.log_text(str(number))
    assert run.finish(20)

    for lane in ("metrics", "logs"):
        items = [frame.items for frame in frames(spool_dir, lane)]
        assert max(items) <= most
        assert sum(items) == 450


def test_points_of_one_call_stay_together(start: Start, spool_dir: Path) -> None:
    """A call with more points than a request may hold is one request; requests are cut between calls."""
    run = start(max_batch_points=3)
    for step in range(4):
        run.log({"a": 1, "b": 2}, step=step)
    run.log(dict.fromkeys("abcdef", 1), step=9)
    assert run.finish(20)

    assert [frame.items for frame in frames(spool_dir, "metrics")] == [2, 2, 2, 2, 6]


def test_gzip_can_be_switched_off(online: Start, collector: Collector) -> None:
    """Requests go as they are where a proxy cannot stand compressed ones."""
    run = online(gzip_enabled=False)
    run.log({"x": 1}, step=1)
    assert run.finish(20)

    (request,) = exports(collector)
    assert "content-encoding" not in {name.lower() for name in request.headers}
    assert [point.value for point in collector.points] == [1.0]


def test_gzip_min_bytes_leaves_small_requests_as_they_are(start: Start, spool_dir: Path) -> None:
    """A request below the size is plain, one from there on is compressed."""
    plain = start(gzip_min_bytes=10_000)
    plain.log({"x": 1}, step=1)
    assert plain.flush(10)
    for step in range(2000):
        plain.log({"x": step}, step=step)
    assert plain.finish(10)

    small, large = frames(spool_dir, "metrics")[0], frames(spool_dir, "metrics")[-1]
    assert (small.is_gzip, large.is_gzip) == (False, True)
    assert len(small.body) < 10_000 <= len(zlib.decompress(large.body, 31))


def test_retry_attempts_pause_the_frame_and_never_drop_it(online: Start, collector: Collector) -> None:
    """After three attempts the lane is left alone, everything stays on disk, and flush tries again."""
    told: list[dict[str, object]] = []
    is_spent = threading.Event()

    def hook(event: dict[str, object]) -> None:
        told.append(event)
        if event["event"] == "retry_exhausted_pause":
            is_spent.set()

    faulty = Faulty(503)
    collector.rules = [control(), faulty]
    run = online(
        retry_max_attempts=3, retry_base_delay_seconds=0.01, retry_max_delay_seconds=0.05, event_hook=hook
    )
    run.log({"x": 1}, step=1)
    assert is_spent.wait(10)
    seen = faulty.seen
    assert run.flush(1) is False
    seen_by_flush = faulty.seen
    faulty.mend()

    assert (seen, seen_by_flush) == (3, 6)
    assert run.flush(10)
    assert [point.value for point in collector.points] == [1.0]
    assert [each["event"] for each in told if each["lane"] == "metrics"][:6] == [
        "flush_failure", "retry_scheduled", "flush_failure", "retry_scheduled",
        "flush_failure", "retry_exhausted_pause",
    ]  # fmt: skip  # a list of pairs
    assert run.finish(10)


def test_event_hook_is_called_elsewhere_and_may_fail(online: Start, collector: Collector) -> None:
    """The hook runs on a thread of its own, and what it raises reaches nobody."""
    threads: list[str] = []

    def hook(event: dict[str, object]) -> None:
        threads.append(threading.current_thread().name)
        raise RuntimeError(f"the user's own: {event}")

    collector.rules = [control(), Faulty(503, times=2)]
    run = online(event_hook=hook, retry_base_delay_seconds=0.01)
    run.log({"x": 1}, step=1)

    assert run.finish(20)
    assert len(threads) >= 4
    assert set(threads) == {"rundial-events"}


def test_event_hook_hears_of_what_is_refused_and_handed_over(online: Start, collector: Collector) -> None:
    """A refusal for good and an end with data left are events with their facts."""
    told: list[dict[str, object]] = []
    collector.rules = [control(), Faulty(400, path="/v1/metrics"), Faulty(503, path="/v1/logs")]
    run = online(event_hook=told.append)
    run.log({"x": 1}, step=1)
    run.log_text("line")
    assert run.finish(1) is False

    wait_until(lambda: any(each["event"] == "shutdown_spool_handoff" for each in told), 10)
    events = {str(each["event"]): each for each in told}
    assert events["non_retryable_drop"]["lane"] == "metrics"
    assert events["shutdown_spool_handoff"]["records"] == 1
    assert {each["run_id"] for each in told} == {run.run_id}


def test_event_hook_hears_of_evictions(start: Start) -> None:
    """A spool that gives records up says so as it happens."""
    told: list[dict[str, object]] = []
    run = start(event_hook=told.append, spool_max_bytes=1 << 20, gzip_enabled=False)
    for step in range(400):
        run.log_text(f"{step} " + "x" * 8000)
        if step % 50 == 0:
            assert run.flush(10)
    assert run.finish(10)

    evicted = run.diagnostics().ledger.lines.evicted["spool_full"]
    assert sum(int(str(each["records"])) for each in told if each["event"] == "spool_eviction") > 0
    assert evicted > 0


def test_run_without_a_spool_leaves_nothing_behind(
    online: Start, collector: Collector, spool_dir: Path
) -> None:
    """With `spool_enabled=False` the run is delivered and no file is made where spools are kept."""
    run = online(spool_enabled=False)
    run.log({"x": 1}, step=1)
    place = Path(run.settings.spool_directory)
    assert run.finish(10)

    assert [point.value for point in collector.points] == [1.0]
    assert not spool_dir.exists()
    assert place.name.startswith("rundial-volatile-")


def test_what_a_run_without_a_spool_could_not_send_is_lost_and_said() -> None:
    """Nothing survives such a process, and its last line says how many records that cost."""
    script = """
        run = rd.init(project="digits", endpoint="http://127.0.0.1:9", spool_enabled=False, **given)
        run.log({"x": 1.0})
        print(run.settings.spool_directory)
    """
    done = run_script(script, finish_timeout_seconds=0.2, init_timeout_seconds=0.2)

    assert "1 records were not sent in time and are lost" in done.stderr
    assert not Path(done.stdout.strip()).exists()


def test_offline_without_a_spool_is_refused(start: Start) -> None:
    """A run that could keep nothing and send nothing is a mistake, and said to be one."""
    with pytest.raises(ConfigError, match="spool_enabled=False keeps nothing"):
        start(spool_enabled=False)


def test_worker_may_start_with_the_first_record(online: Start, collector: Collector) -> None:
    """With `start_worker_on_init=False` there is no thread until something is logged; then all arrives."""
    note_threads()
    run = online(start_worker_on_init=False)
    after_init = threads()
    assert not exports(collector, "logs")
    assert run.log({"x": 1})
    with run.trace("span"):
        assert run.log_text("line")

    assert after_init == set()
    assert run.finish(20)
    assert [point.value for point in collector.points] == [1.0]
    assert (len(collector.lines), len(collector.spans)) == (1, 1)
    names = [event.event_name for event in collector.events]
    assert names[0] == "rundial.run.start"
    assert names.count("rundial.run.start") == names.count("rundial.run.finish") == 1


@pytest.mark.parametrize("ends_by", ["run.finish(20)", "pass"])
def test_run_whose_worker_never_started_ends_all_the_same(ends_by: str) -> None:
    """A run that records nothing is a run too: its start and its end arrive."""
    script = f"""
        run = rd.init(project="digits", api_key="k", start_worker_on_init=False, **given)
        {ends_by}
    """
    with Collector(rules=[control()]) as collector:
        done = run_script(script, endpoint=collector.url)

        assert (done.status, done.stderr) == (0, "")
        assert [event.event_name for event in collector.events if "ledger" not in event.event_name] == [
            "rundial.run.start", "rundial.run.heartbeat", "rundial.run.finish",
        ]  # fmt: skip  # one list
