"""How often one key may send, whichever way its requests come: one count for HTTP and gRPC together."""

from __future__ import annotations

from math import ceil
from typing import Final

from rundial.clock import Clock
from rundial.server.keys import Principal
from rundial.server.problems import Problem
from rundial.server.throttle import Throttle

# A burst of ten seconds' worth: what a job with a thousand ranks sends when it begins.
_BURST_S: Final = 10


class Pace:
    """Bounds the requests of each key and session.

    Args:
        requests_per_minute: What one may send in the long run; 0 sets no bound.
        clock: Tells the time between them.

    Threads: the event loop's alone.
    """

    def __init__(self, requests_per_minute: int, clock: Clock) -> None:
        self._per_minute = requests_per_minute
        self._clock = clock
        self._throttle: Throttle | None = None
        if requests_per_minute > 0:
            interval_s = 60 / requests_per_minute
            burst = max(1, round(_BURST_S / interval_s))
            self._throttle = Throttle(interval_s=interval_s, burst=burst)

    def take(self, principal: Principal) -> None:
        """Count a request.

        Raises:
            Problem: 429, it came too soon.
        """
        if self._throttle is None:
            return
        wait_s = self._throttle.take(principal.key_id, self._clock.monotonic_s())
        if wait_s > 0:
            raise Problem(
                429,
                f"this key has sent more than {self._per_minute:,} requests a minute",
                "nothing was read; send the same request again after the given wait",
                retry_after_s=ceil(wait_s),
            )
