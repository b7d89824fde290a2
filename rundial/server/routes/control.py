"""What a running process asks the server directly, and what a person asks of the process: to stop.

Nobody stops a process from here. The wish is noted for the run's current attempt; the process sees it in
`run.should_stop` and ends as it likes. A later attempt is not affected.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.routing import Route

from rundial.server.answers import Answer
from rundial.server.arguments import of_body, of_query
from rundial.server.keys import PROJECT_READ, WRITE_SCOPES
from rundial.server.routes.runs import the_run
from rundial.server.runlife import load
from rundial.server.services import principal_of, services_of
from rundial.server.store.audit import Deed, record
from rundial.server.store.lifeline import ask_to_stop
from rundial.server.store.places import project_of_run


async def stop(request: Request) -> Answer:
    """Note that the run is to stop."""
    principal = principal_of(request, *WRITE_SCOPES)
    services = services_of(request)
    arguments = await of_body(request)
    reason = arguments.optional_text("reason") or ""
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> int:
        run = the_run(connection, principal, request, arguments)
        attempt = ask_to_stop(connection, run, reason, now_ns)
        project = project_of_run(connection, run)
        details = {"projectSlug": project.slug, "attempt": attempt, "reason": reason}
        deed = Deed("run.stop", "run", run.run_id, details=details)
        record(connection, project.workspace.id, principal.doer, deed, now_unix_ns=now_ns)
        return attempt

    attempt = await services.write(change)
    return Answer({"runId": request.path_params["run_id"], "attempt": attempt, "stop": True})


async def control(request: Request) -> Answer:
    """Tell whether an attempt of the run, the latest unless it says which, is to stop."""
    principal = principal_of(request, PROJECT_READ, *WRITE_SCOPES)
    arguments = of_query(request)
    attempt = arguments.whole("attempt")

    def read(connection: Connection) -> dict[str, object]:
        life = load(the_run(connection, principal, request, arguments).life)
        wish = life.note_of(life.stop, attempt)
        reason = None if wish is None else wish["reason"]
        return {"runId": request.path_params["run_id"], "stop": wish is not None, "reason": reason}

    return Answer(await services_of(request).read(read))


ROUTES: Final = [
    Route("/api/v1/runs/{run_id}/stop", stop, methods=["POST"]),
    Route("/api/v1/runs/{run_id}/control", control, methods=["GET"]),
]
