"""One frame on its way, against a server that is a function."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.export.delivery import BISECT_REQUESTS, Delivery, Habits, Part
from rundial.export.outcome import Accepted, Outcome, Partial, Pause, Reject, Retry, Split
from rundial.signals.split import split_request
from rundial.spool.frame import Frame
from tests.support.collector import Request
from tests.support.lanes import MemoryLane, metrics_frame

_Server = Callable[[Part], Outcome]


def _values(body: bytes) -> list[float]:
    return [point.as_double for point in Request("/v1/metrics", {}, body, 0).records()]


def _deliver(
    frame: Frame, server: _Server, habits: Habits | None = None
) -> tuple[MemoryLane, list[Part], list[float]]:
    """Send a frame until it is answered: its lane, the requests made, what the server stored."""
    lane = MemoryLane()
    lane.append(frame)
    found = lane.peek()
    assert found is not None
    delivery = Delivery("metrics", found, habits or Habits(), split_request)
    requests: list[Part] = []
    stored: list[float] = []
    while not delivery.is_answered:
        part = delivery.next_part()
        requests.append(part)
        outcome = server(part)
        if isinstance(outcome, (Accepted, Partial)):
            stored += _values(part.plain().body)
        delivery.take(outcome)
    delivery.settle(lane)
    return lane, requests, stored


def _refuse(bad: set[float]) -> _Server:
    return lambda part: Reject(400, "bad") if bad & set(_values(part.plain().body)) else Accepted()


def _limit(limit_bytes: int) -> _Server:
    return lambda part: Split() if part.plain_bytes > limit_bytes else Accepted()


def test_an_accepted_frame_is_one_request_and_one_ack() -> None:
    """The ordinary frame leaves as it lies on disk."""
    frame = metrics_frame([1.0, 2.0])
    lane, requests, _ = _deliver(frame, lambda _: Accepted())

    assert [part.body for part in requests] == [frame.body]
    assert (lane.delivered, lane.rejected, lane.waiting_frames) == (2, 0, 0)


@given(count=st.integers(1, 200), bad=st.sets(st.integers(0, 199), max_size=12), is_gzip=st.booleans())
def test_a_refusal_loses_only_what_is_refused(count: int, bad: set[int], is_gzip: bool) -> None:
    """However many points a server calls malformed: nothing is lost twice or silently."""
    frame = metrics_frame([float(n) for n in range(count)], is_gzip=is_gzip)
    lane, requests, stored = _deliver(frame, _refuse({float(n) for n in bad}))
    filed = [value for body, _ in lane.parts for value in _values(body)]

    assert sorted(stored + filed) == [float(n) for n in range(count)]
    assert not {int(value) for value in stored} & bad
    assert (lane.delivered, lane.rejected) == (len(stored), len(filed))
    assert len(requests) <= 1 + BISECT_REQUESTS


@pytest.mark.parametrize("bad", [0, 77, 199])
def test_one_bad_point_costs_exactly_itself(bad: int) -> None:
    """A poisoned batch delivers the other 199 points."""
    lane, _, stored = _deliver(metrics_frame([float(n) for n in range(200)]), _refuse({float(bad)}))

    assert lane.rejected == 1
    assert len(stored) == 199
    assert [_values(body) for body, _ in lane.parts] == [[float(bad)]]


@given(count=st.integers(1, 120), limit=st.integers(60, 4000))
def test_a_request_too_large_arrives_in_parts(count: int, limit: int) -> None:
    """A small body limit costs requests, not points; only a single point above it is refused."""
    lane, _, stored = _deliver(metrics_frame([float(n) for n in range(count)]), _limit(limit))

    assert lane.delivered + lane.rejected == count
    assert sorted(stored + [v for body, _ in lane.parts for v in _values(body)]) == list(range(count))
    if limit > 100:
        assert lane.rejected == 0


def test_the_accepted_size_is_remembered_for_the_next_frame() -> None:
    """A server with a small limit answers 413 for the first frame alone."""
    habits = Habits()
    frame = metrics_frame([float(n) for n in range(200)])
    size = len(gzip.decompress(frame.body))
    refused: list[int] = []

    def server(part: Part) -> Outcome:
        if part.plain_bytes <= size // 3:
            return Accepted()
        refused.append(part.plain_bytes)
        return Split()

    _deliver(frame, server, habits)
    first = len(refused)
    lane, requests, _ = _deliver(frame, server, habits)

    assert first > 0
    assert len(refused) == first
    assert lane.delivered == 200
    assert all(part.is_gzip for part in requests)


def test_a_server_that_cannot_gunzip_gets_plain_bodies_from_then_on() -> None:
    """Compression that a server refuses costs one request, once."""
    habits = Habits()

    def server(part: Part) -> Outcome:
        return Reject(400, "gzip") if part.is_gzip else Accepted()

    first = _deliver(metrics_frame([1.0, 2.0]), server, habits)
    second = _deliver(metrics_frame([3.0]), server, habits)

    assert [part.is_gzip for part in first[1]] == [True, False]
    assert [part.is_gzip for part in second[1]] == [False]
    assert first[0].delivered == 2


def test_an_unsupported_encoding_is_tried_plain_before_it_pauses() -> None:
    """415 for gzip alone does not stop a lane."""

    def server(part: Part) -> Outcome:
        return Pause(415, "encoding") if part.is_gzip else Accepted()

    lane, requests, _ = _deliver(metrics_frame([1.0]), server)

    assert len(requests) == 2
    assert lane.delivered == 1


@given(items=st.integers(1, 5), rejected=st.integers(0, 9))
def test_a_partial_success_counts_what_the_server_refused(items: int, rejected: int) -> None:
    """A server's own count of refusals reaches the ledger, never above what was sent."""
    frame = metrics_frame([float(n) for n in range(items)])
    lane, _, _ = _deliver(frame, lambda _: Partial(rejected, "no"))

    assert lane.rejected == min(rejected, items)
    assert lane.delivered == items - lane.rejected


def test_items_that_are_no_units_are_not_counted() -> None:
    """Run events are outside the ledger, also when a server refuses them."""
    lane, _, _ = _deliver(metrics_frame([1.0, 2.0], units=0), lambda _: Reject(400, "no"))

    assert (lane.delivered, lane.rejected) == (0, 0)
    assert lane.acked


def test_a_frame_refused_whole_counts_all_its_units() -> None:
    """The count is exact also where an item is not a unit."""
    lane, _, _ = _deliver(metrics_frame([1.0, 2.0], units=7), lambda _: Reject(400, "no"))

    assert (lane.delivered, lane.rejected) == (0, 7)


def test_bytes_that_no_one_can_read_are_refused_whole() -> None:
    """A body that cannot be halved does not stop its lane."""
    frame = Frame(3, 3, bytes(16), 0, 0, (0,) * 10, b"\xff\xff", False)
    lane = MemoryLane()
    lane.append(frame)
    found = lane.peek()
    assert found is not None
    delivery = Delivery("metrics", found, Habits(), split_request)
    delivery.take(Reject(400, "no"))
    delivery.settle(lane)

    assert lane.parts == [(b"\xff\xff", 3)]
    assert lane.rejected == 3


def test_an_outage_in_the_middle_of_a_split_frame_sends_no_part_twice() -> None:
    """What was accepted before the server went away is not sent again."""
    size = len(gzip.decompress(metrics_frame([float(n) for n in range(64)]).body))
    outages = iter([False, False, True, False, True] + [False] * 99)

    def server(part: Part) -> Outcome:
        if next(outages):
            return Retry(None, "down")
        return _limit(size // 4)(part)

    lane, _, stored = _deliver(metrics_frame([float(n) for n in range(64)]), server)

    assert stored == [float(n) for n in range(64)]
    assert lane.delivered == 64


def test_an_ack_that_cannot_be_written_is_repeated_without_filing_twice() -> None:
    """A full disk at the wrong moment counts nothing twice."""
    lane = MemoryLane(failures=[OSError(28, "No space left on device")])
    lane.append(metrics_frame([1.0], is_gzip=False))
    found = lane.peek()
    assert found is not None
    delivery = Delivery("metrics", found, Habits(), split_request)
    delivery.take(Reject(400, "no"))
    with pytest.raises(OSError, match="No space"):
        delivery.settle(lane)

    assert delivery.settle(lane) == 1
    assert len(lane.parts) == 1
    assert lane.rejected == 1
