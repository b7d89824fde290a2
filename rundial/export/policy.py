"""How a lane is tried again after a failure."""

from __future__ import annotations

from typing import NamedTuple


class Policy(NamedTuple):
    """How a lane is tried again.

    Attributes:
        first_s: Ceiling of the first wait, seconds; doubled with each attempt.
        last_s: Ceiling of every wait, seconds.
        jitter: Share of a wait that is drawn, 0 to 1; 1 draws it evenly from 0 to the ceiling.
        max_attempts: Attempts after which the lane is left alone until somebody asks for it, with
            everything kept; None tries for ever.
    """

    first_s: float = 0.5
    last_s: float = 60.0
    jitter: float = 1.0
    max_attempts: int | None = None


FOR_EVER = Policy()
