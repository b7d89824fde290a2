"""What a user is told of delivery: once, with what to do, and without a secret."""

from __future__ import annotations

import logging

import pytest

from rundial.export.notices import Notices
from rundial.export.outcome import Accepted, Outcome, Partial, Pause, Reject, Retry, Split
from tests.support.clock import ManualClock

URL = "https://me:hunter2@host:4318/v1/metrics?token=abc"


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "rundial")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings since the last time this was asked."""
    texts = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    caplog.clear()
    return texts


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Retry(None, "answered 503"), ["answered 503", "stays in the spool", "tried again in 12 s"]),
        (Pause(401, "answered 401"), ["answered 401", "pauses", "stays in the spool", "tried again in 12 s"]),
        (Partial(3, "too old"), ["3 items", "(too old)", "counted as rejected", "the rest is stored"]),
        (Partial(3, ""), ["(no reason given)"]),
        (Reject(400, "answered 400"), ["answered 400", "rejected/", "the rest is delivered"]),
    ],
)
def test_warning_says_what_happened_and_what_becomes_of_the_data(
    caplog: pytest.LogCaptureFixture, outcome: Outcome, words: list[str]
) -> None:
    """A person who reads one line knows what to do, and whether anything is lost."""
    Notices(ManualClock()).outcome("run abc", "metrics", URL, outcome, 12.34)
    (text,) = said(caplog)

    assert text.startswith("rundial: metrics of run abc: https://host:4318/v1/metrics")
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize(
    ("wait_s", "words"),
    [
        (0.0, "tried again at once"),
        (0.04, "tried again at once"),
        (0.26, "tried again in 0.3 s"),
        (9.96, "tried again in 10.0 s"),
        (59.6, "tried again in 60 s"),
    ],
)
def test_wait_is_told_in_words_that_mean_something(
    caplog: pytest.LogCaptureFixture, wait_s: float, words: str
) -> None:
    """No line says that something happens in 0.0 seconds."""
    Notices(ManualClock()).outcome("run abc", "metrics", URL, Retry(None, "answered 503"), wait_s)
    (text,) = said(caplog)

    assert words in text


@pytest.mark.parametrize("outcome", [Accepted(), Split()])
def test_what_needs_no_person_is_not_warned_of(caplog: pytest.LogCaptureFixture, outcome: Outcome) -> None:
    """A server with a small limit is not a line in the log."""
    Notices(ManualClock()).outcome("run abc", "metrics", URL, outcome, 0.0)

    assert said(caplog) == []


def test_same_cause_is_warned_of_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """An outage of a day is not a file of a day, and does not fall silent either."""
    clock = ManualClock()
    notices = Notices(clock)
    counts = []
    for seconds in (0.0, 59.9, 0.1, 59.9, 0.1):
        clock.advance(seconds)
        notices.outcome("run abc", "metrics", URL, Retry(None, "down"), 1.0)
        counts.append(len(said(caplog)))

    assert counts == [1, 0, 1, 0, 1]


def test_each_source_lane_and_cause_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """One loud fault hides no other."""
    notices = Notices(ManualClock())
    for _ in range(2):
        for label in ("run abc", "run xyz"):
            for lane in ("metrics", "logs"):
                notices.outcome(label, lane, URL, Retry(None, "down"), 1.0)
        for status in (401, 403):
            notices.outcome("run abc", "metrics", URL, Pause(status, "no"), 1.0)
        for status in (400, 422):
            notices.outcome("run abc", "metrics", URL, Reject(status, "no"), 1.0)
        notices.outcome("run abc", "metrics", URL, Partial(1, "no"), 1.0)
        notices.refused("run abc", "metrics", 5)
        notices.broken("run abc", "metrics", OSError(28, "No space left on device"), 1.0)
        notices.broken("run abc", "metrics", KeyError("x"), 1.0)

    assert len(said(caplog)) == 12


def test_refused_records_are_warned_of_with_their_number(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads the log learns that records were lost, how many, and where copies lie."""
    Notices(ManualClock()).refused("run abc", "logs", 41)
    (text,) = said(caplog)

    assert text.startswith("rundial: logs of run abc: 41 records were refused")
    assert "rejected/ in the spool" in text


@pytest.mark.parametrize(
    ("error", "reason"),
    [(OSError(28, "No space left on device"), "No space left"), (KeyError("x"), "KeyError")],
)
def test_interruption_is_warned_of_with_its_reason(
    caplog: pytest.LogCaptureFixture, error: Exception, reason: str
) -> None:
    """A full disk is named as one, and the trace of our own bug is there for who turns on debugging."""
    Notices(ManualClock()).broken("run abc", "logs", error, 2.04)
    details = [record for record in caplog.records if record.levelno == logging.DEBUG]
    (text,) = said(caplog)

    assert f"interrupted ({reason}" in text
    assert "tried again in 2.0 s" in text
    assert "hunter2" not in text
    assert [(record.getMessage(), record.exc_info and record.exc_info[1]) for record in details] == [
        ("rundial: logs of run abc: interrupted", error)
    ]


def test_interruption_is_detailed_only_where_it_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """A debug log is not flooded either."""
    notices = Notices(ManualClock())
    for _ in range(3):
        notices.broken("run abc", "logs", KeyError("x"), 1.0)

    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.DEBUG]


def test_memory_of_what_was_said_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """A process that adopts spools for months does not grow by its warnings."""
    notices = Notices(ManualClock())
    for number in range(1025):
        notices.refused(f"run {number}", "logs", 1)
    said(caplog)
    notices.refused("run 1024", "logs", 1)
    known = said(caplog)
    notices.refused("run 1023", "logs", 1)

    assert (len(known), len(said(caplog))) == (0, 1)
    assert len(notices._said_s) <= 1024
