"""Times as people write them: `2h`, `45m`, `3d`, `2026-11-01`, `2026-11-01T12:30`, `now`, `yesterday`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import click

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN: Final = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_EXAMPLES: Final = "2h, 1d12h, 2026-11-01, 2026-11-01T12:30, today or yesterday"


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click alone
    """A time in the past or a date, as milliseconds since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it; a span is counted back from now."""
        if isinstance(value, int):
            return value
        found = moment(str(value), datetime.now(tz=timezone.utc).astimezone())
        if found is None:
            self.fail(f"{value!r} is no time; write it like {_EXAMPLES}", param, ctx)
        return found


class Span(click.ParamType):  # type: ignore[type-arg]  # as above, in newer versions alone
    """A length of time, in milliseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        if isinstance(value, int):
            return value
        found = span_ms(str(value))
        if found is None:
            self.fail(f"{value!r} is no length of time; write it like 90m, 12h, 30d", param, ctx)
        return found


def span_ms(text: str) -> int | None:
    """Return a length of time such as `1d12h` in milliseconds, None when it is none."""
    text = text.strip().lower()
    if not _SPAN.fullmatch(text):
        return None
    return round(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)) * 1000)


def moment(text: str, now: datetime) -> int | None:
    """Return a time in milliseconds since 1970, None when it is none.

    Args:
        text: A span before now; a date or a time in ISO 8601, local without an offset; `now`, `today`,
            `yesterday`; or milliseconds since 1970.
        now: With its time zone.
    """
    text = text.strip().lower()
    back_ms = span_ms(text)
    if back_ms is not None:
        return _ms(now) - back_ms
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    if text in named:
        return _ms(named[text])
    if re.fullmatch(r"\d{12,14}", text):
        return int(text)
    try:
        # Python 3.10 reads no Z.
        found = datetime.fromisoformat(re.sub("z$", "+00:00", text))
    except ValueError:
        return None
    try:
        return _ms(found if found.tzinfo else found.astimezone())
    except (OverflowError, OSError, ValueError):
        return None


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)
