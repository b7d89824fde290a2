"""Which attempt of its run a start is, and whether it may be one. Pure.

Every process that attaches to a run is a new attempt, except that the ranks of one launch share theirs.
A start that is told late, by `rundial sync` or by a client whose server could not be reached, is never
refused: its data exists already. What would have been a refusal is a conflict that the answer names,
and the data is kept as an attempt of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rundial.server.problems import Problem
from rundial.server.runlife import TERMINAL


@dataclass(frozen=True, slots=True)
class Start:
    """A start as a control request announces it.

    Attributes:
        run_id: The run's id.
        resume: `never`, `allow` or `must`.
        instance: The process's `service.instance.id`, empty when the client did not say.
        attempt: The attempt that the client counts, None when it leaves that to the server.
        body: What the start says, as in a `rundial.run.start` event.
        started_unix_ns: The client's time of it; the server's when it did not say.
        seq: The start event's `rundial.seq`, 0 when the client did not say.
        rank: The process's rank in a distributed run, None outside of one.
        launch: What the ranks of one launch have in common and no other launch has; empty when unknown.
        is_late: Records of this start exist already, under the attempt that the client guessed.
    """

    run_id: str
    resume: str
    instance: str
    attempt: int | None
    body: Mapping[str, object]
    started_unix_ns: int
    seq: int
    rank: int | None = None
    launch: str = ""
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Seat:
    """One instance in one attempt."""

    instance: str
    attempt: int
    rank: int | None


@dataclass(frozen=True, slots=True)
class Known:
    """What the server knows of the run that a start names.

    Attributes:
        status: As its events say, without judging silence.
        attempt: The greatest attempt.
        latest_start_unix_ns: When that began, by its own clock.
        finished_unix_ns: When the run ended, None while it runs.
        launch: The latest start's launch, empty when it named none.
        seats: Every instance.
    """

    status: str
    attempt: int
    latest_start_unix_ns: int
    finished_unix_ns: int | None
    launch: str
    seats: Sequence[Seat]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a start belongs.

    Attributes:
        attempt: From 1.
        conflict: Why it would have been refused, had it been told in time; None when it would not.
    """

    attempt: int
    conflict: str | None = None


def place(start: Start, known: Known | None) -> Place:
    """Return the attempt that a start is.

    Raises:
        Problem: 409, the run exists and `resume` is never, or has ended and `resume` is allow; 404, it
            does not exist and `resume` is must. Never for a late start.
    """
    if known is None:
        return _first(start)
    for seat in known.seats:
        if start.instance and seat.instance == start.instance:
            return Place(seat.attempt)
    if _joins(start, known):
        return Place(max(1, known.attempt))
    if start.is_late:
        return _late(start, known)
    if start.resume == "never":
        raise Problem(
            409,
            f"the run {start.run_id!r} exists already",
            'start with another run id, or with resume="allow" to continue it',
        )
    if start.resume == "allow" and known.status in TERMINAL:
        raise Problem(
            409,
            f"the run {start.run_id!r} has ended, as {known.status}",
            'start with another run id, or with resume="must" to open it again',
        )
    # A client that does not name its instance will not learn its attempt from the answer either; were it
    # counted up, the finish that its telemetry carries would never close the run.
    following = known.attempt + 1 if start.instance or known.status in TERMINAL else known.attempt
    return Place(start.attempt or max(1, following))


def _first(start: Start) -> Place:
    if start.resume != "must":
        return Place(start.attempt or 1)
    if not start.is_late:
        raise Problem(
            404, f"there is no run {start.run_id!r} to resume", 'start with resume="allow" to make it'
        )
    attempt = start.attempt or 1
    # A later attempt was confirmed where it was made, by the earlier one, which may come here after it.
    return Place(attempt, f"there was no run {start.run_id!r} to resume" if attempt == 1 else None)


def _joins(start: Start, known: Known) -> bool:
    """Whether a start is a further rank of the attempt that goes on."""
    if start.rank is None or not start.instance:
        return False
    if start.launch or known.launch:
        return start.launch == known.launch
    # Nothing names the launch, but one launch has each rank once.
    ranks = [seat.rank for seat in known.seats if seat.attempt == known.attempt]
    return bool(ranks) and None not in ranks and start.rank not in ranks


def _late(start: Start, known: Known) -> Place:
    claimed = start.attempt or 1
    conflict = None
    if start.resume == "never" and any(seat.attempt <= claimed for seat in known.seats):
        conflict = f"the run {start.run_id!r} existed already"
    ended = known.finished_unix_ns
    if start.resume == "allow" and ended is not None and ended <= start.started_unix_ns:
        conflict = f"the run {start.run_id!r} had ended already, as {known.status}"
    # What began before the latest attempt keeps its number: a late sync of an old attempt never
    # overwrites a newer curve.
    is_newest = start.started_unix_ns >= known.latest_start_unix_ns
    attempt = max(claimed, known.attempt + 1) if is_newest else claimed
    return Place(attempt, conflict)
