"""GET /api/v1/openapi.json: what this server answers, for programs."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.routing import Route

from rundial.server.answers import Answer
from rundial.server.openapi import document


async def openapi(request: Request) -> Answer:
    """Describe every route of the API."""
    return Answer(document(route for route in request.app.routes if isinstance(route, Route)))


ROUTES: Final = [Route("/api/v1/openapi.json", openapi, methods=["GET"])]
