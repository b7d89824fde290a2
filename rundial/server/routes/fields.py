"""GET …/fields: which values the runs of a project have, for whoever chooses what a table shows."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.routing import Route

from rundial.server.answers import Answer
from rundial.server.keys import PROJECT_READ
from rundial.server.routes.workspaces import need_project
from rundial.server.services import principal_of, services_of
from rundial.server.store.runfacets import project_fields

MAX_FIELDS: Final = 2_000


async def fields(request: Request) -> Answer:
    """List the fields of configs, summaries that were set by hand, and tags, with how many runs have each."""
    principal = principal_of(request, PROJECT_READ)
    place = request.path_params

    def read(connection: Connection) -> dict[str, object]:
        project = need_project(connection, principal, place["workspace"], place["project"])
        found = project_fields(connection, project.id, limit=MAX_FIELDS + 1)
        return {
            "fields": [{"field": name, "runs": count} for name, count in found[:MAX_FIELDS]],
            "truncated": len(found) > MAX_FIELDS,
        }

    return Answer(await services_of(request).read(read))


ROUTES: Final = [Route("/api/v1/workspaces/{workspace}/projects/{project}/fields", fields, methods=["GET"])]
