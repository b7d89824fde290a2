"""Times as people write them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from click.testing import CliRunner

from rundial.cli.main import main
from rundial.cli.times import moment, span_ms

NOW = datetime(2026, 11, 29, 15, 30, tzinfo=timezone(timedelta(hours=2)))
NOW_MS = int(NOW.timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("90s", 90), ("45m", 2700), ("2h", 7200), ("1d12h", 129_600), ("3W", 1_814_400), ("1.5h", 5400)],
)
def test_spans_are_counted_back_from_now(text: str, wanted: int) -> None:
    """`--since 2h` is two hours ago."""
    assert span_ms(text) == wanted * 1000
    assert moment(text, NOW) == NOW_MS - wanted * 1000


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-01T00:00:00Z", datetime(2026, 11, 1, tzinfo=timezone.utc)),
        ("2026-11-01T12:30+02:00", datetime(2026, 11, 1, 10, 30, tzinfo=timezone.utc)),
        ("today", NOW.replace(hour=0, minute=0)),
        ("yesterday", NOW.replace(day=28, hour=0, minute=0)),
        ("now", NOW),
        ("1795980880092", datetime.fromtimestamp(1795980880.092, tz=timezone.utc)),
    ],
)
def test_dates_and_names_are_read(text: str, wanted: datetime) -> None:
    """An offset counts where there is one."""
    assert moment(text, NOW) == round(wanted.timestamp() * 1000)


def test_date_alone_is_midnight_where_the_person_is() -> None:
    """`--since 2026-11-01` is the day's beginning by the local clock."""
    assert moment("2026-11-01", NOW) == round(datetime(2026, 11, 1).astimezone().timestamp() * 1000)


@pytest.mark.parametrize(
    "text", ["", "2", "2x", "h2", "2h3", "2026-13-01", "soon", "-2h", "99999999999999999999"]
)
def test_what_is_no_time_is_none(text: str) -> None:
    """Nothing is guessed."""
    assert moment(text, NOW) is None


def test_wrong_time_is_answered_with_examples() -> None:
    """A person sees how it is written."""
    result = CliRunner().invoke(main, ["run", "list", "--since", "last week"])

    assert result.exit_code == 1
    assert "2026-11-01" in result.stderr
