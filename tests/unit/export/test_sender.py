"""The loop from spool to ack, against a real endpoint and against a clock moved by hand."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from rundial.export.http import HttpTransport
from rundial.export.outcome import Accepted, Outcome, Pause, Retry
from rundial.export.sender import Sender
from rundial.export.slot import LOOK_S
from rundial.signals.split import split_request
from tests.support.clock import ManualClock
from tests.support.collector import Collector, key_required, partial, refused_if, too_large
from tests.support.lanes import MemorySource, metrics_frame

_ALL_LANES = ("events", "metrics", "logs", "traces")


class ScriptedTransport:
    """Answers at once from a list, then accepts; remembers when it was asked."""

    def __init__(self, clock: ManualClock, outcomes: list[Outcome]) -> None:
        self.clock = clock
        self.outcomes = outcomes
        self.times_s: list[float] = []
        self.is_closed = threading.Event()

    def post(
        self, url: str, body: bytes, *, is_gzip: bool, headers: Mapping[str, str], timeout_s: float
    ) -> Outcome:
        """Take the next outcome."""
        self.times_s.append(self.clock.monotonic_s())
        return self.outcomes.pop(0) if self.outcomes else Accepted()

    def abort(self) -> None:
        """Nothing hangs here."""

    def close(self) -> None:
        """Remember the end."""
        self.is_closed.set()


class CountingSource(MemorySource):
    """A source that counts how often its headers are asked for."""

    asked = 0

    def headers(self, lane: str) -> dict[str, str]:
        """Count, and return the key as it is now."""
        with self._changed:
            self.asked += 1
            self._changed.notify_all()
        return super().headers(lane)

    def wait_for_asked(self, count: int, deadline_s: float = 10.0) -> bool:
        """Wait until asked so often; False at the deadline."""
        with self._changed:
            return self._changed.wait_for(lambda: self.asked >= count, deadline_s)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """An endpoint that accepts, unless a test scripts it."""
    with Collector() as endpoint:
        yield endpoint


@pytest.fixture
def make_sender() -> Iterator[Callable[..., Sender]]:
    """Senders over real HTTP that are stopped afterwards."""
    senders: list[Sender] = []

    def make(timeout_s: float = 5.0) -> Sender:
        senders.append(Sender(HttpTransport(), split_request, timeout_s=timeout_s))
        return senders[-1]

    yield make
    assert all(sender.stop(1.0) for sender in senders)


@pytest.fixture
def by_hand() -> Iterator[tuple[Sender, ScriptedTransport, ManualClock]]:
    """A sender whose time is moved by hand."""
    clock = ManualClock()
    transport = ScriptedTransport(clock, [])
    sender = Sender(transport, split_request, clock=clock)
    yield sender, transport, clock
    assert sender.stop(5.0)


def test_drain_delivers_every_lane(collector: Collector, make_sender: Callable[..., Sender]) -> None:
    """After a drain that says True, everything that was spooled is stored."""
    sender, source = make_sender(), MemorySource(collector.url)
    for n in range(20):
        source.lanes["metrics"].append(metrics_frame([n + 0.0, n + 0.5]))
    sender.add(source)

    assert sender.drain(10.0)
    assert [point.value for point in collector.points] == [n / 2 for n in range(40)]
    assert source.lanes["metrics"].delivered == 40
    assert collector.connections == 1


def test_an_outage_loses_nothing(collector: Collector, make_sender: Callable[..., Sender]) -> None:
    """503, resets, throttling and a lost answer cost time, never points."""
    sender, source = make_sender(), MemorySource(collector.url)
    collector.script += [503, "reset", ("429", {"Retry-After": "0"}), "lost answer", 500]
    source.lanes["metrics"].append(metrics_frame([1.0]))
    source.lanes["metrics"].append(metrics_frame([2.0]))
    sender.add(source)
    assert source.wait_for_outcomes(1)
    while not sender.drain(0.2):
        continue

    assert {point.value for point in collector.points} == {1.0, 2.0}
    assert source.lanes["metrics"].delivered == 2
    report = sender.report(source)["metrics"]
    assert (report.failed, report.retries, report.requests) == (5, 5, 7)
    bodies = [len(request.body) for request in collector.requests]
    assert report.sent_bytes >= sum(bodies) > 0
    assert report.last_error is None


def test_a_refused_lane_stops_no_other(collector: Collector, make_sender: Callable[..., Sender]) -> None:
    """A metrics-only collector's 404 for traces keeps the traces and takes the metrics."""
    sender, source = make_sender(), MemorySource(collector.url, _ALL_LANES)
    collector.rules = [lambda request: 404 if request.path == "/v1/traces" else None]
    source.lanes["traces"].append(metrics_frame([0.0]))
    for n in range(10):
        source.lanes["metrics"].append(metrics_frame([float(n)]))
    sender.add(source)

    assert collector.wait_for(lambda: len(collector.points) == 10)
    assert sender.drain(0.3) is False
    assert source.lanes["metrics"].waiting_frames == 0
    assert source.lanes["traces"].waiting_frames == 1
    assert sender.report(source)["traces"].is_paused
    assert sum(request.path == "/v1/traces" for request in collector.requests) <= 3


def test_a_new_key_is_used_at_once(collector: Collector, make_sender: Callable[..., Sender]) -> None:
    """An expired key keeps everything, and a new one delivers it without a restart."""
    sender, source = make_sender(), MemorySource(collector.url)
    collector.rules = [key_required("key-7654321")]
    source.lanes["metrics"].append(metrics_frame([1.0]))
    sender.add(source)
    assert source.wait_for_outcomes(1)

    source.key = "key-7654321"
    sender.wake()

    assert collector.wait_for(lambda: len(collector.points) == 1)


def test_a_new_key_that_nobody_tells_of_is_seen_without_haste(
    collector: Collector, make_sender: Callable[..., Sender]
) -> None:
    """A key that another process stores is used soon, and looking for it costs next to nothing."""
    sender, source = make_sender(), CountingSource(collector.url)
    collector.rules = [key_required("key-7654321")]
    source.lanes["metrics"].append(metrics_frame([1.0]))
    sender.add(source)
    assert source.wait_for_outcomes(1)

    before, asked = time.monotonic(), source.asked
    assert source.wait_for_asked(asked + 3)
    took_s = time.monotonic() - before
    source.key = "key-7654321"

    assert collector.wait_for(lambda: len(collector.points) == 1)
    # Of the first two looks, one may have been due already, and one may belong to the request.
    assert took_s >= LOOK_S


def test_wake_with_reset_ends_a_pause(collector: Collector, make_sender: Callable[..., Sender]) -> None:
    """Whoever repairs the server need not wait for the pause to end."""
    sender, source = make_sender(), MemorySource(collector.url)
    collector.script.append(404)
    source.lanes["metrics"].append(metrics_frame([1.0]))
    sender.add(source)
    assert source.wait_for_outcomes(1)

    sender.wake(reset=True)

    assert collector.wait_for(lambda: len(collector.points) == 1)


def test_another_sources_wrong_key_never_pauses_the_run(
    collector: Collector, make_sender: Callable[..., Sender]
) -> None:
    """An adopted spool's 401 is its own."""
    sender = make_sender()
    adopted, run = MemorySource(collector.url, key="old-key-1234"), MemorySource(collector.url)
    collector.rules = [key_required(run.key)]
    adopted.lanes["metrics"].append(metrics_frame([1.0]))
    sender.add(adopted)
    assert adopted.wait_for_outcomes(1)
    run.lanes["metrics"].append(metrics_frame([2.0]))
    sender.add(run)

    assert collector.wait_for(lambda: [point.value for point in collector.points] == [2.0])
    assert adopted.lanes["metrics"].waiting_frames == 1


def test_refusals_and_limits_of_a_real_server(
    collector: Collector, make_sender: Callable[..., Sender]
) -> None:
    """A bad point costs itself, a small limit costs requests, a partial success is counted."""
    sender, source = make_sender(), MemorySource(collector.url)
    collector.script.append(partial(1))
    collector.rules = [too_large(2000), refused_if(lambda point: point.as_double == 13.0)]
    lane = source.lanes["metrics"]
    lane.append(metrics_frame([-1.0]))
    lane.append(metrics_frame([float(n) for n in range(100)]))
    sender.add(source)

    assert sender.drain(10.0)
    assert sorted(point.value for point in collector.points) == [-1.0] + [n for n in range(100) if n != 13]
    assert (lane.delivered, lane.rejected) == (99, 2)


def test_a_hung_server_holds_up_the_drain_for_its_deadline_alone(
    collector: Collector, make_sender: Callable[..., Sender]
) -> None:
    """flush() comes back in time, says False, and the data stays."""
    sender, source = make_sender(timeout_s=60.0), MemorySource(collector.url)
    collector.script.append("hang")
    source.lanes["metrics"].append(metrics_frame([1.0]))
    sender.add(source)
    begin = time.monotonic()

    assert sender.drain(0.3) is False
    assert 0.25 < time.monotonic() - begin < 2.0
    assert source.lanes["metrics"].waiting_frames == 1


def test_stop_cuts_a_request_that_hangs(collector: Collector, make_sender: Callable[..., Sender]) -> None:
    """A finished process leaves within its deadline whatever the server does."""
    sender, source = make_sender(timeout_s=60.0), MemorySource(collector.url)
    collector.script.append("hang")
    source.lanes["metrics"].append(metrics_frame([1.0]))
    sender.add(source)
    assert collector.wait_for_requests(1)
    begin = time.monotonic()

    assert sender.stop(1.0)
    assert time.monotonic() - begin < 1.5
    assert source.lanes["metrics"].waiting_frames == 1
    assert sender.drain(5.0) is False


def test_a_request_that_outlives_stop_acknowledges_nothing() -> None:
    """After stop() the spool may be closed: a late answer does not touch it."""
    entered, release = threading.Event(), threading.Event()

    class Stuck(ScriptedTransport):
        def post(
            self, url: str, body: bytes, *, is_gzip: bool, headers: Mapping[str, str], timeout_s: float
        ) -> Outcome:
            entered.set()
            release.wait(15.0)
            return Accepted()

    transport = Stuck(ManualClock(), [])
    sender, source = Sender(transport, split_request), MemorySource("http://127.0.0.1:1")
    source.lanes["metrics"].append(metrics_frame([1.0]))
    sender.add(source)
    assert entered.wait(10.0)

    assert sender.stop(0.05) is False
    release.set()
    assert transport.is_closed.wait(10.0)
    assert source.lanes["metrics"].waiting_frames == 1


def test_stop_before_any_source_returns_at_once() -> None:
    """A run that logs nothing leaves no thread behind."""
    sender = Sender(HttpTransport(), split_request)

    assert sender.drain(5.0)
    assert sender.stop(5.0)


def test_a_removed_source_is_left_alone(collector: Collector, make_sender: Callable[..., Sender]) -> None:
    """A spool that its owner closes gets no answer any more, and holds up no drain."""
    sender, source = make_sender(), MemorySource(collector.url)
    collector.rules = [lambda _: 503]
    source.lanes["metrics"].append(metrics_frame([1.0]))
    sender.add(source)
    assert source.wait_for_outcomes(1)

    sender.remove(source)

    assert sender.drain(5.0)
    assert source.lanes["metrics"].waiting_frames == 1
    assert sender.report(source) == {}


def test_an_evicted_frame_is_not_sent_again(collector: Collector, make_sender: Callable[..., Sender]) -> None:
    """A spool that fills up during an outage goes on with what it still has."""
    sender, source = make_sender(), MemorySource(collector.url)
    collector.script.append(404)
    lane = source.lanes["metrics"]
    lane.append(metrics_frame([1.0]))
    lane.append(metrics_frame([2.0]))
    sender.add(source)
    assert source.wait_for_outcomes(1)

    lane.evict()

    assert sender.drain(10.0)
    assert [point.value for point in collector.points] == [2.0]


def test_retries_wait_longer_each_time_and_obey_the_server(
    by_hand: tuple[Sender, ScriptedTransport, ManualClock],
) -> None:
    """A server that asks for 30 s is left alone for 30 s."""
    sender, transport, clock = by_hand
    source = MemorySource("http://host")
    transport.outcomes += [Retry(30.0, "slow down"), Retry(None, "down")]
    source.lanes["metrics"].append(metrics_frame([1.0]))
    sender.add(source)
    assert source.wait_for_outcomes(1)

    clock.advance(29.9)
    sender.wake()
    clock.advance(3.2)
    sender.wake()
    assert source.wait_for_outcomes(2)
    clock.advance(1.0)
    sender.wake()
    assert source.wait_for_outcomes(3)

    assert transport.times_s[1] >= 30.0
    assert len(transport.times_s) == 3


def test_a_drain_tries_a_paused_lane_at_once(by_hand: tuple[Sender, ScriptedTransport, ManualClock]) -> None:
    """flush() after the server came back does not wait for a pause to end."""
    sender, transport, _ = by_hand
    source = MemorySource("http://host")
    transport.outcomes += [Pause(401, "no"), Pause(401, "no"), Retry(600.0, "later")]
    source.lanes["metrics"].append(metrics_frame([1.0]))
    sender.add(source)
    assert source.wait_for_outcomes(1)
    assert sender.drain(0.05) is False
    assert sender.drain(0.05) is False

    assert sender.drain(10.0)
    assert transport.times_s == [0.0] * 4


def test_a_drain_waits_only_for_what_was_there(
    collector: Collector, make_sender: Callable[..., Sender]
) -> None:
    """flush() ends although other threads go on logging."""
    sender, source = make_sender(), MemorySource(collector.url)
    lane = source.lanes["metrics"]
    collector.rules = [lambda request: lane.append(metrics_frame([9.0]))]
    lane.append(metrics_frame([1.0]))
    sender.add(source)

    assert sender.drain(10.0)
    collector.rules = []


def test_an_idle_sender_sleeps(collector: Collector, make_sender: Callable[..., Sender]) -> None:
    """With nothing to send the thread does not run at all."""
    sender, source = make_sender(), MemorySource(collector.url)
    source.lanes["metrics"].append(metrics_frame([1.0]))
    sender.add(source)
    assert sender.drain(10.0)
    assert sender.drain(0.0)
    peeks = source.lanes["metrics"].peeks

    assert not collector.wait_for_requests(2, deadline_s=0.4)
    assert source.lanes["metrics"].peeks - peeks <= 2


def test_an_ack_that_fails_is_tried_again_without_sending_again(
    by_hand: tuple[Sender, ScriptedTransport, ManualClock], caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk under the ack costs patience, and delivery goes on."""
    sender, transport, _ = by_hand
    source = MemorySource("http://host")
    source.lanes["metrics"].failures.append(OSError(28, "No space left on device"))
    source.lanes["metrics"].append(metrics_frame([1.0]))
    with caplog.at_level(logging.WARNING, "rundial"):
        sender.add(source)
        assert source.wait_for_outcomes(1)
        while not sender.drain(0.2):
            continue

    assert len(transport.times_s) == 1
    assert source.lanes["metrics"].delivered == 1
    assert "No space left on device" in caplog.text


def test_warnings_come_once_a_minute_and_hold_no_secret(
    by_hand: tuple[Sender, ScriptedTransport, ManualClock], caplog: pytest.LogCaptureFixture
) -> None:
    """An outage of a day is not a file of a day, and no log holds a key."""
    sender, transport, clock = by_hand
    source = MemorySource("http://me:hunter2@host", key="rdk_0123456789")
    transport.outcomes += [Retry(None, "answered 503")] * 3 + [Pause(401, "answered 401")]
    source.lanes["metrics"].append(metrics_frame([1.0]))
    with caplog.at_level(logging.DEBUG, "rundial"):
        sender.add(source)
        for count in (1, 2, 3, 4):
            assert source.wait_for_outcomes(count)
            clock.advance(29.0)
            sender.wake(reset=True)
        assert sender.drain(10.0)

    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert ["503" in text for text in warnings] == [True, False]
    assert all("http://host/v1/metrics" in text and "stays in the spool" in text for text in warnings)
    assert not any(secret in caplog.text for secret in ("hunter2", "rdk_"))
