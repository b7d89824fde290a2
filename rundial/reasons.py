"""What is counted, and why it can be lost: two closed sets of names.

They are API: they reach the server and the web UI, and their order is on disk and in the ring.
"""

from __future__ import annotations

from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from rundial.choices import Reason as Reason
    from rundial.choices import Signal as Signal

REASONS: tuple[Reason, ...] = (
    "queue_full",
    "spool_full",
    "spool_expired",
    "too_large",
    "invalid",
    "non_finite",
    "rejected",
    "after_finish",
    "internal_error",
)
ACCOUNTS: tuple[Signal, ...] = ("points", "lines", "spans", "artifacts")
# Those that travel as telemetry; files go a way of their own.
SIGNALS: tuple[Signal, ...] = ACCOUNTS[:3]
