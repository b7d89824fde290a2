"""Changes to a run's life from the control routes. The writer's thread alone.

They are folded like telemetry, so a start that is announced here and told again by its event, in
either order, is one start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from rundial.server.problems import Problem
from rundial.server.rows import Target
from rundial.server.runlife import TERMINAL, Happening, RunLife, fold, load
from rundial.server.store.history import AnyRow, find_run
from rundial.server.store.intake import create_run, keep_life
from rundial.signals import semconv

# Stands where telemetry has `service.instance.id`; a control request belongs to no process.
_CONTROL = "control"


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
        rank: The process's rank; the others of a run join the attempt that rank 0 began.
    """

    run_id: str
    resume: str
    instance: str
    attempt: int | None
    body: Mapping[str, object]
    started_unix_ns: int
    seq: int
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """What became of a start."""

    kind: str
    attempt: int
    is_resumed: bool


def start_run(connection: Connection, project: int, start: Start, now_ns: int) -> Started:
    """Announce a run, or one more attempt of it; the same start told again changes nothing.

    A start that names its instance and no attempt begins the next one; its client sends the answer's
    `attempt` with its telemetry.

    Raises:
        Problem: 409, the run exists and `resume` is never; 404, it does not and `resume` is must.
    """
    run = find_run(connection, project, start.run_id)
    is_same = run is not None and bool(start.instance) and run.created_by == start.instance
    if run is not None and start.resume == "never" and not is_same and start.rank == 0:
        raise Problem(
            409,
            f"the run {start.run_id!r} exists already",
            'start with another run id, or with resume="allow" to continue it',
        )
    if run is None and start.resume == "must":
        raise Problem(
            404, f"there is no run {start.run_id!r} to resume", 'start with resume="allow" to make it'
        )
    known = RunLife() if run is None else load(run.life)
    # A client that does not name its instance will not learn its attempt from the answer either; were it
    # counted up, the finish that its telemetry carries would never close the run.
    is_joining = is_same or start.rank > 0 or not start.instance
    attempt = start.attempt or max(1, known.attempt if is_joining else known.attempt + 1)
    row_id = run.id if run is not None else create_run(connection, project, _target(start, attempt), now_ns)
    stamp = (start.started_unix_ns, start.instance or _CONTROL, start.seq)
    life = fold(known, Happening(semconv.EVENT_RUN_START, stamp, attempt, start.body))
    keep_life(connection, row_id, life, alive_ns=now_ns, updated_ns=now_ns)
    return Started(str(life.value("kind") or "training"), attempt, run is not None and not is_same)


def set_status(
    connection: Connection, run: AnyRow, body: Mapping[str, object], ended_ns: int, now_ns: int
) -> str:
    """End a run; ending it again in the same way changes nothing.

    Raises:
        Problem: 409, it has ended in another way.
    """
    life = load(run.life)
    if life.status in TERMINAL:
        if life.status != body["status"]:
            raise Problem(
                409,
                f"the run {run.run_id!r} has ended already, as {life.status}",
                "a run ends once; start another attempt to continue it",
            )
        return life.status
    happening = Happening(semconv.EVENT_RUN_FINISH, (ended_ns, _CONTROL, 0), max(1, life.attempt), body)
    life = fold(life, happening)
    keep_life(connection, run.id, life, alive_ns=now_ns, updated_ns=now_ns)
    return life.status


def ask_to_stop(connection: Connection, run: AnyRow, reason: str, now_ns: int) -> int:
    """Note that the latest attempt is to stop, and return its number.

    Raises:
        Problem: 409, the run has ended.
    """
    life = load(run.life)
    if life.status in TERMINAL:
        raise Problem(
            409, f"the run {run.run_id!r} has ended already, as {life.status}", "there is nothing to stop"
        )
    attempt = max(1, life.attempt)
    happening = Happening(semconv.EVENT_RUN_STOP, (now_ns, _CONTROL, 0), attempt, {"reason": reason})
    keep_life(connection, run.id, fold(life, happening), alive_ns=0, updated_ns=now_ns)
    return attempt


def set_config(
    connection: Connection, run: AnyRow, config: Mapping[str, object], now_ns: int
) -> dict[str, object]:
    """Write config keys and return the whole config."""
    happening = Happening(
        semconv.EVENT_RUN_CONFIG, (now_ns, _CONTROL, 0), load(run.life).attempt, {"config": config}
    )
    life = fold(load(run.life), happening)
    keep_life(connection, run.id, life, alive_ns=0, updated_ns=now_ns)
    return life.config_values()


def _target(start: Start, attempt: int) -> Target:
    kind = start.body.get("kind")
    return Target(
        workspace=None,
        project="",
        project_name="",
        run_id=start.run_id,
        kind=kind if isinstance(kind, str) else None,
        attempt=attempt,
        rank=None,
        instance=start.instance or _CONTROL,
        host="",
        is_foreign=False,
    )
