"""Changes to a run's life from the control routes. The writer's thread alone.

They are folded like telemetry, so a start that is announced here and told again by its event, in
either order, is one start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, update

from rundial.server.attempts import Known, Seat, Start, place
from rundial.server.problems import Problem
from rundial.server.rows import Target
from rundial.server.runlife import TERMINAL, Happening, RunLife, edited, fold, load
from rundial.server.store.dialect import exclude_others
from rundial.server.store.events import PointStore, Steps
from rundial.server.store.history import AnyRow, find_run, run_instances
from rundial.server.store.intake import claim_instance, claim_run, hear, keep_life, locked_life
from rundial.server.store.tables import runs
from rundial.signals import semconv

# Stands where telemetry has `service.instance.id`; a control request belongs to no process.
_CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Started:
    """What became of a start.

    Attributes:
        kind: The run's.
        attempt: The attempt that this start is; the client sends it with its telemetry.
        is_resumed: Whether the run had an earlier attempt.
        steps: Where the earlier attempts had got to.
        conflict: Why it would have been refused, had it not been told late.
    """

    kind: str
    attempt: int
    is_resumed: bool
    steps: Steps
    conflict: str | None


def start_run(store: PointStore, connection: Connection, project: int, start: Start, now_ns: int) -> Started:
    """Announce a run, or one more attempt of it; the same start told again changes nothing.

    Raises:
        Problem: As `attempts.place`; nothing is changed then.
    """
    run = find_run(connection, project, start.run_id)
    if run is None:
        # Another process may be starting it at this moment.
        exclude_others(connection)
        run = find_run(connection, project, start.run_id)
    life = RunLife() if run is None else load(locked_life(connection, run.id))
    found = place(start, None if run is None else _known(connection, run, life))
    target = _target(start, found.attempt)
    row_id = run.id if run is not None else claim_run(connection, project, target, now_ns)
    life = load(locked_life(connection, row_id))
    if start.instance:
        claim_instance(connection, row_id, target)
    stamp = (start.started_unix_ns, start.instance or _CONTROL, start.seq)
    life = fold(life, Happening(semconv.EVENT_RUN_START, stamp, found.attempt, start.body))
    keep_life(connection, row_id, life)
    is_heard = life.has_beaten and not start.is_late
    hear(connection, row_id, alive_ns=now_ns if is_heard else 0, now_ns=now_ns)
    steps = store.steps_before(connection, row_id, found.attempt)
    kind = str(life.value("kind") or "training")
    return Started(kind, found.attempt, found.attempt > 1, steps, found.conflict)


def _known(connection: Connection, run: AnyRow, life: RunLife) -> Known:
    seats = [Seat(row.instance, row.attempt, row.rank) for row in run_instances(connection, run.id)]
    return Known(
        status=life.status,
        attempt=life.attempt,
        latest_start_unix_ns=life.latest_start_unix_ns,
        finished_unix_ns=life.finished_unix_ns,
        launch=str(life.value("launch") or ""),
        seats=seats,
    )


def set_status(
    connection: Connection, run: AnyRow, body: Mapping[str, object], ended_ns: int, now_ns: int
) -> str:
    """End a run; ending it again in the same way changes nothing.

    Raises:
        Problem: 409, it has ended in another way.
    """
    life = load(locked_life(connection, run.id))
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
    keep_life(connection, run.id, life)
    hear(connection, run.id, alive_ns=0, now_ns=now_ns)
    return life.status


def ask_to_stop(connection: Connection, run: AnyRow, reason: str, now_ns: int) -> int:
    """Note that the latest attempt is to stop, and return its number.

    Raises:
        Problem: 409, the run has ended.
    """
    life = load(locked_life(connection, run.id))
    if life.status in TERMINAL:
        raise Problem(
            409, f"the run {run.run_id!r} has ended already, as {life.status}", "there is nothing to stop"
        )
    attempt = max(1, life.attempt)
    happening = Happening(semconv.EVENT_RUN_STOP, (now_ns, _CONTROL, 0), attempt, {"reason": reason})
    keep_life(connection, run.id, fold(life, happening))
    hear(connection, run.id, alive_ns=0, now_ns=now_ns)
    return attempt


def set_config(
    connection: Connection, run: AnyRow, config: Mapping[str, object], now_ns: int
) -> dict[str, object]:
    """Write config keys and return the whole config."""
    life = load(locked_life(connection, run.id))
    happening = Happening(semconv.EVENT_RUN_CONFIG, (now_ns, _CONTROL, 0), life.attempt, {"config": config})
    life = fold(life, happening)
    keep_life(connection, run.id, life)
    hear(connection, run.id, alive_ns=0, now_ns=now_ns)
    return life.config_values()


def edit_run(
    connection: Connection, run: AnyRow, fields: Mapping[str, object], notes: str | None, now_ns: int
) -> None:
    """Write a run's name and tags, as a person wants them, and its notes."""
    life = load(locked_life(connection, run.id))
    if fields:
        keep_life(connection, run.id, edited(life, fields, now_ns))
    if notes is not None:
        connection.execute(update(runs).where(runs.c.id == run.id).values(notes=notes))


def set_archived(connection: Connection, run: AnyRow, archived_ns: int | None) -> None:
    """Archive a run, or bring it back with None; repeating it changes nothing."""
    locked_life(connection, run.id)
    is_archived = run.archived_unix_ns is not None
    if is_archived != (archived_ns is not None):
        connection.execute(update(runs).where(runs.c.id == run.id).values(archived_unix_ns=archived_ns))


def _target(start: Start, attempt: int) -> Target:
    kind = start.body.get("kind")
    return Target(
        workspace=None,
        project="",
        project_name="",
        run_id=start.run_id,
        kind=kind if isinstance(kind, str) else None,
        attempt=attempt,
        rank=start.rank,
        instance=start.instance or _CONTROL,
        host="",
        is_foreign=False,
    )
