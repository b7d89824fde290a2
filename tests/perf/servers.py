"""The real server of a section: a child process over a fresh directory, and what it says it has stored."""

from __future__ import annotations

from typing import Any

from tests.perf.plan import Plan
from tests.support.program import ServerProgram

PROJECT = "bench"


def server(plan: Plan) -> ServerProgram:
    """Return a server that entering starts."""
    return ServerProgram(plan.place("server") / "data")


def access(live: ServerProgram) -> dict[str, str]:
    """What a worker needs to reach the server, as arguments of `init`."""
    return {"project": PROJECT, "endpoint": live.url, "api_key": live.key}


def stored_points(live: ServerProgram, run_id: str) -> int:
    """How many points of a run are committed."""
    found: Any = live.get(f"/api/v1/workspaces/default-workspace/projects/{PROJECT}/runs/{run_id}")
    return int(found["counts"]["points"])
