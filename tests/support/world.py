"""A server with two workspaces, three projects and everybody who may come, for tests of who may do what.

    default-workspace: projects `digits` (the one that requests are about) and `other`
    second:            project `far`

In each project lies a run with a canary: a text that nobody reads who may not read that project.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from typing import Any, Final

from argon2 import PasswordHasher
from sqlalchemy import Connection, select

from rundial.server import keys
from rundial.server.keys import SCOPES, SESSION_PREFIX
from rundial.server.store.people import key_facts, sessions
from rundial.server.store.sessions import add_session
from rundial.server.store.tables import metadata, projects, workspaces
from rundial.server.store.users import create_user, find_user, set_role
from tests.support import otlp
from tests.support.clock import START_UNIX_NS
from tests.support.server import LocalServer

PASSWORD: Final = "open sesame, please"
HOME, SECOND = "default-workspace", "second"
PLACES: Final = {"digits": HOME, "other": HOME, "far": SECOND}
RUN: Final = "run-near"
# People of the default workspace by role, and one who owns the second and is nobody here.
PEOPLE: Final = ("owner", "member", "viewer", "stranger")
SCOPED: Final = tuple(f"key:{scope}" for scope in sorted(SCOPES - {"admin"}))
NOBODY: Final = ("expired key", "revoked key", "none")
PRINCIPALS: Final = (
    "owner's key",
    *PEOPLE,
    "admin key",
    "project admin key",
    *SCOPED,
    "agent",
    "key of another project",
    "key of another workspace",
    *NOBODY,
)


class World:
    """The server, who may come, and what stands there.

    Attributes:
        server: A real server, empty but for what is made here.
        ids: The id of each project.
    """

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        # What was deleted stays: removing it meanwhile would look like a deed of whoever was refused.
        server.services.janitor.close()
        self._numbers = itertools.count(1)
        self._hash = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
        self.ids: dict[str, str] = {}
        for project, workspace in PLACES.items():
            self.ids[project] = server.project_id(project, workspace=workspace)
            self.telemetry(project, workspace)
        self._rows = self.read(_row_ids)
        self._users = {name: self._person(f"{name}@example.org") for name in PEOPLE}
        for name in PEOPLE[:3]:
            self._join(self._users[name], HOME, name)
        self._join(self._users["stranger"], SECOND, "owner")
        self.agent = self.made(f"/api/v1/workspaces/{HOME}/agents", {"name": "nightly"})["agentId"]
        self._keys = self._all_keys()

    def number(self) -> int:
        """A number that was not given before."""
        return next(self._numbers)

    def made(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the owner's POST answers; it must succeed."""
        reply = self.server.post(path, body)
        assert reply.status == 200, reply.body
        return reply.json

    def telemetry(self, project: str, workspace: str) -> None:
        """Put a run with its canary into a project."""
        owner = otlp.resource(
            RUN, rundial__project=project, rundial__workspace=workspace, instance=f"i-{project}"
        )
        texts = [
            otlp.line(1, canary(project)),
            otlp.event(2, "rundial.run.start", {"name": canary(project), "config": {canary(project): 1}}),
        ]
        assert self.server.export("logs", otlp.logs(owner, texts)).status == 200
        points = [otlp.point(1, 0.5, fold=canary(project))]
        counts = otlp.histogram(f"{canary(project)}-counts", [1, 2], [0.5])
        body = otlp.metrics((owner, [otlp.gauge(canary(project), points), counts]))
        assert self.server.export("metrics", body).status == 200
        assert self.server.export("traces", otlp.spans(owner, [otlp.span(1, canary(project))])).status == 200
        shown = {
            "mediaKey": canary(project),
            "mediaType": "image",
            "artifactPath": "a.png",
            "artifactSha256": "0" * 64,
        }
        rows = {"projectId": self.ids[project], "runId": RUN, "items": [shown]}
        assert self.made("/api/v1/ingest/media", rows)["accepted"] == 1

    def headers(self, principal: str) -> dict[str, str]:
        """What a principal shows; a person a session that was just begun."""
        if principal == "none":
            return {}
        if principal in PEOPLE:
            return {"cookie": f"rd_session={self.session(principal)}"}
        return {"authorization": f"Bearer {self._keys[principal]}"}

    def session(self, person: str) -> str:
        """A new session of a person."""
        session_id, secret = keys.generate_session()
        user = self._users[person]

        def begin(connection: Connection) -> None:
            row = find_user(connection, public_id=user)
            assert row is not None
            add_session(
                connection,
                (sessions.c.user_id, row.id),
                (session_id, keys.digest(secret)),
                now_unix_ns=START_UNIX_NS,
                expires_unix_ns=START_UNIX_NS + 10**15,
            )

        self.change(begin)
        return keys.render(session_id, secret, prefix=SESSION_PREFIX)

    def fresh_member(self, role: str = "viewer") -> str:
        """A further person of the default workspace; their id."""
        user = self._person(f"guest-{self.number()}@example.org")
        self._join(user, HOME, role)
        return user

    def read(self, job: Callable[[Connection], Any]) -> Any:
        """What a query of the store itself gives."""
        with self.server.services.engines.reading.begin() as connection:
            return job(connection)

    def change(self, job: Callable[[Connection], Any]) -> None:
        """Change the store itself."""
        self.server.services.writer.submit(job).result(10)

    def dump(self) -> dict[str, list[Any]]:
        """All that is stored, but for when keys were used last."""
        tables = [table for table in metadata.sorted_tables if table is not key_facts]
        return self.read(
            lambda connection: {
                table.name: sorted(map(repr, connection.execute(select(table)))) for table in tables
            }
        )

    def _person(self, email: str) -> str:
        found: list[str] = []
        self.change(
            lambda connection: found.append(
                create_user(connection, email, name="", password_hash=self._hash, now_unix_ns=START_UNIX_NS)
            )
        )
        return found[0]

    def _join(self, user: str, workspace: str, role: str) -> None:
        def join(connection: Connection) -> None:
            row = find_user(connection, public_id=user)
            assert row is not None
            place = connection.execute(
                select(workspaces.c.id).where(workspaces.c.slug == workspace)
            ).scalar_one()
            set_role(connection, row.id, place, role, START_UNIX_NS)

        self.change(join)

    def _all_keys(self) -> dict[str, str]:
        make, rows = self.server.make_key, self._rows
        digits, all_scopes = rows["digits"], sorted(SCOPES)
        agent_keys = f"/api/v1/workspaces/{HOME}/agents/{self.agent}/api-keys"
        return {
            "owner's key": self.server.key,
            "admin key": make({"admin"}),
            "project admin key": make({"admin"}, project_id=digits),
            **{name: make({name.partition(":")[2]}, project_id=digits) for name in SCOPED},
            "agent": self.made(agent_keys, {"projectSlug": "digits"})["key"],
            "key of another project": make(all_scopes, project_id=rows["other"]),
            "key of another workspace": make(all_scopes, workspace_id=rows["second"]),
            "expired key": make(all_scopes, expires_unix_ns=START_UNIX_NS),
            "revoked key": make(all_scopes, revoked_unix_ns=START_UNIX_NS),
        }


def canary(project: str) -> str:
    """The text that betrays that a project was read."""
    return f"canary-of-{project}"


def _row_ids(connection: Connection) -> dict[str, int]:
    return {
        row.slug: row.id
        for table in (projects, workspaces)
        for row in connection.execute(select(table.c.slug, table.c.id))
    }


def fresh(prefix: str) -> str:
    """A name that nothing bears."""
    return f"{prefix}-{secrets.token_hex(4)}"
