"""What is counted, and why it can be lost: two closed sets of names.

They are API: they reach the server and the web UI, and their order is on disk and in the ring.
"""

from __future__ import annotations

from typing import Literal, get_args

Reason = Literal[
    "queue_full",
    "spool_full",
    "spool_expired",
    "too_large",
    "invalid",
    "non_finite",
    "rejected",
    "after_finish",
    "internal_error",
]
REASONS: tuple[Reason, ...] = get_args(Reason)
Signal = Literal["points", "lines", "spans", "artifacts"]
ACCOUNTS: tuple[Signal, ...] = get_args(Signal)
# Those that travel as telemetry; files go a way of their own.
SIGNALS: tuple[Signal, ...] = ACCOUNTS[:3]
