"""The last account of a spool that its process has done with, as the server is told it.

A server refuses, and a spool gives up, also what a run has left behind, after the run's own last words
or those of whoever brought its ring into the spool. So the account is compared once everything is
answered, and told again where it has changed; until then the spool stays.

On the thread of whoever finishes or adopts. After a crash: told again, under the same number.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence

from rundial.signals import otlp, semconv
from rundial.signals.records import Event
from rundial.spool.frame import NO_RING, NO_TOTALS, Frame
from rundial.spool.spool import Spool
from rundial.typed import Any

LANE_OF = {"points": "metrics", "lines": "logs", "spans": "traces"}
# Far above the ring's own numbers. Its counters only grow, so their sum tells two accounts apart, and
# the same account, told twice, is stored once.
FIRST_SEQ = 1 << 62
LAST_SIGN_SEQ = FIRST_SEQ - 1
# Facts of the meta: units that the spool's lanes do not count, and the account that was told last.
BESIDE, TOLD = "beside", "told"


def of(spool: Spool) -> dict[str, Any]:
    """Return the account, in the form of `Ledger.wire`, as its lanes and its meta have it now."""
    beside, drops = spool.meta.extra.get(BESIDE, {}), spool.meta.drops
    body: dict[str, Any] = {}
    for signal, lane in LANE_OF.items():
        counts, more = spool.lanes[lane].counts(), beside.get(signal, {})
        body[signal] = {
            "recorded": counts.appended + more.get("recorded", 0),
            "dropped": dict(drops.get(signal, {})),
            "evicted": sum(counts.evicted.values()) + more.get("evicted", 0),
            "rejected": counts.rejected + more.get("rejected", 0),
        }
    jobs, more = spool.journal.counts(), beside.get("artifacts", {})
    body["artifacts"] = {
        "recorded": jobs.added + more.get("recorded", 0),
        "dropped": dict(drops.get("artifacts", {})),
        "evicted": sum(jobs.lost.values()) + more.get("evicted", 0),
        "rejected": jobs.rejected + more.get("rejected", 0),
    }
    return body


def is_told(spool: Spool) -> bool:
    """Whether the account has not changed since it was told."""
    told = spool.meta.extra.get(TOLD)
    # A spool of an earlier version does not say what was told.
    return told is None or bool(told == of(spool))


def tell(spool: Spool, resource: bytes, time_unix_ns: int = 0, *, is_dead: bool = False) -> None:
    """Append the account to the run events and close the meta.

    Args:
        spool: Ours; nobody else appends to it.
        resource: The encoded Resource of the run.
        time_unix_ns: When the run was last heard of; 0 takes when it began.
        is_dead: Its process died before it had ended the run: say also until when it had lived.

    Raises:
        SpoolError: There is no room for it.
        OSError: It cannot be written.
    """
    body = of(spool)
    time_unix_ns = time_unix_ns or spool.meta.created_unix_ns
    events = [Event(FIRST_SEQ + _sum(body), time_unix_ns, semconv.EVENT_RUN_LEDGER, body)]
    if is_dead:
        events.append(Event(LAST_SIGN_SEQ, time_unix_ns, semconv.EVENT_RUN_HEARTBEAT, {}))
    append(spool, resource, events)
    spool.update_meta(state="closed", extra={**spool.meta.extra, TOLD: body})


def append(spool: Spool, resource: bytes, events: Sequence[Event]) -> None:
    """Append events to the run's life in an adopted spool, for the sender to see.

    Raises:
        SpoolError: There is no room for them.
        OSError: They cannot be written.
    """
    lane = spool.lanes["events"]
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = packer.compress(otlp.encode_logs(resource, events)) + packer.flush()
    end = lane.last.end
    lane.append(
        Frame(
            units=0,
            items=len(events),
            ring=NO_RING,
            first=end,
            end=end,
            totals=NO_TOTALS,
            body=packed,
            is_gzip=True,
        )
    )
    spool.publish()


def tell_rest(spool: Spool, resource: bytes, drain: Callable[[], bool]) -> bool:
    """Tell what was lost since the account was told, and have it sent.

    Args:
        spool: As above, with everything answered.
        resource: As above.
        drain: Waits until everything is answered; False when that takes too long.

    Returns:
        Whether the server knows the account.

    Raises:
        SpoolError: There is no room for it.
        OSError: It cannot be written.
    """
    if is_told(spool):
        return True
    tell(spool, resource)
    return drain()


def _sum(body: Mapping[str, Any]) -> int:
    return sum(_sum(part) if isinstance(part, Mapping) else int(part) for part in body.values())
