"""Keeping evaluations: suites, evaluation runs, results. The writer's thread alone.

Results may come before anybody has said what is evaluated, and the same ones again at any time. Of two
results, and of two that say what is evaluated, the later one stands, in whatever order they arrive.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Table, case, select, tuple_, update

from rundial.server.evalrows import Begun, Scored, begun_of, scored_of
from rundial.server.problems import Problem
from rundial.server.rows import EventRow
from rundial.server.store.dialect import dialect_of, insert_into, insert_new, least
from rundial.server.store.eval_tables import eval_results, eval_runs, eval_suites
from rundial.server.store.tables import runs
from rundial.signals import semconv

AnyRow = Row[Any]
_AT_ONCE: Final = 500
_EXPORTED_AT_ONCE: Final = 4_096
_MS: Final = 1_000_000
_KEY: Final = ("eval_run", "example_id", "scorer")
_SAID: Final = ("score", "passed", "trace_id", "span_id", "evidence", "meta", "time_unix_ns")


def heed_evals(connection: Connection, project: int, run: int, happened: Iterable[EventRow]) -> None:
    """Keep what a run's events say about evaluations."""
    rows: list[Scored] = []
    for event in happened:
        if event.name == semconv.EVENT_EVAL_RESULT:
            found = scored_of(event)
            rows += found if isinstance(found, list) else []
        elif event.name == semconv.EVENT_EVAL_START:
            begun = begun_of(event)
            if isinstance(begun, Begun):
                begin_eval_run(connection, project, run, begun)
    if rows:
        keep_results(connection, project, run, rows)


def keep_suite(  # noqa: PLR0913 -- a suite's columns
    connection: Connection,
    project: int,
    suite_id: str,
    *,
    name: str,
    dataset: str,
    scorers: str,
    now_ns: int,
) -> int:
    """Return a suite's row id; one that is there takes over what is said of it, unless later was said."""
    identity = {"project_id": project, "suite_id": suite_id}
    said = {"said_unix_ns": now_ns, "name": name, "dataset": dataset, "scorers": scorers}
    where = [eval_suites.c[column] == value for column, value in identity.items()]
    if not insert_new(connection, eval_suites, {**identity, **said, "created_unix_ns": now_ns}):
        connection.execute(update(eval_suites).where(*where, _is_later(eval_suites, said)).values(said))
    return int(connection.execute(select(eval_suites.c.id).where(*where)).scalar_one())


def begin_eval_run(connection: Connection, project: int, run: int, begun: Begun) -> AnyRow | None:
    """Return an evaluation run that begins now, or has begun; None when the run that holds it is deleted."""
    found = claim_eval_run(connection, project, run, begun.eval_run_id, begun.time_unix_ns)
    if found is None:
        return None
    is_it, now_ns = eval_runs.c.id == found.id, begun.time_unix_ns
    # It began with the earliest start; where there is none, with the earliest result.
    earliest = least(eval_runs.c.started_unix_ns, now_ns)
    started = case((eval_runs.c.said_unix_ns == 0, now_ns), else_=earliest)
    connection.execute(update(eval_runs).where(is_it).values(started_unix_ns=started))
    said = {
        "said_unix_ns": now_ns,
        "dataset": begun.dataset,
        "scorers": begun.scorers,
        "config": begun.config,
    }
    connection.execute(update(eval_runs).where(is_it, _is_later(eval_runs, said)).values(said))
    if begun.suite_id:
        _join_suite(connection, project, found.id, begun)
    return connection.execute(select(eval_runs).where(is_it)).one()


def _join_suite(connection: Connection, project: int, eval_run: int, begun: Begun) -> None:
    """Make an evaluation run part of a suite, unless it was said later that it is of another."""
    suite = keep_suite(
        connection,
        project,
        begun.suite_id,
        name=begun.suite_name,
        dataset=begun.dataset,
        scorers=begun.scorers,
        now_ns=begun.time_unix_ns,
    )
    before = select(eval_suites.c.suite_id).where(eval_suites.c.id == eval_runs.c.suite).scalar_subquery()
    known = eval_runs.c.suite_unix_ns
    is_later = (known < begun.time_unix_ns) | ((known == begun.time_unix_ns) & (before < begun.suite_id))
    values = {"suite": suite, "suite_unix_ns": begun.time_unix_ns}
    connection.execute(update(eval_runs).where(eval_runs.c.id == eval_run, is_later).values(values))


def _is_later(table: Table, said: Mapping[str, object]) -> ColumnElement[bool]:
    """Whether a row was said earlier than this; of what was said at one time the greater text stands."""
    known = tuple_(*(table.c[name] for name in said))
    return known < tuple_(*said.values())


def claim_eval_run(
    connection: Connection, project: int, run: int, eval_run_id: str, now_ns: int
) -> AnyRow | None:
    """Return an evaluation run, made part of a run when nobody has heard of it.

    None when the run that it is part of was deleted: what comes late does not bring it back.
    """
    identity = {"project_id": project, "eval_run_id": eval_run_id}
    unsaid = {"dataset": "{}", "scorers": "[]", "config": "{}", "started_unix_ns": now_ns}
    query = (
        select(eval_runs, runs.c.deleted_unix_ns)
        .join(runs, runs.c.id == eval_runs.c.run)
        .where(*(eval_runs.c[column] == value for column, value in identity.items()))
    )
    found = connection.execute(query).one_or_none()
    if found is None:
        # Another process may hear of it first; then its row is the one.
        insert_new(connection, eval_runs, {**identity, "run": run, **unsaid})
        found = connection.execute(query).one()
    return None if found.deleted_unix_ns is not None else found


def keep_results(connection: Connection, project: int, run: int, rows: Iterable[Scored]) -> None:
    """Store results of a project, whichever evaluation runs they are of.

    Args:
        connection: The writer's.
        project: Row id of the project.
        run: Row id of the run that says so; evaluation runs that nobody has heard of become part of it.
        rows: The results; of two of one example and scorer the later one stands.
    """
    known: dict[str, AnyRow | None] = {}
    latest: dict[tuple[int, str, str], dict[str, Any]] = {}
    earliest: dict[int, int] = {}
    for row in rows:
        if row.eval_run_id not in known:
            known[row.eval_run_id] = claim_eval_run(
                connection, project, run, row.eval_run_id, row.time_unix_ns
            )
        owner = known[row.eval_run_id]
        if owner is None:
            continue
        earliest[owner.id] = min(row.time_unix_ns, earliest.get(owner.id, owner.started_unix_ns))
        values = {"eval_run": owner.id, "run": owner.run, "example_id": row.example_id, "scorer": row.scorer}
        values |= {name: getattr(row, name) for name in _SAID}
        key = (owner.id, row.example_id, row.scorer)
        before = latest.get(key)
        # One statement may meet a row only once on PostgreSQL.
        if before is None or before["time_unix_ns"] <= row.time_unix_ns:
            latest[key] = values
    for owner_id, began_ns in sorted(earliest.items()):
        is_it = (eval_runs.c.id == owner_id) & (eval_runs.c.said_unix_ns == 0)
        is_earlier = eval_runs.c.started_unix_ns > began_ns
        connection.execute(update(eval_runs).where(is_it, is_earlier).values(started_unix_ns=began_ns))
    statement = insert_into(eval_results, dialect_of(connection))
    statement = statement.on_conflict_do_update(
        index_elements=_KEY,
        set_={name: statement.excluded[name] for name in _SAID},
        where=statement.excluded.time_unix_ns >= eval_results.c.time_unix_ns,
    )
    # In the order of the key: two servers on one database never wait for each other in a ring.
    ordered = [latest[key] for key in sorted(latest)]
    for first in range(0, len(ordered), _AT_ONCE):
        connection.execute(statement, ordered[first : first + _AT_ONCE])


def find_eval_run(connection: Connection, project: int, eval_run_id: str) -> AnyRow | None:
    """An evaluation run with its suite's id and name and its run's id; None when there is none."""
    query = _eval_runs().where(eval_runs.c.project_id == project, eval_runs.c.eval_run_id == eval_run_id)
    return connection.execute(query).one_or_none()


def need_eval_run(connection: Connection, project: int, eval_run_id: str) -> AnyRow:
    """An evaluation run by its id.

    Raises:
        Problem: 404, there is none.
    """
    found = find_eval_run(connection, project, eval_run_id)
    if found is None:
        raise Problem(
            404,
            f"there is no evaluation run {eval_run_id[:128]!r} in this project",
            "`rundial evals ls` lists them; `rundial sync` delivers what waits on disk",
        )
    return found


def page_of_eval_runs(
    connection: Connection,
    project: int,
    *,
    suite: str | None,
    run: str | None,
    after: tuple[int, int] | None,
    limit: int,
) -> Sequence[AnyRow]:
    """Evaluation runs of a project, the last one first."""
    query = _eval_runs().where(eval_runs.c.project_id == project)
    if suite is not None:
        query = query.where((eval_suites.c.suite_id == suite) | (eval_suites.c.name == suite))
    if run is not None:
        query = query.where(runs.c.run_id == run)
    key = (eval_runs.c.started_unix_ns, eval_runs.c.id)
    if after is not None:
        at, row_id = after
        query = query.where((key[0] < at) | ((key[0] == at) & (key[1] < row_id)))
    return connection.execute(query.order_by(key[0].desc(), key[1].desc()).limit(limit)).all()


def find_suite(connection: Connection, project: int, suite_id: str) -> AnyRow | None:
    """A suite by its id."""
    where = (eval_suites.c.project_id == project, eval_suites.c.suite_id == suite_id)
    return connection.execute(select(eval_suites).where(*where)).one_or_none()


def page_of_results(
    connection: Connection,
    eval_run: int,
    *,
    scorer: str | None,
    outcome: str | None,
    after: tuple[str, str] | None,
    limit: int,
) -> Sequence[AnyRow]:
    """Results of an evaluation run by example and scorer.

    Args:
        connection: Any.
        eval_run: Row id.
        scorer: Of this scorer alone; None is any.
        outcome: passed, failed or unjudged; None is any.
        after: The example and the scorer at which the last page ended.
        limit: At most so many.
    """
    columns = eval_results.c
    query = select(eval_results).where(columns.eval_run == eval_run)
    if scorer is not None:
        query = query.where(columns.scorer == scorer)
    if outcome is not None:
        verdicts = {"passed": columns.passed.is_(True), "failed": columns.passed.is_(False)}
        query = query.where(verdicts.get(outcome, columns.passed.is_(None)))
    if after is not None:
        example, last = after
        query = query.where(
            (columns.example_id > example) | ((columns.example_id == example) & (columns.scorer > last))
        )
    return connection.execute(query.order_by(columns.example_id, columns.scorer).limit(limit)).all()


def result_rows(connection: Connection, eval_run: int) -> Iterator[list[tuple[Any, ...]]]:
    """Yield every result of an evaluation run, some thousand at a time.

    Rows are (example, scorer, score, passed, milliseconds, trace id, span id, evidence, meta).
    """
    after: tuple[str, str] | None = None
    while rows := page_of_results(
        connection, eval_run, scorer=None, outcome=None, after=after, limit=_EXPORTED_AT_ONCE
    ):
        yield [
            (
                row.example_id,
                row.scorer,
                row.score,
                row.passed,
                row.time_unix_ns // _MS,
                bytes(row.trace_id).hex() if row.trace_id else None,
                bytes(row.span_id).hex() if row.span_id else None,
                row.evidence or None,
                row.meta or "{}",
            )
            for row in rows
        ]
        after = (rows[-1].example_id, rows[-1].scorer)


def said(text: str) -> Any:
    """What stands in a column of JSON; None for an empty one."""
    return json.loads(text) if text else None


def _eval_runs() -> Any:
    suite = (eval_suites.c.suite_id, eval_suites.c.name.label("suite_name"))
    return (
        select(
            eval_runs,
            *suite,
            runs.c.run_id,
            runs.c.name.label("run_name"),
            runs.c.status.label("run_status"),
            runs.c.alive_unix_ns,
            runs.c.is_foreign,
        )
        .join(runs, runs.c.id == eval_runs.c.run)
        .join(eval_suites, eval_suites.c.id == eval_runs.c.suite, isouter=True)
        .where(runs.c.deleted_unix_ns.is_(None))
    )
