"""When to try again."""

from __future__ import annotations

import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.export.backoff import pause_s, read_retry_after, schedule


@given(st.integers(1, 10**9), st.integers())
def test_schedule_without_a_wish_stays_below_its_doubling_ceiling(attempt: int, seed: int) -> None:
    """Retries come quickly after a blip and at most a minute apart in a long outage."""
    wait = schedule(attempt, None, Random(seed))

    assert 0.0 <= wait <= min(60.0, 0.5 * 2 ** min(attempt - 1, 10))


@pytest.mark.parametrize(
    ("attempt", "ceiling_s"), [(0, 0.5), (1, 0.5), (2, 1.0), (3, 2.0), (7, 32.0), (8, 60.0), (2000, 60.0)]
)
def test_schedule_draws_evenly_below_a_ceiling_that_doubles(attempt: int, ceiling_s: float) -> None:
    """The first retry may come at once, and each failure doubles how long it may take."""
    waits = [schedule(attempt, None, Random(seed)) for seed in range(9)]

    assert waits == [Random(seed).uniform(0.0, ceiling_s) for seed in range(9)]


@pytest.mark.parametrize(
    ("wish_s", "latest_s"), [(0.5, 0.55), (100.0, 110.0), (590.0, 600.0), (600.0, 600.0), (9999.0, 600.0)]
)
def test_schedule_spreads_a_wish_over_a_tenth_more(wish_s: float, latest_s: float) -> None:
    """Clients that were all told the same time do not all come at that time."""
    waits = [schedule(3, wish_s, Random(seed)) for seed in range(50)]
    spread = latest_s - min(wish_s, 600.0)

    assert min(wish_s, 600.0) <= min(waits) <= min(wish_s, 600.0) + spread / 4
    assert latest_s - spread / 4 <= max(waits) <= latest_s


def test_schedule_spreads_clients_over_the_whole_range() -> None:
    """Clients that failed together do not come back together."""
    rng = Random(1)
    waits = [schedule(8, None, rng) for _ in range(1000)]

    assert min(waits) < 6.0
    assert max(waits) > 54.0
    assert 26.0 < sum(waits) / len(waits) < 34.0


@given(st.floats(0.001, 10**6), st.integers(1, 50), st.integers())
def test_schedule_never_comes_back_before_the_server_wished(wish: float, attempt: int, seed: int) -> None:
    """`Retry-After` is obeyed up to ten minutes."""
    wait = schedule(attempt, wish, Random(seed))

    assert min(wish, 600.0) <= wait <= 600.0


def test_schedule_with_a_wish_of_zero_draws_as_without_one() -> None:
    """A server that says "at once" cannot make its clients spin."""
    assert schedule(5, 0.0, Random(3)) == schedule(5, None, Random(3)) > 0.0


def test_pause_doubles_from_half_a_minute_to_five() -> None:
    """A wrong key costs the server few requests."""
    assert [pause_s(n) for n in (0, 1, 2, 3, 4, 5, 2000)] == [30.0, 30.0, 60.0, 120.0, 240.0, 300.0, 300.0]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("9" * 9, 999_999_999.0),
        ("1" + "0" * 9, 600.0),
        ("9" * 5000, 600.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
        ("Tue, 14 Nov 2023 22:13:50 -0000", 30.0),
        ("Tue, 14 Nov 2023 23:13:50 +0100", 30.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        (None, None),
    ],
)
def test_retry_after_reads_seconds_and_dates(value: str | None, seconds: float | None) -> None:
    """Both forms of the header are understood, and nonsense is no wish."""
    assert read_retry_after(value, 1_700_000_000.0) == seconds


@given(st.text())
def test_retry_after_of_any_text_is_seconds_or_none(value: str) -> None:
    """No header of a server can raise into delivery."""
    seconds = read_retry_after(value, 1_700_000_000.0)

    assert seconds is None or seconds >= 0.0


def test_retry_after_a_date_means_the_same_in_every_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A date without a zone is UTC, wherever the cluster stands."""
    try:
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("TZ", "XYZ-9")
            time.tzset()
            seconds = read_retry_after("Tue, 14 Nov 2023 22:13:50 -0000", 1_700_000_000.0)
    finally:
        time.tzset()

    assert seconds == 30.0
