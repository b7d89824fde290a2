"""Storing deliveries: once each, however often they are sent.

Every stream row goes in with ON CONFLICT DO NOTHING; only rows that were new feed the summaries and
counts, in the same transaction. Whether all rows of an insert were new is one comparison of counts; only
when some were not is each one looked up.

Several processes may write into one PostgreSQL. All that hangs on a run is changed by whoever holds the lock
on its row, so each delivery begins with that lock, and with what another process may have told of the run.

Threads: the writer's alone. The caches of row ids are forgotten when a transaction is undone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, select, update

from rundial.server import ledger
from rundial.server.keys import Principal
from rundial.server.problems import Problem
from rundial.server.rows import Delivery, EventRow, SeriesBlock, Target
from rundial.server.runlife import Happening, RunLife, alive_unix_ns, dump, fold, load, seen_attempt
from rundial.server.store.datapoints import insert_data_points
from rundial.server.store.dialect import POSTGRESQL, dialect_of, greatest, insert_new
from rundial.server.store.evals import heed_evals
from rundial.server.store.events import EventStore, Sender
from rundial.server.store.inserts import insert_events
from rundial.server.store.media import heed
from rundial.server.store.places import Project, bound_project, claim_project
from rundial.server.store.runfacets import keep_facets
from rundial.server.store.statements import Prepared
from rundial.server.store.tables import instances, runs, series
from rundial.signals import semconv

_MAX_CACHED: Final = 200_000

_LOCK: Final = Prepared(
    select(runs.c.life, runs.c.deleted_unix_ns, runs.c.run_id)
    .where(runs.c.id == bindparam("b_run"))
    .with_for_update()
)
_COUNT: Final = Prepared(
    update(instances)
    .where(instances.c.id == bindparam("b_instance"))
    .values({name: instances.c[name] + bindparam(f"b_{name}") for name in ledger.SIGNALS})
)
_HEARD: Final = Prepared(
    update(runs)
    .where(runs.c.id == bindparam("b_run"))
    .values(
        alive_unix_ns=greatest(runs.c.alive_unix_ns, bindparam("b_alive")),
        updated_unix_ns=greatest(runs.c.updated_unix_ns, bindparam("b_updated")),
    )
)


@dataclass(slots=True)
class _KnownRun:
    """A run's row id, and what its life said when it was last seen."""

    id: int
    life: str
    # The greatest attempt, and whether silence is judged.
    attempt: int = 0
    has_beaten: bool = False

    def see(self, text: str) -> None:
        """Take over the life as it is stored now."""
        if text != self.life:
            life = load(text)
            self.life, self.attempt, self.has_beaten = text, life.attempt, life.has_beaten


class Intake:
    """Writes deliveries into the tables, remembering the row ids that it has seen.

    Args:
        events: Where the rows of the stream go.
    """

    def __init__(self, events: EventStore) -> None:
        self._events: Final = events
        self._projects: dict[tuple[str, str | None, str], Project] = {}
        self._runs: dict[tuple[int, str], _KnownRun] = {}
        # Row id and attempt: a start that was announced decides the attempt, not what a record claims.
        self._instances: dict[tuple[int, str], tuple[int, int]] = {}
        self._series: dict[tuple[int, str, bytes], int] = {}

    def forget(self) -> None:
        """Drop every cached id; called when a transaction was undone."""
        for cache in (self._projects, self._runs, self._instances, self._series):
            cache.clear()
        self._events.forget()

    def store(
        self, connection: Connection, principal: Principal, delivery: Delivery, received_ns: int
    ) -> Problem | None:
        """Store one delivery.

        Returns:
            None when it is stored; 403 when the key may not write there, 410 when its run was deleted, and
            then nothing of it is.
        """
        if not delivery.items():
            return None  # nothing to keep must not make a run
        if len(self._series) > _MAX_CACHED or len(self._instances) > _MAX_CACHED:
            self.forget()
        target = delivery.target
        try:
            project = self._project(connection, principal, target, received_ns)
            run = self._run(connection, project, target, received_ns)
        except Problem as problem:
            return problem
        instance, attempt = self._instance(connection, run.id, target)
        sender = Sender(run.id, instance, attempt)
        ids = [self._series_id(connection, run.id, block) for block in delivery.blocks]
        stored = {
            "points": self._events.points.insert(connection, sender, ids, delivery.blocks) if ids else 0,
            "lines": self._events.lines.insert(connection, sender, delivery.texts),
            "spans": self._events.spans.insert(connection, sender, delivery.spans),
        }
        stored["points"] += insert_data_points(connection, run.id, instance, delivery.data_points)
        fresh = self._store_events(connection, instance, delivery.events)
        heed(connection, project.id, run.id, fresh)
        heed_evals(connection, project.id, run.id, fresh)
        # Results are units of the ledger, counted with the lines; the other events are not.
        told = [event for event in fresh if event.name != semconv.EVENT_EVAL_RESULT]
        stored["lines"] += len(fresh) - len(told)
        self._keep_ledger(connection, instance, delivery.events)
        if any(stored.values()):
            _COUNT.run(connection, b_instance=instance, **{f"b_{name}": new for name, new in stored.items()})
        if any(stored.values()) or told or attempt > run.attempt:
            alive_ns = alive_unix_ns(received_ns, delivery.newest_unix_ns())
            if told or attempt > run.attempt:
                _tell(connection, run, target.instance, attempt, told)
            if not (run.has_beaten or target.is_foreign):
                alive_ns = 0
            _HEARD.run(connection, b_run=run.id, b_alive=alive_ns, b_updated=received_ns)
        return None

    def _project(self, connection: Connection, principal: Principal, target: Target, now_ns: int) -> Project:
        key = (principal.key_id, target.workspace, "" if _is_bound(principal, target) else target.project)
        known = self._projects.get(key)
        # A person's role may have changed since.
        if known is None or not principal.sees(known.workspace.id, known.id):
            self._projects[key] = (
                bound_project(connection, principal)
                if _is_bound(principal, target)
                else claim_project(
                    connection,
                    principal,
                    target.workspace,
                    target.project,
                    project_name=target.project_name,
                    now_unix_ns=now_ns,
                )
            )
        return self._projects[key]

    def _run(self, connection: Connection, project: Project, target: Target, now_ns: int) -> _KnownRun:
        key = (project.id, target.run_id)
        if key not in self._runs:
            run = _KnownRun(claim_run(connection, project.id, target, now_ns), "")
            run.see(locked_life(connection, run.id))
            self._runs[key] = run
        elif dialect_of(connection) == POSTGRESQL:
            self._runs[key].see(locked_life(connection, self._runs[key].id))
        return self._runs[key]

    def _instance(self, connection: Connection, run: int, target: Target) -> tuple[int, int]:
        key = (run, target.instance)
        if key not in self._instances:
            self._instances[key] = claim_instance(connection, run, target)
        return self._instances[key]

    def _series_id(self, connection: Connection, run: int, block: SeriesBlock) -> int:
        key = (run, block.name, block.digest)
        if key not in self._series:
            values = {"run": run, "name": block.name, "digest": block.digest}
            insert_new(connection, series, {**values, "attributes": block.attributes, "unit": block.unit})
            self._series[key] = connection.execute(
                select(series.c.id).where(*(series.c[name] == value for name, value in values.items()))
            ).scalar_one()
        return self._series[key]

    def _store_events(
        self, connection: Connection, instance: int, happened: list[EventRow]
    ) -> list[EventRow]:
        """Store events and return those that were new."""
        rows = [
            (instance, event.seq, event.time_unix_ns, event.name, json.dumps(event.body, ensure_ascii=False))
            for event in happened
        ]
        is_new = insert_events(connection, rows)
        return [event for event, new in zip(happened, is_new, strict=True) if new]

    def _keep_ledger(self, connection: Connection, instance: int, happened: Iterable[EventRow]) -> None:
        """Raise the instance's counters, also from an event that was stored before."""
        said = [ledger.flatten(event.body) for event in happened if event.name == semconv.EVENT_RUN_LEDGER]
        if not said:
            return
        where = instances.c.id == instance
        known = json.loads(connection.execute(select(instances.c.ledger).where(where)).scalar_one())
        counters = known
        for each in said:
            counters = ledger.greatest(counters, each)
        if counters != known:
            connection.execute(update(instances).where(where).values(ledger=json.dumps(counters)))


def _is_bound(principal: Principal, target: Target) -> bool:
    """Whether the key says where a delivery belongs: it has one project, and the resource names none."""
    return principal.project_id is not None and not target.names_project and target.workspace is None


def _tell(connection: Connection, run: _KnownRun, instance: str, attempt: int, fresh: list[EventRow]) -> None:
    """Fold what happened into the run's life."""
    life = seen_attempt(load(locked_life(connection, run.id)), attempt)
    for event in fresh:
        life = fold(
            life, Happening(event.name, (event.time_unix_ns, instance, event.seq), attempt, event.body)
        )
    run.see(keep_life(connection, run.id, life))


def claim_instance(connection: Connection, run: int, target: Target) -> tuple[int, int]:
    """Return an instance's row id and attempt; one that was never heard of gets the attempt it claims."""
    claimed = {"attempt": target.attempt, "rank": target.rank, "host": target.host, "ledger": "{}"}
    insert_new(connection, instances, {"run": run, "instance": target.instance, **claimed})
    query = select(instances.c.id, instances.c.attempt, instances.c.host)
    found = connection.execute(
        query.where(instances.c.run == run, instances.c.instance == target.instance)
    ).one()
    if target.host and not found.host:
        # Its start was announced before its first record, and an announcement names no host.
        connection.execute(update(instances).where(instances.c.id == found.id).values(host=target.host))
    return found.id, found.attempt


def claim_run(connection: Connection, project: int, target: Target, now_ns: int) -> int:
    """Return a run's row id; a run that was never heard of is added."""
    identity = {"project_id": project, "run_id": target.run_id}
    query = select(runs.c.id).where(*(runs.c[name] == value for name, value in identity.items()))
    found = connection.execute(query).scalar()
    if found is None:
        heard = {
            "is_foreign": target.is_foreign,
            "life": dump(RunLife()),
            "created_by": target.instance,
            "created_unix_ns": now_ns,
            # A program that knows no runs is known by its service, whatever project it is part of.
            "name": target.service,
            "kind": target.kind or "training",
            "status": "running",
            "started_unix_ns": now_ns,
            "updated_unix_ns": now_ns,
            "alive_unix_ns": 0,
        }
        # Another process may hear of it first; then its row is the one.
        insert_new(connection, runs, {**identity, **heard})
        found = connection.execute(query).scalar_one()
    return int(found)


def locked_life(connection: Connection, run: int) -> str:
    """Lock a run against other processes and return its life as they left it.

    Raises:
        Problem: 410, the run was deleted.
    """
    life, deleted_ns, run_id = tuple(_LOCK.run(connection, b_run=run).one())
    if deleted_ns is not None:
        raise Problem(410, f"the run {run_id!r} was deleted", "record under another run id")
    return str(life)


def keep_life(connection: Connection, run: int, life: RunLife) -> str:
    """Store a run's life and the columns that copy it; returns the life as it is stored."""
    text = dump(life)
    values: dict[str, object] = {"life": text, "status": life.status}
    if life.started_unix_ns is not None:
        values["started_unix_ns"] = life.started_unix_ns
    for column in ("name", "kind"):
        value = life.value(column)
        if isinstance(value, str):
            values[column] = value
    connection.execute(update(runs).where(runs.c.id == run).values(values))
    keep_facets(connection, run, life)
    return text


def hear(connection: Connection, run: int, *, alive_ns: int, now_ns: int) -> None:
    """Note that something was heard of a run, and until when it lived."""
    _HEARD.run(connection, b_run=run, b_alive=alive_ns, b_updated=now_ns)
