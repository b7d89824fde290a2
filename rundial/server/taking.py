"""One OTLP request from its bytes to its commit, whichever way it came in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Connection

from rundial.server import keys
from rundial.server.keys import Principal
from rundial.server.problems import Problem, busy
from rundial.server.rows import Decoded, Delivery, Refusals, Signal
from rundial.server.services import Services

SCOPES: Final[Mapping[Signal, frozenset[str]]] = {
    "metrics": frozenset({keys.METRICS_WRITE}),
    # A run's start and end are log records too: a key that may write its points alone must carry them.
    "logs": keys.WRITE_SCOPES,
    "traces": frozenset({keys.TRACES_WRITE}),
}


def need_room(services: Services) -> None:
    """Check that a request could be written, before its body is read: it would only take memory.

    Raises:
        Problem: 503, the write queue is full.
    """
    if not services.writer.has_room():
        raise busy("the server's write queue is full")


async def take(
    services: Services, principal: Principal, signal: Signal, decode: Callable[[], Decoded]
) -> Refusals:
    """Decode a request in a worker thread and store it; returns once it is committed.

    Returns:
        What of it was not taken, and why.

    Raises:
        Problem: Nothing of it is stored.
    """

    def weighed() -> tuple[Decoded, int]:
        decoded = decode()
        return decoded, sum(delivery.weight() for delivery in decoded.deliveries)

    decoded, weight = await services.decode(weighed)
    refusals = await _store(services, principal, decoded, weight)
    items = sum(delivery.items() for delivery in decoded.deliveries)
    refused_later = refusals.items - decoded.refusals.items
    services.telemetry.count_records(signal, accepted=items - refused_later, refused=refusals.items)
    return refusals


async def _store(services: Services, principal: Principal, decoded: Decoded, weight: int) -> Refusals:
    received_ns = services.clock.time_unix_ns()

    def store(connection: Connection) -> Refusals:
        refusals = Refusals(decoded.refusals.items, list(decoded.refusals.reasons))
        forbidden: list[Problem] = []
        for delivery in deliveries:
            problem = _unwritable(principal, delivery)
            problem = problem or services.intake.store(connection, principal, delivery, received_ns)
            if problem is not None:
                forbidden.append(problem)
                refusals.add(delivery.items(), problem.message)
        # Of a deleted run the sender is told by the count, and keeps nothing for it.
        forbidden = [each for each in forbidden if each.status == 403]
        if forbidden and len(forbidden) == len(decoded.deliveries):
            raise forbidden[0]  # nothing of it may be written: the sender keeps it until it may
        return refusals

    if not decoded.deliveries:
        return decoded.refusals
    # Several servers on one database take the locks of the runs in one order, and never wait in a ring.
    deliveries = sorted(decoded.deliveries, key=lambda each: each.target.place)
    return await services.write(store, weight=max(1, weight), locks=deliveries[0].target.place)


def _unwritable(principal: Principal, delivery: Delivery) -> Problem | None:
    """What forbids a delivery of text to a key that may write events alone."""
    if not delivery.texts or principal.may(keys.LOGS_WRITE):
        return None
    return Problem(
        403,
        f"this key may not do that; it lacks {keys.LOGS_WRITE}",
        f"use a key with the scope {keys.LOGS_WRITE}",
    )
