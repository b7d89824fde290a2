"""Warnings about delivery: what happened, what becomes of the data, what to do.

One line on the logger `rundial`, at most once a minute for each source, lane and cause,
so that an outage of a day is not a file of a day. Nothing here holds a secret: outcomes
come without them, and URLs are shown without user information.

Threads: the sender's alone.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from rundial.export.addresses import shown_url
from rundial.export.outcome import Accepted, Partial, Pause, Retry, Split

if TYPE_CHECKING:
    from rundial.clock import Clock
    from rundial.export.outcome import Outcome

logger = logging.getLogger("rundial")

_INTERVAL_S = 60.0
_MOST_CAUSES = 1024


def _again(wait_s: float) -> str:
    # The wait is drawn from nothing up, so that clients which failed together do not come back together.
    if wait_s < 0.1:
        return "tried again at once"
    return f"tried again in {wait_s:.1f} s" if wait_s < 10.0 else f"tried again in {wait_s:.0f} s"


class Notices:
    """Says each thing at most once a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said_s: dict[tuple[str, str, str], float] = {}

    def outcome(self, label: str, lane: str, url: str, outcome: Outcome, wait_s: float) -> None:
        """Warn about an answer that was no accept.

        Args:
            label: What the source is called.
            lane: The lane's name.
            url: Where the request went.
            outcome: What became of it.
            wait_s: Seconds until the lane is tried again; read for `Retry` and `Pause`.
        """
        if isinstance(outcome, (Accepted, Split)):
            return
        where = shown_url(url)
        if isinstance(outcome, Retry):
            again = (
                _again(wait_s)
                if wait_s < math.inf
                else "its attempts are used up, and it is tried again by flush, finish or `rundial sync`"
            )
            text = f"{where}: {outcome.why}. Everything stays in the spool; {again}."
            self._say((label, lane, "retry"), text)
        elif isinstance(outcome, Pause):
            text = (
                f"{where}: {outcome.why}. This lane pauses and everything stays in the spool; "
                f"{_again(wait_s)}, and as soon as the key or the endpoint changes."
            )
            self._say((label, lane, f"pause {outcome.status}"), text)
        elif isinstance(outcome, Partial):
            text = (
                f"{where} accepted the request but {outcome.rejected_items} items of it "
                f"({outcome.message or 'no reason given'}). They are counted as rejected; the rest is stored."
            )
            self._say((label, lane, "partial"), text)
        else:
            text = (
                f"{where}: {outcome.why}. What exactly is refused is being found out; "
                "that part is filed under rejected/ and counted, the rest is delivered."
            )
            self._say((label, lane, f"reject {outcome.status}"), text)

    def refused(self, label: str, lane: str, units: int) -> None:
        """Warn that a frame's refused part was counted as lost."""
        text = (
            f"{units} records were refused by the server for good and are counted as rejected; "
            "what it refused whole lies under rejected/ in the run's spool, and under .rejected/ in the "
            "spool directory when the rest is delivered."
        )
        self._say((label, lane, "refused"), text)

    def broken(self, label: str, lane: str, error: Exception, wait_s: float) -> None:
        """Warn that the spool or our own code failed, which must not end delivery."""
        reason = getattr(error, "strerror", None) or type(error).__name__
        text = (
            f"delivery was interrupted ({reason}). Everything stays in the spool; "
            f"{_again(wait_s)}. Check the disk that holds the spool."
        )
        if self._say((label, lane, f"broken {type(error).__name__}"), text):
            logger.debug("rundial: %s of %s: interrupted", lane, label, exc_info=error)

    def _say(self, cause: tuple[str, str, str], text: str) -> bool:
        now = self._clock.monotonic_s()
        last = self._said_s.get(cause)
        if last is not None and now - last < _INTERVAL_S:
            return False
        if len(self._said_s) >= _MOST_CAUSES:
            self._said_s.clear()  # bounded: a process that adopts for months meets many sources
        self._said_s[cause] = now
        label, lane, _ = cause
        logger.warning("rundial: %s of %s: %s", lane, label, text)
        return True
