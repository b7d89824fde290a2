"""Runs: start, status, config, the run table, one run's details.

A run id is unique within its project. Routes that name no project (`/runs/{id}/…`) take `projectId`
in the body when two projects of the key hold the same id.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server import ledger
from rundial.server.answers import Answer
from rundial.server.arguments import Arguments, of_body, of_query, page
from rundial.server.attempts import Start
from rundial.server.keys import PROJECT_READ, WRITE_SCOPES, Principal
from rundial.server.problems import Problem, invalid
from rundial.server.resources import MAX_ATTEMPT, RUN_KINDS, is_id
from rundial.server.routes.workspaces import need_project, need_project_by_id
from rundial.server.runlife import STATUSES, TERMINAL, load, status_at
from rundial.server.runquery import parse_fields, parse_filter
from rundial.server.services import principal_of, services_of
from rundial.server.store.facets import run_alerts, summary_values
from rundial.server.store.history import (
    AnyRow,
    instance_ledgers,
    need_run,
    run_environment,
    run_instances,
    runs_with_id,
)
from rundial.server.store.lifeline import Started, set_config, set_status, start_run
from rundial.server.store.runtable import Table, columns_of, page_of

_MS: Final = 1_000_000


async def start(request: Request) -> Answer:
    """Announce a run or a further attempt of it; see `attempts.Start` for what it may say."""
    principal = principal_of(request, *WRITE_SCOPES)
    services = services_of(request)
    arguments = await of_body(request)
    project_id = arguments.text("projectId")
    now_ns = services.clock.time_unix_ns()
    begun = _start(arguments, now_ns)

    def change(connection: Connection) -> Started:
        project = need_project_by_id(connection, principal, project_id)
        return start_run(services.events.points, connection, project.id, begun, now_ns)

    started = await services.write(change)
    return Answer(
        {
            "runId": begun.run_id,
            "projectId": project_id,
            "kind": started.kind,
            "attempt": started.attempt,
            "resumed": started.is_resumed,
            "highestStep": started.steps.user,
            "highestSystemStep": started.steps.system,
            "conflict": started.conflict,
            "serverId": services.server_id,
        }
    )


def _start(arguments: Arguments, now_ns: int) -> Start:
    run_id = arguments.optional_text("runId") or f"run_{secrets.token_hex(16)}"
    if not is_id(run_id):
        raise invalid(f"runId {run_id[:80]!r} is not 1 to 128 letters, digits, '.', '_' or '-'")
    attempt = arguments.whole("attempt")
    if attempt is not None and not 1 <= attempt <= MAX_ATTEMPT:
        raise invalid(f"attempt is {attempt}; it must be at least 1")
    started_ns = arguments.whole("startedAtNs")
    rank = arguments.whole("rank")
    if rank is not None and rank < 0:
        raise invalid(f"rank is {rank}; it must be at least 0")
    launch = arguments.optional_text("launch") or ""
    body = {
        "name": arguments.optional_text("runName"),
        "kind": arguments.one_of("kind", ("training", *sorted(RUN_KINDS - {"training"}))),
        "group": arguments.optional_text("group"),
        "job_type": arguments.optional_text("jobType"),
        "tags": arguments.texts("tags") or None,
        "config": arguments.mapping("config"),
        "launch": launch or None,
        "started_unix_ns": started_ns or now_ns,
    }
    return Start(
        run_id=run_id,
        resume=arguments.one_of("resume", ("never", "allow", "must")),
        instance=arguments.optional_text("instanceId") or "",
        attempt=attempt,
        body=body,
        started_unix_ns=started_ns or now_ns,
        seq=arguments.whole("seq") or 0,
        rank=rank,
        launch=launch,
        is_late=arguments.flag("late"),
    )


async def status(request: Request) -> Answer:
    """End a run as completed, failed or aborted."""
    principal = principal_of(request, *WRITE_SCOPES)
    services = services_of(request)
    arguments = await of_body(request)
    wanted = arguments.text("status")
    if wanted not in TERMINAL:
        raise invalid(f"{wanted[:80]!r} ends no run", f"send one of {', '.join(sorted(TERMINAL))}")
    now_ns = services.clock.time_unix_ns()
    finished_ms = arguments.whole("finishedAtMs")
    ended_ns = now_ns if finished_ms is None else finished_ms * _MS
    body = {"status": wanted, "reason": arguments.optional_text("reason"), "finished_unix_ns": ended_ns}

    def change(connection: Connection) -> str:
        return set_status(
            connection, the_run(connection, principal, request, arguments), body, ended_ns, now_ns
        )

    return Answer({"runId": request.path_params["run_id"], "status": await services.write(change)})


async def config(request: Request) -> Answer:
    """Write config keys; the last writer of a key wins."""
    principal = principal_of(request, *WRITE_SCOPES)
    services = services_of(request)
    arguments = await of_body(request)
    values = arguments.mapping("config")

    def change(connection: Connection) -> dict[str, object]:
        run = the_run(connection, principal, request, arguments)
        return set_config(connection, run, values, services.clock.time_unix_ns())

    return Answer({"runId": request.path_params["run_id"], "config": await services.write(change)})


def the_run(connection: Connection, principal: Principal, request: Request, arguments: Arguments) -> AnyRow:
    """Return the one run that a route without a project means.

    Raises:
        Problem: 404, there is none; 409, there are several.
    """
    run_id: str = request.path_params["run_id"]
    project_id = arguments.optional_text("projectId")
    if project_id:
        return need_run(connection, need_project_by_id(connection, principal, project_id).id, run_id)
    found = runs_with_id(connection, principal, run_id)
    if len(found) > 1:
        raise Problem(
            409, f"{len(found)} projects hold a run {run_id[:128]!r}", "say which one with projectId"
        )
    if not found:
        raise Problem(
            404, f"there is no run {run_id[:128]!r} for this key", "start it, or send its telemetry first"
        )
    return found[0]


async def query(request: Request) -> Response:
    """List a project's runs, the last started first unless `orderBy` and `order` say otherwise."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    services = services_of(request)
    wanted = _table(arguments, services.clock.time_unix_ns(), services.silence_ns)
    asked = arguments.optional_text("columns")
    columns = parse_fields(asked) if asked else []
    limit = arguments.limit(50)
    # A page of one order says nothing about where to go on in another.
    order = f"{wanted.order_by}/{wanted.is_descending}"
    kinds = _CURSORS.get(wanted.order_by.kind if wanted.order_by.space == "" else "any", _MIXED)
    if str(wanted.order_by) in ("group", "jobType"):
        kinds = _MIXED
    cursor = arguments.cursor(str, *kinds)
    if cursor is not None and cursor[0] != order:
        raise invalid("the cursor belongs to another order", "start again without a cursor")
    place = request.path_params

    def read(connection: Connection) -> dict[str, object]:
        project = need_project(connection, principal, place["workspace"], place["project"])
        found = page_of(
            connection,
            replace(wanted, project=project.id),
            after=cursor[1:] if cursor else None,
            limit=limit,
        )
        listed = [_brief(row, wanted.now_unix_ns, wanted.silence_ns) for row in found.rows]
        if columns:
            values = columns_of(connection, [row.id for row in found.rows], columns)
            names = [str(each) for each in columns]
            for row, brief in zip(found.rows, listed, strict=True):
                own = values[row.id]
                brief["columns"] = {name: own[name] if name in own else brief.get(name) for name in names}
        return {"runs": listed, "page": page(None if found.ended is None else [order, *found.ended])}

    return await services.answer(read)


# What a cursor holds behind the order: the keys of the last row.
_MIXED: Final = (int, float, str, int)
_CURSORS: Final = {"text": (str, int), "time": (int, int)}


def _table(arguments: Arguments, now_ns: int, silence_ns: int) -> Table:
    statuses = tuple(
        each.strip() for each in (arguments.optional_text("statuses") or "").split(",") if each.strip()
    )
    unknown = sorted({*statuses} - STATUSES)
    if unknown:
        raise invalid(f"{unknown[0][:80]!r} is no status", f"use {', '.join(sorted(STATUSES))}")
    orders = parse_fields(arguments.optional_text("orderBy") or "startedAtMs")
    if len(orders) != 1 or orders[0].kind == "tags":
        raise invalid("orderBy is not one field that has an order", "use one field that is not tags")
    said = arguments.optional_text("filter")
    return Table(
        project=0,
        filter=parse_filter(said) if said and said.strip() else None,
        search=arguments.optional_text("search") or "",
        statuses=statuses,
        order_by=orders[0],
        is_descending=arguments.one_of("order", ("desc", "asc")) == "desc",
        now_unix_ns=now_ns,
        silence_ns=silence_ns,
        is_archived=arguments.one_of("archived", ("false", "true")) == "true",
    )


async def details(request: Request) -> Response:
    """Show one run: its life, what is stored of it, and its ledger beside that."""
    principal = principal_of(request, PROJECT_READ)
    services = services_of(request)
    now_ns, silence_ns = services.clock.time_unix_ns(), services.silence_ns
    place = request.path_params

    def read(connection: Connection) -> dict[str, object]:
        project = need_project(connection, principal, place["workspace"], place["project"])
        run = need_run(connection, project.id, place["run_id"])
        return {
            **_brief(run, now_ns, silence_ns),
            **_full(run, run_instances(connection, run.id)),
            **_said(connection, run),
            "projectId": project.public_id,
            "environment": run_environment(connection, run.id),
        }

    return await services.answer(read)


def _brief(run: AnyRow, now_ns: int, silence_ns: int) -> dict[str, object]:
    seen = status_at(
        run.status,
        alive_ns=run.alive_unix_ns,
        now_unix_ns=now_ns,
        silence_ns=silence_ns,
        is_foreign=run.is_foreign,
    )
    return {
        "runId": run.run_id,
        "kind": run.kind,
        "status": seen,
        "runName": run.name or run.run_id,
        "startedAtMs": run.started_unix_ns // _MS,
        "updatedAtMs": run.updated_unix_ns // _MS,
        "archived": run.archived_unix_ns is not None,
    }


def _full(run: AnyRow, rows: Sequence[AnyRow]) -> dict[str, object]:
    life = load(run.life)
    counts = {name: sum(getattr(row, name) for row in rows) for name in ledger.SIGNALS}
    return {
        "finishedAtMs": None if life.finished_unix_ns is None else life.finished_unix_ns // _MS,
        "reason": life.reason,
        "error": life.error,
        "attempt": life.attempt,
        "config": life.config_values(),
        "configOmitted": len(life.config_omitted),
        "tags": life.value("tags") or [],
        "notes": run.notes,
        "group": life.value("group"),
        "jobType": life.value("job_type"),
        "counts": counts,
        "ledger": ledger.compare(instance_ledgers(rows)),
        "instances": [
            {
                "instanceId": row.instance,
                "attempt": row.attempt,
                "rank": row.rank,
                "host": row.host,
                "startedAtMs": None if row.began_unix_ns is None else row.began_unix_ns // _MS,
                "counts": {name: getattr(row, name) for name in ledger.SIGNALS},
                "ledger": json.loads(row.ledger),
            }
            for row in rows
        ],
    }


def _said(connection: Connection, run: AnyRow) -> dict[str, object]:
    """What the run says of itself beside its config: summary, definitions, alerts, and what is to come."""
    life = load(run.life)
    definitions = life.metric_definitions()
    values, omitted = summary_values(connection, run.id, definitions)
    stop, preempting = life.note_of(life.stop), life.note_of(life.preempting)
    return {
        "summary": {**values, **life.summary_values()},
        "summaryOmitted": omitted + len(life.summary_omitted),
        "metrics": [
            {
                "name": name,
                "stepMetric": each.get("step_metric"),
                "summary": each.get("summary"),
                "goal": each.get("goal"),
            }
            for name, each in sorted(definitions.items())
        ],
        "alerts": run_alerts(connection, run.id),
        "stopRequested": stop is not None,
        "preempting": None
        if preempting is None
        else {"reason": preempting["reason"], "atMs": _ms(preempting)},
    }


def _ms(note: Mapping[str, object]) -> int:
    unix_ns = note["unix_ns"]
    assert isinstance(unix_ns, int)
    return unix_ns // _MS


ROUTES: Final = [
    Route("/api/v1/runs/start", start, methods=["POST"]),
    Route("/api/v1/runs/{run_id}/status", status, methods=["POST"]),
    Route("/api/v1/runs/{run_id}/config", config, methods=["POST"]),
    Route("/api/v1/workspaces/{workspace}/projects/{project}/runs/query", query, methods=["GET"]),
    Route("/api/v1/workspaces/{workspace}/projects/{project}/runs/{run_id}", details, methods=["GET"]),
]
