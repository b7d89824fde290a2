"""The run table: which runs, in which order, and chosen columns of them. No point is read for it.

A field of the config or the hand-set summary is a row of `run_facets`; a metric's summary is in its row of
`series`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    Connection,
    CursorResult,
    Row,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.sql.elements import ColumnElement

from rundial.server.runquery import Field, Filter, Group, Not, Test, fields_of
from rundial.server.store.dialect import POSTGRESQL, dialect_of
from rundial.server.store.runfacets import (
    ABSENT,
    DEFINITIONS,
    NUMBER,
    OTHER,
    TAG,
    TEXT,
    TRUTH,
    plain_value,
    run_facets,
)
from rundial.server.store.tables import runs, series
from rundial.server.summaries import definition_of, rule_of
from rundial.signals import semconv

AnyRow = Row[Any]
_PLAIN: Final = "{}"
_RANKED: Final = f'{{"{semconv.RANK}":'
# Of a page's runs. A list in the statement itself would be looked through item by item each time.
_IDS: Final[BindParameter[int]] = bindparam("ids", expanding=True)
# What a row of the table shows: a run's other columns are not read, its life least of all.
_COLUMNS: Final = [
    runs.c.id,
    runs.c.run_id,
    runs.c.name,
    runs.c.kind,
    runs.c.status,
    runs.c.is_foreign,
    runs.c.alive_unix_ns,
    runs.c.started_unix_ns,
    runs.c.updated_unix_ns,
    runs.c.archived_unix_ns,
]
# By the rule of its definition, which column of its series a metric shows; of other rules it shows none.
_SHOWN: Final = {"last": 3, "min": 4, "max": 5, "mean": 6}


@dataclass(frozen=True, slots=True)
class Table:
    """Which runs are wanted, and in which order.

    Attributes:
        project: The project's row id.
        filter: What must be true of them; None for all.
        search: Part of the name or the id; empty for all.
        statuses: Statuses as someone sees them now; empty for all.
        order_by: The field that they are sorted by.
        is_descending: Greatest first; runs without the field always come last.
        now_unix_ns: The time of the look, which decides what has crashed.
        silence_ns: How long a run that sent heartbeats may be silent.
        is_archived: The archived ones instead of the others.
    """

    project: int
    filter: Filter | None
    search: str
    statuses: tuple[str, ...]
    order_by: Field
    is_descending: bool
    now_unix_ns: int
    silence_ns: int
    is_archived: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A page of runs; `ended` is where it ended, None when it was the last."""

    rows: Sequence[AnyRow]
    ended: list[Any] | None


@dataclass(frozen=True, slots=True)
class _Terms:
    """A field in SQL: what kind of value a run has in it, and that value."""

    kind: ColumnElement[Any]
    number: ColumnElement[Any]
    text: ColumnElement[Any]


def page_of(connection: Connection, wanted: Table, *, after: Sequence[Any] | None, limit: int) -> Page:
    """Return runs in the table's order.

    Args:
        connection: In a reading transaction.
        wanted: Which ones, and in which order.
        after: Where the page before ended, as it was returned.
        limit: Most rows.
    """
    sql = _Sql(connection, wanted)
    is_archived = runs.c.archived_unix_ns.is_not(None)
    conditions = [
        runs.c.project_id == wanted.project,
        runs.c.deleted_unix_ns.is_(None),
        is_archived if wanted.is_archived else ~is_archived,
    ]
    if wanted.statuses:
        conditions.append(sql.status.in_(wanted.statuses))
    if wanted.filter is not None:
        conditions.append(sql.condition(wanted.filter))
    if wanted.search:
        is_named = runs.c.name.contains(wanted.search, autoescape=True)
        conditions.append(or_(is_named, runs.c.run_id.contains(wanted.search, autoescape=True)))
    keys = sql.order(wanted.order_by)
    directions = [*([False] if len(keys) > 2 else []), *[wanted.is_descending] * 3][: len(keys)]
    if after is not None:
        conditions.append(_beyond(keys, directions, after))
    labels = [key.label(f"key_{place}") for place, key in enumerate(keys)]
    query: Select[Any] = sql.joined(select(*_COLUMNS, *labels)).where(*conditions)
    ordered = [key.desc() if is_down else key.asc() for key, is_down in zip(keys, directions, strict=True)]
    rows = connection.execute(query.order_by(*ordered).limit(limit + 1)).all()
    last = rows[limit - 1] if len(rows) > limit else None
    ended = None if last is None else [last._mapping[label.name] for label in labels]
    return Page(rows[:limit], ended)


def _beyond(
    keys: Sequence[ColumnElement[Any]], directions: Sequence[bool], after: Sequence[Any]
) -> ColumnElement[bool]:
    """What comes after a row whose keys are known."""
    further = []
    for place, (key, is_down, value) in enumerate(zip(keys, directions, after, strict=True)):
        equal = [known == same for known, same in zip(keys[:place], after[:place], strict=True)]
        further.append(and_(*equal, key < value if is_down else key > value))
    # Said twice, so that an index over the first key is entered at the right place.
    first, value = keys[0], after[0]
    return and_(first <= value if directions[0] else first >= value, or_(*further))


class _Sql:
    """Builds the query; each field that it looks at is joined once."""

    def __init__(self, connection: Connection, wanted: Table) -> None:
        self._is_postgresql = dialect_of(connection) == POSTGRESQL
        self._wanted = wanted
        self._facets: dict[str, Any] = {}
        self._terms: dict[Field, _Terms] = {}
        looked_at = [wanted.order_by, *(fields_of(wanted.filter) if wanted.filter else [])]
        is_needed = any(field.space == "summary" for field in looked_at)
        self._definitions = _definitions(connection, wanted.project) if is_needed else []
        self.status = self._status()

    def joined(self, query: Select[Any]) -> Select[Any]:
        """The query with the facets that it looks at."""
        for field, facet in self._facets.items():
            query = query.outerjoin(facet, and_(facet.c.run == runs.c.id, facet.c.field == field))
        return query

    def order(self, field: Field) -> list[ColumnElement[Any]]:
        """Keys to sort by, the run's row id last; four of them where values may be missing or mixed."""
        if field.kind == "time":
            return [self._time(field), runs.c.id]
        terms = self._terms_of(field)
        if field.name in ("runId", "runName", "kind", "status") and not field.space:
            return [terms.text, runs.c.id]
        number = func.coalesce(case((terms.kind.in_((NUMBER, TRUTH)), terms.number)), 0.0)
        text = func.coalesce(case((terms.kind.in_((TEXT, OTHER)), terms.text)), "")
        return [terms.kind, number, self._binary(text), runs.c.id]

    def condition(self, found: Filter) -> ColumnElement[bool]:
        """A filter as a condition that is never NULL."""
        if isinstance(found, Not):
            return not_(self.condition(found.part))
        if isinstance(found, Group):
            parts = [self.condition(part) for part in found.parts]
            return and_(*parts) if found.word == "and" else or_(*parts)
        return self._test(found)

    def _test(self, test: Test) -> ColumnElement[bool]:
        if test.field.kind == "tags":
            return self._has_tag(test)
        if test.field.kind == "time":
            time = self._time(test.field)
            return literal(True) if test.operator == "exists" else _compared(time, test.operator, test.value)
        terms, value = self._terms_of(test.field), test.value
        if test.operator == "exists":
            return terms.kind != ABSENT
        if test.operator == "~":
            is_text = terms.kind.in_((TEXT, OTHER))
            return and_(is_text, func.coalesce(terms.text, "").icontains(value, autoescape=True))
        if value is None:
            return and_(terms.kind == OTHER, func.coalesce(terms.text, "") == "null")
        if isinstance(value, bool):
            return and_(terms.kind == TRUTH, func.coalesce(terms.number, -1.0) == float(value))
        if isinstance(value, str):
            text = self._binary(func.coalesce(terms.text, ""))
            return and_(terms.kind == TEXT, _compared(text, test.operator, value))
        number = func.coalesce(terms.number, 0.0)
        return and_(terms.kind == NUMBER, _compared(number, test.operator, float(value)))

    def _has_tag(self, test: Test) -> ColumnElement[bool]:
        facet = run_facets.alias()
        has: Select[Any] = select(facet.c.run).where(facet.c.run == runs.c.id)
        if test.operator == "=":
            has = has.where(facet.c.field == f"{TAG}{test.value}")
        else:
            has = has.where(facet.c.field.startswith(TAG, autoescape=True))
        if test.operator == "~":
            has = has.where(facet.c.text.icontains(test.value, autoescape=True))
        return has.exists()

    def _terms_of(self, field: Field) -> _Terms:
        if field not in self._terms:
            self._terms[field] = self._made_terms(field)
        return self._terms[field]

    def _made_terms(self, field: Field) -> _Terms:
        own: dict[str, ColumnElement[Any]] = {
            "runId": runs.c.run_id,
            "runName": case((runs.c.name == "", runs.c.run_id), else_=runs.c.name),
            "kind": runs.c.kind,
            "status": self.status,
        }
        if not field.space and field.name in own:
            return _Terms(literal(TEXT), literal(None), self._binary(own[field.name]))
        facet = self._facet(str(field))
        absent = facet.c.run.is_(None)
        kind: ColumnElement[Any] = func.coalesce(facet.c.kind, ABSENT)
        number: ColumnElement[Any] = facet.c.number
        if field.space == "summary":
            metric = self._metric(field.name)
            kind = case((absent, case((metric.is_not(None), NUMBER), else_=ABSENT)), else_=facet.c.kind)
            number = case((absent, metric), else_=facet.c.number)
        return _Terms(kind, number, facet.c.text)

    def _facet(self, field: str) -> Any:
        return self._facets.setdefault(field, run_facets.alias(f"facet_{len(self._facets)}"))

    def _metric(self, name: str) -> ColumnElement[Any]:
        """What a plain metric of a run shows: the one without a context, else the lowest rank's."""
        by_rule: dict[str, list[str]] = {}
        for text in self._definitions:
            by_rule.setdefault(rule_of(definition_of(name, json.loads(text))), []).append(text)
        # `last` is what there is without a definition.
        by_rule.pop("last", None)
        shown: ColumnElement[Any] = series.c.last_value
        if by_rule:
            said = self._facet(DEFINITIONS).c.text
            column = series.c
            value: dict[str, Any] = {
                "min": column.min_value,
                "max": column.max_value,
                "mean": column.mean_value,
            }
            cases = [(said.in_(texts), value.get(rule)) for rule, texts in by_rule.items()]
            shown = case(*cases, else_=series.c.last_value)
        return (
            select(shown)
            .where(series.c.run == runs.c.id, series.c.name == name, _is_plain())
            .order_by(func.length(series.c.attributes), series.c.attributes)
            .limit(1)
            .correlate_except(series)
            .scalar_subquery()
        )

    def _time(self, field: Field) -> ColumnElement[Any]:
        return runs.c.started_unix_ns if field.name == "startedAtMs" else runs.c.updated_unix_ns

    def _status(self) -> ColumnElement[Any]:
        """`runlife.status_at` in SQL."""
        alive = runs.c.alive_unix_ns
        is_silent = and_(alive > 0, alive < self._wanted.now_unix_ns - self._wanted.silence_ns)
        seen = case((runs.c.is_foreign, "completed"), else_="crashed")
        return case((and_(runs.c.status == "running", is_silent), seen), else_=runs.c.status)

    def _binary(self, text: ColumnElement[Any]) -> ColumnElement[Any]:
        """A text that compares by its code points, whatever language the database was made for."""
        return text.collate("C") if self._is_postgresql else text


_COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "=": eq,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}


def _compared(one: ColumnElement[Any], operator: str, other: Any) -> ColumnElement[bool]:
    found: ColumnElement[bool] = _COMPARE[operator](one, other)
    return found


def _is_plain() -> ColumnElement[bool]:
    attributes = series.c.attributes
    is_ranked = and_(attributes.startswith(_RANKED, autoescape=True), ~attributes.contains(","))
    return or_(attributes == _PLAIN, is_ranked)


def _definitions(connection: Connection, project: int) -> list[str]:
    """The different definitions of metrics in a project; runs of one program share them."""
    query = (
        select(run_facets.c.text)
        .join(runs, runs.c.id == run_facets.c.run)
        .where(runs.c.project_id == project, run_facets.c.field == DEFINITIONS)
        .distinct()
    )
    return list(connection.execute(query).scalars())


def columns_of(
    connection: Connection, ids: Sequence[int], fields: Iterable[Field]
) -> dict[int, dict[str, object]]:
    """Return chosen columns of runs by row id; what a run has not is left out.

    Args:
        connection: In the transaction that read the page.
        ids: Row ids of the page's runs.
        fields: Of the config, the summary, or `tags`, `group`, `jobType`.
    """
    wanted = list(fields)
    found: dict[int, dict[str, object]] = {row_id: {} for row_id in ids}
    if not ids or not wanted:
        return found
    metrics = [field.name for field in wanted if field.space == "summary"]
    definitions: dict[int, Mapping[str, Any]] = {}
    names = [str(field) for field in wanted if field.kind != "tags"]
    if metrics:
        names.append(DEFINITIONS)
    facet = run_facets.c
    is_wanted: ColumnElement[bool] = facet.field.in_(names)
    if any(field.kind == "tags" for field in wanted):
        is_wanted = or_(is_wanted, facet.field.startswith(TAG, autoescape=True))
        for row in found.values():
            row["tags"] = []
    said = select(facet.run, facet.field, facet.kind, facet.text).where(facet.run.in_(_IDS), is_wanted)
    for run, field, kind, text in connection.execute(said, {_IDS.key: ids}).all():
        if field == DEFINITIONS:
            definitions[run] = json.loads(text)
        elif field.startswith(TAG):
            tags = found[run]["tags"]
            assert isinstance(tags, list)
            tags.append(text)
        else:
            found[run][field] = plain_value(kind, text)
    if metrics:
        _add_metrics(connection, found, metrics, definitions)
    return found


def _add_metrics(
    connection: Connection,
    found: dict[int, dict[str, object]],
    names: Sequence[str],
    definitions: Mapping[int, Mapping[str, Any]],
) -> None:
    """Add what each plain metric shows, where nothing was set by hand."""
    column = series.c
    defined_ones = [column.min_value, column.max_value, column.mean_value] if definitions else []
    query: Select[Any] = select(
        column.run, column.name, column.attributes, column.last_value, *defined_ones
    ).where(column.run.in_(_IDS), column.name.in_(names), _is_plain())
    fields = {name: f"summary.{name}" for name in names}
    best: dict[tuple[int, str], Sequence[Any]] = {}
    for row in _plainly(connection.execute(query, {_IDS.key: list(found)})):
        whose = row[0], row[1]
        held = best.get(whose)
        if held is None or _rank(row) < _rank(held):
            best[whose] = row
    for (run, name), row in best.items():
        own, field = found[run], fields[name]
        if field in own:
            continue  # set by hand
        defined = definitions.get(run)
        place = 3 if defined is None else _SHOWN.get(rule_of(definition_of(name, defined)))
        if place is not None and row[place] is not None:
            own[field] = row[place]


def _plainly(result: CursorResult[Any]) -> Sequence[Sequence[Any]]:
    """The rows as the driver makes them: of thousands, a `Row` of each costs as much as reading them.

    No column of theirs has a type that would have to be read another way.
    """
    return list(result.cursor.fetchall())


def _rank(row: Sequence[Any]) -> tuple[int, str]:
    """The series without a context comes first, then the lowest rank's."""
    return len(row[2]), row[2]
