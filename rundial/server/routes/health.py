"""GET /health/ready: whether this server takes records, and which server it is. Needs no key."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rundial.server.problems import busy
from rundial.server.services import services_of


async def ready(request: Request) -> JSONResponse:
    """Say that the server is ready; 503 once it no longer takes changes."""
    services = services_of(request)
    if not services.writer.is_alive:
        raise busy("the server is shutting down")
    return JSONResponse({"status": "ready", "serverId": services.server_id})


ROUTES: Final = [Route("/health/ready", ready, methods=["GET"])]
