"""The loop from spool to ack, visit by visit, with time moved by hand."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from random import Random

import pytest

from rundial.export.outcome import Accepted, Outcome, Partial, Pause, Retry
from rundial.export.sender import Sender
from rundial.signals.split import split_request
from tests.support.clock import ManualClock
from tests.support.lanes import MemorySource, metrics_frame
from tests.support.waiting import wait_until
from tests.unit.export.test_sender import ScriptedTransport


class Noting(ScriptedTransport):
    """Remembers what it was asked to send; may hold a request until told to go on."""

    def __init__(self, clock: ManualClock, outcomes: list[Outcome]) -> None:
        super().__init__(clock, outcomes)
        self.asked: list[tuple[str, bool, Mapping[str, str], float]] = []
        self.entered, self.release, self.aborted = threading.Event(), threading.Event(), threading.Event()
        self.release.set()

    def post(
        self, url: str, body: bytes, *, is_gzip: bool, headers: Mapping[str, str], timeout_s: float
    ) -> Outcome:
        """Take the next outcome, once released."""
        self.asked.append((url, is_gzip, headers, timeout_s))
        self.entered.set()
        self.release.wait(15.0)
        return super().post(url, body, is_gzip=is_gzip, headers=headers, timeout_s=timeout_s)

    def abort(self) -> None:
        """Let the request go."""
        self.aborted.set()
        self.release.set()


class Failing(MemorySource):
    """A source whose headers cannot be had for a while."""

    def __init__(self, endpoint: str, errors: list[Exception]) -> None:
        super().__init__(endpoint)
        self.errors = errors
        self.asked = 0

    def headers(self, lane: str) -> dict[str, str]:
        """Raise the next error, while there is one."""
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return super().headers(lane)


@pytest.fixture
def clock() -> ManualClock:
    """Time that stands still."""
    return ManualClock()


@pytest.fixture
def transport(clock: ManualClock) -> Noting:
    """A transport that accepts."""
    return Noting(clock, [])


@pytest.fixture
def sender(clock: ManualClock, transport: Noting) -> Iterator[Sender]:
    """A sender on that time and that transport."""
    sender = Sender(transport, split_request, timeout_s=7.0, clock=clock, rng=Random(1))
    yield sender
    transport.release.set()
    assert sender.stop(5.0)
    assert not transport.asked or transport.is_closed.wait(5.0)


def filled(*values: float, source: MemorySource | None = None) -> MemorySource:
    """Return a source with one frame for each value."""
    source = source or MemorySource("http://host")
    for value in values:
        source.lanes["metrics"].append(metrics_frame([value]))
    return source


def sender_threads() -> list[threading.Thread]:
    """Return the running senders' threads."""
    return [thread for thread in threading.enumerate() if thread.name == "rundial-sender"]


def wait_for_failures(sender: Sender, source: MemorySource, count: int) -> None:
    """Wait until so many failures are counted."""
    wait_until(lambda: sender.report(source)["metrics"].failed >= count, 10.0)


def test_request_goes_where_the_source_says(sender: Sender, transport: Noting) -> None:
    """Address, key and time limit are read at each request."""
    source = filled(1.0)
    sender.add(source)
    assert sender.drain(10.0)
    source.key = "key-7654321"
    filled(2.0, source=source)
    assert sender.drain(10.0)

    assert transport.asked == [
        ("http://host/v1/metrics", True, {"authorization": "Bearer key-1234567"}, 7.0),
        ("http://host/v1/metrics", True, {"authorization": "Bearer key-7654321"}, 7.0),
    ]


def test_one_daemon_thread_serves_every_source_and_ends(sender: Sender, transport: Noting) -> None:
    """A second source costs no second thread, and none keeps a process alive."""
    before = len(sender_threads())
    for _ in range(3):
        sender.add(filled(1.0))
    assert sender.drain(10.0)
    during = sender_threads()
    assert sender.stop(5.0)

    assert len(during) == before + 1
    assert all(thread.daemon for thread in during)
    assert len(sender_threads()) == before
    assert transport.is_closed.is_set()


def test_source_added_after_stop_starts_nothing(sender: Sender, transport: Noting) -> None:
    """A process that leaves starts no thread."""
    assert sender.stop(5.0)
    before = len(sender_threads())
    sender.add(filled(1.0))

    assert len(sender_threads()) == before
    assert not sender.drain(0.0)
    assert transport.asked == []


def test_drain_waits_for_every_frame_that_was_there_and_no_other(clock: ManualClock) -> None:
    """A flush of several frames ends when they are answered, though more come all the time."""
    source = filled(1.0, 2.0, 3.0)
    lane = source.lanes["metrics"]
    is_filling = threading.Event()
    is_filling.set()

    class Filling(ScriptedTransport):
        def post(
            self, url: str, body: bytes, *, is_gzip: bool, headers: Mapping[str, str], timeout_s: float
        ) -> Outcome:
            if is_filling.is_set():
                lane.append(metrics_frame([9.0]))
            return Accepted()

    sender = Sender(Filling(clock, []), split_request, clock=clock)
    sender.add(source)
    is_drained = sender.drain(10.0)
    delivered = lane.delivered
    is_filling.clear()

    assert is_drained
    assert delivered >= 3
    assert sender.stop(5.0)


def test_drain_of_one_source_waits_for_no_other(sender: Sender, transport: Noting) -> None:
    """Flushing a run does not wait for the spools that it adopted."""
    own, adopted = filled(1.0), filled(2.0)
    transport.outcomes += [Accepted()] + [Retry(600.0, "down")] * 50
    sender.add(own)
    sender.add(adopted)

    assert sender.drain(10.0, source=own)
    assert not sender.drain(0.0, source=adopted)
    assert not sender.drain(0.0)


def test_removed_source_goes_and_the_others_stay(sender: Sender, transport: Noting) -> None:
    """Closing one spool ends the delivery of no other."""
    gone, other = filled(1.0), filled()
    transport.outcomes.append(Retry(600.0, "down"))
    sender.add(gone)
    assert gone.wait_for_outcomes(1)
    sender.add(other)
    sender.remove(gone)
    filled(2.0, source=other)

    assert sender.drain(10.0)
    assert (other.lanes["metrics"].delivered, gone.lanes["metrics"].delivered) == (1, 0)
    assert (sender.report(gone), list(sender.report(other))) == ({}, ["metrics"])


def test_answer_of_a_source_removed_meanwhile_reaches_nobody(sender: Sender, transport: Noting) -> None:
    """Once `remove` has returned, a spool may be closed: a late answer touches nothing of it."""
    source, other = filled(1.0), filled()
    transport.release.clear()
    sender.add(source)
    assert transport.entered.wait(10.0)
    sender.remove(source)
    transport.release.set()
    sender.add(other)
    filled(2.0, source=other)
    assert sender.drain(10.0)

    assert (source.lanes["metrics"].waiting_frames, source.outcomes) == (1, [])


def test_answer_that_stop_cut_is_nobodys_fault(
    sender: Sender, transport: Noting, caplog: pytest.LogCaptureFixture
) -> None:
    """Leaving during a request warns of nothing and tells nobody of an outage."""
    source = filled(1.0)
    transport.outcomes.append(Retry(None, "aborted"))
    transport.release.clear()
    with caplog.at_level(logging.WARNING, "rundial"):
        sender.add(source)
        assert transport.entered.wait(10.0)
        assert sender.stop(0.2)

    assert transport.aborted.is_set()
    assert (caplog.records, source.outcomes) == ([], [])
    assert source.lanes["metrics"].waiting_frames == 1


def test_request_that_ends_in_time_is_not_cut(sender: Sender, transport: Noting) -> None:
    """A stop gives the request under way half of its time, and what it delivered counts."""
    source = filled(1.0)
    transport.release.clear()
    sender.add(source)
    assert transport.entered.wait(10.0)
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(sender.stop(20.0)))
    thread.start()
    wait_until(lambda: sender._is_stopping, 10.0)
    transport.release.set()
    thread.join(10.0)

    assert ended == [True]
    assert not transport.aborted.is_set()
    assert source.lanes["metrics"].delivered == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [(OSError(28, "No space left on device"), "No space left on device"), (KeyError("x"), "KeyError")],
)
def test_failure_of_our_own_is_counted_named_and_tried_again(
    sender: Sender, transport: Noting, clock: ManualClock, error: Exception, words: str
) -> None:
    """A bug or a failing disk costs patience, never the thread."""
    source = Failing("http://host", [error, error])
    filled(1.0, source=source)
    sender.add(source)
    reports = []
    for count in (1, 2):
        wait_for_failures(sender, source, count)
        reports.append(sender.report(source)["metrics"])
        clock.advance(2.0)
        sender.wake()
    assert sender.drain(10.0)

    assert [(report.failed, report.last_error) for report in reports] == [
        (1, f"interrupted: {words}"),
        (2, f"interrupted: {words}"),
    ]
    assert source.lanes["metrics"].delivered == 1


def test_failure_waits_as_a_lost_request_does(sender: Sender, transport: Noting) -> None:
    """A fault that stays does not spin."""
    source = Failing("http://host", [KeyError("x")] * 50)
    filled(1.0, source=source)
    sender.add(source)
    wait_for_failures(sender, source, 1)
    for _ in range(5):
        sender.wake()
    other = filled(2.0)
    sender.add(other)
    wait_until(lambda: other.lanes["metrics"].delivered == 1, 10.0)

    assert sender.report(source)["metrics"].failed == 1


def test_reports_count_requests_and_repeats(sender: Sender, transport: Noting, clock: ManualClock) -> None:
    """Diagnostics tell what an outage cost in requests."""
    source = filled(1.0, 2.0)
    transport.outcomes += [Retry(None, "down"), Retry(None, "down"), Accepted(), Accepted()]
    sender.add(source)
    for count in (1, 2):
        assert source.wait_for_outcomes(count)
        clock.advance(2.0)
        sender.wake()
    assert sender.drain(10.0)
    report = sender.report(source)["metrics"]

    assert (report.requests, report.retries, report.failed, report.last_error) == (4, 2, 2, None)
    assert source.outcomes == [
        ("metrics", Retry(None, "down")),
        ("metrics", Retry(None, "down")),
        ("metrics", Accepted()),
        ("metrics", Accepted()),
    ]


def test_encoding_that_is_not_supported_is_no_news(
    sender: Sender, transport: Noting, caplog: pytest.LogCaptureFixture
) -> None:
    """A 415 that a plain body answers neither warns nor pauses."""
    source = filled(1.0)
    transport.outcomes += [Pause(415, "encoding"), Accepted()]
    with caplog.at_level(logging.WARNING, "rundial"):
        sender.add(source)
        assert sender.drain(10.0)

    assert [is_gzip for _, is_gzip, _, _ in transport.asked] == [True, False]
    assert (caplog.records, source.outcomes) == ([], [("metrics", Accepted())])


def test_refused_records_are_warned_of_with_their_number(
    sender: Sender, transport: Noting, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever reads the log learns how many records a server refused for good."""
    source = MemorySource("http://host")
    source.lanes["metrics"].append(metrics_frame([1.0, 2.0, 3.0]))
    transport.outcomes.append(Partial(2, "too old"))
    with caplog.at_level(logging.WARNING, "rundial"):
        sender.add(source)
        assert sender.drain(10.0)

    texts = [record.getMessage() for record in caplog.records]
    assert [text.split(": ")[1] for text in texts] == ["metrics of run test"] * 2
    assert "2 records were refused" in texts[1]


def test_wake_with_reset_forgets_what_was_learnt(sender: Sender, transport: Noting) -> None:
    """After a change of target a frame goes out as it lies on disk, and at once."""
    source = filled(1.0)
    transport.outcomes += [Pause(415, "encoding"), Pause(401, "no key")]
    sender.add(source)
    assert source.wait_for_outcomes(1)
    sender.wake(reset=True)
    assert sender.drain(10.0)

    assert [is_gzip for _, is_gzip, _, _ in transport.asked] == [True, False, True]


def test_wake_without_reset_ends_no_pause(sender: Sender, transport: Noting) -> None:
    """New records do not make a lane that waits for a person ask again and again."""
    source, other = filled(1.0), filled()
    transport.outcomes.append(Pause(401, "no key"))
    sender.add(source)
    assert source.wait_for_outcomes(1)
    sender.add(other)
    for value in range(3):
        filled(float(value), source=other)
        sender.wake()
    wait_until(lambda: other.lanes["metrics"].delivered == 3, 10.0)

    assert sender.report(source)["metrics"].requests == 1
    assert sender.report(source)["metrics"].is_paused


def test_sleeping_sender_wakes_for_the_lane_that_is_due_first() -> None:
    """A lane that waits a second is not kept waiting by one that pauses for minutes."""
    source = MemorySource("http://host", ("metrics", "logs"))
    for lane in source.lanes.values():
        lane.append(metrics_frame([1.0]))
    transport = ScriptedTransport(ManualClock(), [Retry(0.05, "soon"), Pause(401, "no key")])
    sender = Sender(transport, split_request)
    sender.add(source)
    wait_until(lambda: source.lanes["metrics"].delivered == 1, 10.0)

    assert source.lanes["logs"].waiting_frames == 1
    assert sender.stop(5.0)
