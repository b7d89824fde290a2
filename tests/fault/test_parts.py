"""Servers that take a part: too large, too fast, one record that they refuse. The rest is delivered."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from math import ceil
from pathlib import Path
from typing import Any

import pytest

import rundial as rd
from rundial.api.adopt import sync
from rundial.signals import semconv
from rundial.spool.rejected import KEPT
from tests.support.collector import Answer, Collector, Request, Rule, partial_if, refused_if
from tests.support.control import control
from tests.support.each_signal import (
    PATHS,
    SIGNALS,
    assert_account,
    each,
    has_all,
    log_each,
    number_of,
    received,
)
from tests.support.processes import own_parts

pytestmark = pytest.mark.fault

COUNT = 40
BAD = 13
WAIT_S = 2.0


def options(collector: Collector, spool: Path, **more: object) -> dict[str, Any]:
    """Arguments of a run against the scripted server."""
    return {
        "project": "refused",
        "endpoint": collector.url,
        "spool_directory": str(spool),
        "ring_bytes": 1 << 20,
        **more,
    }


def of(signal: str) -> Callable[[Any], bool]:
    """Whether a record is the bad one of a signal."""
    kinds = {"points": "as_double", "lines": "severity_number", "spans": "parent_span_id"}
    return lambda record: hasattr(record, kinds[signal]) and number_of(record) == BAD


def too_large_if(is_bad: Callable[[Any], bool]) -> Rule:
    """Answer 413 to more than one record, and to a single one that matches."""

    def refuse(request: Request) -> Answer | None:
        records = request.records()
        return 413 if len(records) > 1 or any(map(is_bad, records)) else None

    return refuse


# How a server refuses one record, and what answers all requests so.
WAYS: dict[str, Callable[[Callable[[Any], bool]], Rule]] = {
    "400": refused_if,
    "422": lambda is_bad: refused_if(is_bad, 422),
    "413": too_large_if,
    "partial success": partial_if,
}


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("way", WAYS)
def test_a_record_that_is_refused_costs_no_other(spool_dir: Path, way: str, signal: str) -> None:
    """One record that a server refuses is counted alone, and told to the server; all others are stored."""
    with Collector(rules=[control(), WAYS[way](of(signal))]) as collector, own_parts():
        run = rd.init(**options(collector, spool_dir))
        log_each(run, range(COUNT))
        assert run.flush(30)
        found = run.diagnostics()
        filed = list(spool_dir.rglob("rejected/*"))
        assert run.finish(30)
    kept = list(spool_dir.glob(f"{KEPT}/*/*.seg"))
    others = [path for path in spool_dir.rglob("*") if path.is_file() and KEPT not in path.parts]

    assert_account(found, delivered=COUNT, rejected={signal: 1})
    assert found.health == "degraded"
    # The copy outlives the spool that everything else of it has left.
    assert (len(kept), others) == (len(filed), [])
    assert found.dropped_points_non_retryable == 1
    # Of a partial success nobody knows which one it was.
    assert len(filed) == (0 if way == "partial success" else 1)
    assert received(collector) == {
        **each(range(COUNT)),
        signal: [number for number in range(COUNT) if number != BAD],
    }
    told = [event.body for event in collector.events if event.event_name == semconv.EVENT_RUN_LEDGER][-1]
    assert {name: told[name]["rejected"] for name in SIGNALS} == {
        name: int(name == signal) for name in SIGNALS
    }


@pytest.mark.parametrize("way", WAYS)
def test_a_record_that_is_refused_at_a_sync_costs_no_other(spool_dir: Path, way: str) -> None:
    """`rundial sync` delivers all but what the server refuses, and leaves nothing waiting."""
    with Collector(rules=[WAYS[way](of("points"))]) as collector:
        with own_parts():
            run = rd.init(**options(collector, spool_dir, mode="offline"))
            log_each(run, range(COUNT))
            assert run.finish(10)
        report = sync([spool_dir], to=collector.url, timeout_s=30)

    assert [result.why for result in report.results] == [""]
    delivered = {"points": COUNT - 1, "lines": COUNT, "spans": COUNT, "artifacts": 0}
    assert report.results[0].delivered == delivered
    assert report.results[0].waiting == {"points": 0, "lines": 0, "spans": 0, "artifacts": 0}
    assert received(collector) == {
        **each(range(COUNT)),
        "points": [number for number in range(COUNT) if number != BAD],
    }


def test_a_server_that_takes_one_record_at_a_time_gets_them_all(spool_dir: Path) -> None:
    """However small a server's limit is, requests are halved until they fit, and each record comes once."""
    with Collector(rules=[control(), too_large_if(lambda _: False)]) as collector, own_parts():
        run = rd.init(**options(collector, spool_dir))
        log_each(run, range(COUNT))
        assert run.flush(30)
        found = run.diagnostics()
        assert run.finish(30)

    assert_account(found, delivered=COUNT)
    assert found.health == "healthy"
    assert received(collector) == each(range(COUNT))


class Busy:
    """A rule that answers 429 to the first request with records of a signal, and remembers those requests.

    Attributes:
        came_s: When each came, by `time.monotonic`.
        due_s: The first moment at which the server wants to be asked again.
    """

    def __init__(self, signal: str, *, is_date: bool) -> None:
        self._signal = signal
        self._is_date = is_date
        self.came_s: list[float] = []
        self.due_s = 0.0

    def __call__(self, request: Request) -> Answer | None:
        """Answer a request, None to take it."""
        if request.path != PATHS[self._signal] or None in map(number_of, request.records()):
            return None
        self.came_s.append(request.at_s)
        if len(self.came_s) > 1:
            return None
        if not self._is_date:
            self.due_s = request.at_s + WAIT_S
            return (429, {"Retry-After": f"{WAIT_S:.0f}"})
        # A date has whole seconds.
        date_s = ceil(time.time() + WAIT_S)
        self.due_s = time.monotonic() + date_s - time.time()
        return (429, {"Retry-After": formatdate(date_s, usegmt=True)})


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("is_date", [False, True], ids=["seconds", "date"])
def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(
    spool_dir: Path, signal: str, *, is_date: bool
) -> None:
    """After 429 a signal's next request comes when the server said, not before, and nothing is lost."""
    busy = Busy(signal, is_date=is_date)
    with Collector(rules=[control(), busy]) as collector, own_parts():
        run = rd.init(**options(collector, spool_dir))
        log_each(run, range(COUNT))
        # No flush: who asks for one wants an attempt at once.
        assert collector.wait_for(lambda: has_all(collector, COUNT), 30)
        assert run.flush(10)
        found = run.diagnostics()
        assert run.finish(10)

    # Two clocks are read one after the other for a date.
    assert busy.came_s[1] >= busy.due_s - 0.01
    assert found.failed_flush_attempts == 1
    assert found.retry_attempts == 1
    assert found.last_error is None
    assert_account(found, delivered=COUNT)
    assert received(collector) == each(range(COUNT))
