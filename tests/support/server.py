"""A real server inside the test's own process: uvicorn, sockets and SQLite, with a clock that the test moves.

`ServerProgram` (tests/support/program.py) is the same server as a child process, for what only a process
can show: signals, `kill -9`, the command line.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import urllib3

from rundial.clock import Clock
from rundial.server import keys
from rundial.server.app import build_app, open_services
from rundial.server.blobs.opening import BlobOptions
from rundial.server.bodies import BodyReader
from rundial.server.doors import Doors
from rundial.server.grpcdoor import GrpcDoor
from rundial.server.keys import Principal, StoredKey
from rundial.server.pace import Pace
from rundial.server.serve import Leaving, config_of, listen
from rundial.server.store.apikeys import add_key

START_TIMEOUT_S = 10.0
PROTOBUF = "application/x-protobuf"


class Reply:
    """An answer of the server, read."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object."""
        found = json.loads(self.body)
        assert isinstance(found, dict), found
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The `error` part of a refusal."""
        found = self.json["error"]
        assert isinstance(found, dict), found
        return found


class Caller:
    """The requests that a test makes, to a server wherever it runs.

    Attributes:
        url: Where it listens, without a trailing slash.
        key: The owner's API key.
    """

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key
        self._pool = urllib3.PoolManager(retries=False, timeout=10.0)

    def hang_up(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Reply:
        """Send one request, with the owner's key unless another is given; an empty key sends none."""
        chosen = self.key if key is None else key
        sent = dict(headers or {})
        if chosen:
            sent.setdefault("authorization", f"Bearer {chosen}")
        answer = self._pool.request(method, self.url + path, body=body, headers=sent, redirect=False)
        return Reply(answer.status, answer.headers, answer.data)

    def get(self, path: str, *, key: str | None = None) -> Reply:
        """GET a path."""
        return self.send("GET", path, key=key)

    def post(self, path: str, body: object, *, key: str | None = None) -> Reply:
        """POST a JSON body."""
        headers = {"content-type": "application/json"}
        return self.send("POST", path, json.dumps(body).encode(), headers=headers, key=key)

    def export(self, signal: str, body: bytes, *, key: str | None = None, encoding: str = "") -> Reply:
        """POST an OTLP body."""
        headers = {"content-type": PROTOBUF}
        if encoding:
            headers["content-encoding"] = encoding
        return self.send("POST", f"/v1/{signal}", body, headers=headers, key=key)

    def project_id(self, project: str = "digits", *, workspace: str | None = None) -> str:
        """The id of a project, made when it is missing."""
        body = {"project": project} if workspace is None else {"project": project, "workspace": workspace}
        found = self.post("/api/v1/runs/resolve-target", body).json["projectId"]
        assert isinstance(found, str)
        return found

    def details(
        self, run_id: str, *, project: str = "digits", workspace: str = "default-workspace"
    ) -> dict[str, Any]:
        """The details of a run."""
        return self.get(f"/api/v1/workspaces/{workspace}/projects/{project}/runs/{run_id}").json

    def curve(self, run_id: str, name: str, *, max_points: int = 1000) -> list[tuple[int | None, float]]:
        """The first series of a name as (step, value) pairs."""
        body = {
            "projectId": self.project_id(),
            "runId": run_id,
            "metricKeys": [name],
            "maxPointsPerSeries": max_points,
        }
        series = self.post("/api/v1/query/series", body).json["series"]
        return [(point["step"], point["value"]) for point in series[0]["points"]] if series else []

    def spans(self, run_id: str) -> list[dict[str, Any]]:
        """The spans of a run."""
        path = f"/api/v1/workspaces/default-workspace/projects/digits/runs/{run_id}/spans"
        found = self.get(path).json["spans"]
        assert isinstance(found, list)
        return found


class LocalServer(Caller):
    """One server over one data directory, started by entering and stopped by leaving.

    Threads: uvicorn's loop runs on one of its own.

    Attributes:
        services: The parts of the running server.
        data: Its data directory.
    """

    def __init__(
        self,
        data: Path,
        clock: Clock,
        *,
        bodies: BodyReader | None = None,
        silence_s: float = 90,
        head_timeout_s: float = 20,
        blob_options: BlobOptions | None = None,
        database: str | None = None,
        doors: Doors | None = None,
        grpc_port: int | None = None,
        grace_s: int | None = None,
    ) -> None:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clock = clock
        self.data = data
        self.services = open_services(
            data,
            clock,
            bodies=bodies,
            silence_s=silence_s,
            blob_options=blob_options,
            database=database,
        )
        self._listener = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        super().__init__(url, (data / "owner.key").read_text().strip())
        doors = replace(doors or Doors(allowed_hosts=("tracker.example",)), grpc_port=grpc_port)
        pace = Pace(doors.requests_per_minute, clock)
        app = build_app(self.services, doors, pace=pace)
        config = config_of(app, head_timeout_s=head_timeout_s)
        config.timeout_graceful_shutdown = grace_s or config.timeout_graceful_shutdown
        door = None if grpc_port is None else GrpcDoor(self.services, pace, doors, host="127.0.0.1")
        self._server = Leaving(config, self.services.streams, door)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, name="local-server"
        )

    def __enter__(self) -> LocalServer:
        self._thread.start()
        assert self.get("/health/ready").status == 200
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()
        self.stop()
        self._listener.close()

    @property
    def grpc_address(self) -> str:
        """Host and port of its gRPC door."""
        assert self._server.grpc_url is not None
        return self._server.grpc_url.partition("//")[2]

    def stop(self) -> None:
        """Have it leave, as SIGTERM does, and wait until it has."""
        self._server.should_exit = True
        self._thread.join(START_TIMEOUT_S)

    def make_key(
        self,
        scopes: Iterable[str],
        *,
        workspace_id: int | None = 1,
        project_id: int | None = None,
        expires_unix_ns: int | None = None,
        revoked_unix_ns: int | None = None,
    ) -> str:
        """Store a further key, bound to the first workspace unless told otherwise, and return it."""
        key_id, secret = keys.generate()
        reach = None if workspace_id is None else frozenset({workspace_id})
        home = workspace_id or 1
        principal = Principal(key_id, "test", frozenset(scopes), home, reach, project_id)
        stored = StoredKey(principal, keys.digest(secret), expires_unix_ns, revoked_unix_ns)
        now_ns = self._clock.time_unix_ns()
        self.services.writer.submit(
            lambda connection: add_key(connection, stored, now_unix_ns=now_ns)
        ).result(10)
        return keys.render(key_id, secret)


def fresh_id() -> str:
    """A run id that no other test uses."""
    return f"run-{secrets.token_hex(6)}"
