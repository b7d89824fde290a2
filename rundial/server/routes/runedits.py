"""What people do to a run that is there: rename, tag, note, archive, restore, delete; how long runs are kept.

No telemetry is changed by it. A name or tags given here stand over what the run said until a later start says
otherwise.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, update
from starlette.requests import Request
from starlette.routing import Route

from rundial.server.answers import Answer
from rundial.server.arguments import Arguments, of_body
from rundial.server.keys import ADMIN, WRITE_SCOPES, Principal
from rundial.server.problems import invalid
from rundial.server.routes.workspaces import need_project
from rundial.server.services import principal_of, services_of
from rundial.server.store.audit import Deed, record
from rundial.server.store.history import AnyRow, need_run
from rundial.server.store.lifeline import edit_run, set_archived
from rundial.server.store.places import Project
from rundial.server.store.removal import delete_run
from rundial.server.store.tables import projects

MAX_TAGS: Final = 100
MAX_TAG_CHARACTERS: Final = 128
MAX_NAME_CHARACTERS: Final = 256
MAX_NOTES_CHARACTERS: Final = 65_536
MAX_RETENTION_DAYS: Final = 36_500


async def edit(request: Request) -> Answer:
    """Write a run's name, tags and notes; what is absent stays as it is."""
    principal = principal_of(request, *WRITE_SCOPES)
    services = services_of(request)
    arguments = await of_body(request)
    fields, notes = _fields(arguments), _notes(arguments)
    if not fields and notes is None:
        raise invalid("nothing is to be changed", "send runName, tags or notes")
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> None:
        run = _run(connection, principal, request, "run.edit", now_ns)
        edit_run(connection, run, fields, notes, now_ns)

    await services.write(change)
    return Answer({"runId": request.path_params["run_id"], "updated": True})


def _fields(arguments: Arguments) -> dict[str, object]:
    fields: dict[str, object] = {}
    name = arguments.optional_text("runName")
    if name is not None:
        if not name or len(name) > MAX_NAME_CHARACTERS:
            raise invalid(f"runName has {len(name)} characters; it must have 1 to {MAX_NAME_CHARACTERS}")
        fields["name"] = name
    if arguments.has("tags"):
        tags = list(dict.fromkeys(arguments.texts("tags")))
        if len(tags) > MAX_TAGS or not all(0 < len(tag) <= MAX_TAG_CHARACTERS for tag in tags):
            raise invalid(f"tags are at most {MAX_TAGS} texts of 1 to {MAX_TAG_CHARACTERS} characters")
        fields["tags"] = tags
    return fields


def _notes(arguments: Arguments) -> str | None:
    notes = arguments.optional_text("notes", greatest=MAX_NOTES_CHARACTERS)
    return notes if notes is not None or not arguments.has("notes") else ""


async def archive(request: Request) -> Answer:
    """Take a run out of the run table; nothing of it is removed."""
    return await _set_archived(request, is_archived=True)


async def restore(request: Request) -> Answer:
    """Bring an archived run back into the run table."""
    return await _set_archived(request, is_archived=False)


async def _set_archived(request: Request, *, is_archived: bool) -> Answer:
    principal = principal_of(request, *WRITE_SCOPES)
    services = services_of(request)
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> None:
        run = _run(connection, principal, request, "run.archive" if is_archived else "run.restore", now_ns)
        set_archived(connection, run, now_ns if is_archived else None)

    await services.write(change)
    return Answer({"runId": request.path_params["run_id"], "archived": is_archived})


async def delete(request: Request) -> Answer:
    """Delete a run for ever. It is out of sight at once; its rows go soon after."""
    principal = principal_of(request, ADMIN)
    services = services_of(request)
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> None:
        delete_run(connection, _run(connection, principal, request, "run.delete", now_ns).id, now_ns)
        services.intake.forget()

    await services.write(change)
    services.janitor.wake()
    return Answer({"runId": request.path_params["run_id"], "deleted": True})


async def keep(request: Request) -> Answer:
    """Say how many days a project keeps a run after it was last heard of; null is for ever."""
    principal = principal_of(request, ADMIN)
    services = services_of(request)
    arguments = await of_body(request)
    if not arguments.has("retentionDays"):
        raise invalid("nothing is to be changed", "send retentionDays, a number of days or null")
    days = arguments.whole("retentionDays")
    if days is not None and not 1 <= days <= MAX_RETENTION_DAYS:
        raise invalid(f"retentionDays is {days}; it must be 1 to {MAX_RETENTION_DAYS}, or null")

    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> str:
        project = _project(connection, principal, request)
        deed = Deed("project.keep", "project", project.public_id, details={"retentionDays": days})
        record(connection, project.workspace.id, principal.doer, deed, now_unix_ns=now_ns)
        connection.execute(update(projects).where(projects.c.id == project.id).values(retention_days=days))
        return project.public_id

    project_id = await services.write(change)
    services.janitor.wake()
    return Answer({"projectId": project_id, "retentionDays": days})


def _project(connection: Connection, principal: Principal, request: Request) -> Project:
    place = request.path_params
    return need_project(connection, principal, place["workspace"], place["project"])


def _run(connection: Connection, principal: Principal, request: Request, action: str, now_ns: int) -> AnyRow:
    """The run that is about to be changed; the deed is written down with the change."""
    project = _project(connection, principal, request)
    run = need_run(connection, project.id, request.path_params["run_id"])
    deed = Deed(action, "run", run.run_id, details={"projectSlug": project.slug})
    record(connection, project.workspace.id, principal.doer, deed, now_unix_ns=now_ns)
    return run


_PROJECT: Final = "/api/v1/workspaces/{workspace}/projects/{project}"
_RUN: Final = f"{_PROJECT}/runs/{{run_id}}"

ROUTES: Final = [
    Route(_RUN, edit, methods=["PATCH"]),
    Route(_RUN, delete, methods=["DELETE"]),
    Route(f"{_RUN}/archive", archive, methods=["POST"]),
    Route(f"{_RUN}/restore", restore, methods=["POST"]),
    Route(_PROJECT, keep, methods=["PATCH"]),
]
