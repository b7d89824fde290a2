"""Reading what a run says beside its streams: its plain metrics for the summary, and its alerts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, func, or_, select

from rundial.server.store.tables import events, instances, series
from rundial.server.summaries import MAX_METRICS, values_by_rule
from rundial.signals import semconv

AnyRow = Row[Any]
MAX_ALERTS: Final = 100
_NO_CONTEXT: Final = "{}"
_MS: Final = 1_000_000


def summary_values(
    connection: Connection, run: int, definitions: Mapping[str, Mapping[str, object]]
) -> tuple[dict[str, float], int]:
    """Return what each plain metric of a run shows, and how many more metrics there are than are shown."""
    found = _plain_series(connection, run)
    rows = found[:MAX_METRICS]
    return values_by_rule(rows, definitions), max(0, _count(connection, run) - len(rows))


def _is_plain(run: int) -> Any:
    has_no_context = or_(
        series.c.attributes == _NO_CONTEXT, series.c.attributes.startswith(f'{{"{semconv.RANK}":')
    )
    return (series.c.run == run) & has_no_context & ~series.c.name.startswith("system/")


def _count(connection: Connection, run: int) -> int:
    query = select(func.count(func.distinct(series.c.name))).where(_is_plain(run))
    return int(connection.execute(query).scalar_one())


def _plain_series(connection: Connection, run: int) -> list[AnyRow]:
    """One series a name, by name: the one without a context, else the lowest rank's."""
    query = select(series).where(_is_plain(run)).order_by(series.c.name).limit(4 * MAX_METRICS)
    chosen: dict[str, tuple[int, AnyRow]] = {}
    for row in connection.execute(query):
        attributes = json.loads(row.attributes)
        if set(attributes) - {semconv.RANK}:
            continue  # a rank and a context beside it
        rank = str(attributes.get(semconv.RANK, "-1"))
        place = int(rank) if rank.lstrip("-").isdecimal() else 2**31
        if row.name not in chosen or place < chosen[row.name][0]:
            chosen[row.name] = (place, row)
    return [row for _, row in chosen.values()]


def run_alerts(connection: Connection, run: int) -> Sequence[Mapping[str, object]]:
    """The latest alerts of a run, newest first."""
    query = (
        select(events.c.time_unix_ns, events.c.body, instances.c.instance)
        .join(instances, instances.c.id == events.c.instance)
        .where(instances.c.run == run, events.c.name == semconv.EVENT_RUN_ALERT)
        .order_by(events.c.time_unix_ns.desc(), events.c.id.desc())
        .limit(MAX_ALERTS)
    )
    return [_alert(row) for row in connection.execute(query).all()]


def _alert(row: Any) -> dict[str, object]:
    body = json.loads(row.body)
    said = {name: body.get(name) for name in ("title", "text", "level")}
    return {
        **{name: value if isinstance(value, str) else "" for name, value in said.items()},
        "heldBack": body.get("held_back", 0),
        "timestampMs": row.time_unix_ns // _MS,
        "instanceId": row.instance,
    }
