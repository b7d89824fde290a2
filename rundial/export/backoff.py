"""When to try again: pure functions of what has happened so far.

Nothing here reads a clock or waits; the sender does both.
"""

from __future__ import annotations

import math
from datetime import timezone
from typing import TYPE_CHECKING

from rundial.export.policy import FOR_EVER, Policy

if TYPE_CHECKING:
    from random import Random

_LONGEST_WISH_S = 600.0
# A server that names one time for all its clients gets them spread over a tenth more.
_WISH_SPREAD = 0.1
_FIRST_PAUSE_S = 30.0
_LAST_PAUSE_S = 300.0
# Far beyond any ceiling; without it, attempt 1,100 overflows a float.
_MAX_DOUBLINGS = 64


def schedule(attempt: int, retry_after_s: float | None, rng: Random, policy: Policy = FOR_EVER) -> float:
    """Return how long to wait before the next attempt.

    Doubles its ceiling, by default from 0.5 s to 60 s, and draws the wait evenly below it, so
    that clients that failed together do not come back together. Pure: reads no clock.

    Args:
        attempt: Attempts already made, from 1.
        retry_after_s: The server's own wish in seconds; obeyed up to 600 s. A wish of 0 is
            no wish, so that a server cannot make its clients spin.
        rng: Source of the spread; tests pass a seeded one.
        policy: Ceilings and spread.

    Returns:
        Seconds, never negative, at most 600 or the policy's ceiling; infinite once the policy's
        attempts are used up.

    Source:
        OTLP 1.x, "OTLP/HTTP Throttling".
    """
    if policy.max_attempts is not None and attempt >= policy.max_attempts:
        return math.inf
    if retry_after_s is not None and retry_after_s > 0:
        spread = rng.uniform(0.0, retry_after_s * _WISH_SPREAD) if retry_after_s < _LONGEST_WISH_S else 0.0
        return min(retry_after_s + spread, _LONGEST_WISH_S)
    doublings = min(max(attempt, 1) - 1, _MAX_DOUBLINGS)
    ceiling = min(policy.first_s * 2.0**doublings, policy.last_s)
    return rng.uniform(ceiling * (1.0 - policy.jitter), ceiling)


def pause_s(pauses: int) -> float:
    """Return how long a lane waits that only a person can help.

    Args:
        pauses: Pauses in a row, from 1.

    Returns:
        30 s, doubling up to 300 s.
    """
    doublings = min(max(pauses, 1) - 1, _MAX_DOUBLINGS)
    return min(_FIRST_PAUSE_S * 2.0**doublings, _LAST_PAUSE_S)


def read_retry_after(value: str | None, now_unix_s: float) -> float | None:
    """Read a `Retry-After` header: seconds or an HTTP date.

    Args:
        value: The header as sent; None when there was none.
        now_unix_s: Wall time, which a date is compared with.

    Returns:
        Seconds from now, never negative; None when there is no header that can be read.

    Source:
        RFC 9110, 10.2.3.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        # Cut to length: int() of a very long number is slow, and anything above 600 s is 600 s.
        return float(int(text[:9])) if len(text) <= 9 else _LONGEST_WISH_S
    # A date is rare, and reading one costs the import of a mail parser.
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return max(0.0, when.timestamp() - now_unix_s)
