"""The control API where no real server has it: what a run needs at its start, for the scripted collector."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from tests.support.collector import Answer, Collector, Request, Rule


def control(server_id: str = "srv_one") -> Rule:
    """Answer as a server that knows every project and takes every run."""
    found = {
        "orgId": "org_1",
        "workspaceSlug": "default-workspace",
        "workspaceName": "Default workspace",
        "projectSlug": "digits",
        "projectName": "digits",
        "projectId": "prj_1",
        "serverId": server_id,
        "runId": "run",
        "kind": "training",
    }
    answer = (200, {"Content-Type": "application/json"}, json.dumps(found).encode())
    return lambda request: answer if request.path.startswith("/api/") else None


def exports(collector: Collector, signal: str = "metrics") -> list[Request]:
    """The OTLP requests of one signal that have come so far."""
    return [request for request in collector.requests if request.path == f"/v1/{signal}"]


class Faulty:
    """A rule that answers wrongly for a while: the first requests of one signal, or until `mend`.

    Attributes:
        seen: How many requests it has answered.
    """

    def __init__(self, answer: Answer, *, times: int | None = None, path: str = "/v1/metrics") -> None:
        self._answer = answer
        self._times = times
        self._path = path
        self.seen = 0

    def __call__(self, request: Request) -> Answer | None:
        """Answer a request, None to leave it to the next rule."""
        if not request.path.startswith(self._path):
            return None
        if self._times is not None and self.seen >= self._times:
            return None
        self.seen += 1
        return self._answer

    def mend(self) -> None:
        """Leave every request to the next rule from now on."""
        self._times = 0


def slow(seconds: float) -> Callable[[Request], Answer | None]:
    """A rule that lets each OTLP request wait, as a far network does."""
    never = threading.Event()

    def wait(request: Request) -> Answer | None:
        if request.path.startswith("/v1/"):
            never.wait(seconds)
        return None

    return wait
