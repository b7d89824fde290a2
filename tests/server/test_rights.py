"""Every route with everybody who may come: who is let through; nobody else reads or changes anything."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from rundial.server import app
from tests.support.clock import ManualClock
from tests.support.rights import RIGHTS, Call
from tests.support.server import PROTOBUF, LocalServer, Reply
from tests.support.world import HOME, NOBODY, PRINCIPALS, World, canary

PLACE = "/api/v1/workspaces/{workspace}/projects/{project}"
# Projects whose canaries a principal must never see, whatever it asks for.
HIDDEN = {
    "stranger": ("digits", "other"),
    "key of another project": ("digits", "far"),
    "key of another workspace": ("digits", "other"),
    **dict.fromkeys(NOBODY, ("digits", "other", "far")),
}
OF_ONE_PROJECT = ("other", "far")
OF_ONE_WORKSPACE = ("far",)
# What a viewer may ask and what answers with nothing that a project holds.
SAY_NOTHING = (
    ("GET", "/"),
    ("GET", "/sign-in"),
    ("GET", "/w/{place:path}"),
    ("GET", "/assets/{digest}/{name:path}"),
    ("GET", "/health/ready"),
    ("GET", "/health/live"),
    ("GET", "/api/v1/auth/whoami"),
    ("GET", "/api/v1/cli/capabilities"),
    ("POST", "/api/v1/auth/login/credentials"),
    ("POST", "/api/v1/auth/logout"),
    ("POST", "/api/v1/auth/password"),
    ("GET", "/api/v1/workspaces"),
    ("GET", "/api/v1/workspaces/{workspace}/projects"),
    ("POST", "/api/v1/runs/resolve-target"),
    ("GET", "/api/v1/runs/{run_id}/control"),
    ("GET", "/api/v1/openapi.json"),
    # From now on; what comes while someone listens is in test_logs and test_livepoints.
    ("GET", "/api/v1/stream/logs"),
    ("GET", "/api/v1/stream/metrics"),
    # A signed URL, the place that it means, and a count of files.
    ("POST", "/api/v1/artifacts/download"),
    ("POST", f"{PLACE}/artifacts/{{artifact}}/verify"),
    ("PUT", "/api/v1/blobs/{token}"),
    ("GET", "/api/v1/blobs/{token}"),
)
SEES_ALL = {"owner's key"}
SEES_THE_WORKSPACE = {"owner", "member", "viewer", "admin key"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One server of each engine for all: each request is about things of its own."""
    database = None if request.param == "sqlite" else request.getfixturevalue("postgres").database()
    with LocalServer(tmp_path_factory.mktemp("world"), ManualClock(), database=database) as server:
        yield World(server)


def test_every_route_is_in_the_table_and_every_row_is_a_route() -> None:
    """A route that is added is guarded by a person's thought, or by this failure."""
    routes = {
        (method, route.path)
        for route in app._ROUTES
        for method in (route.methods or set()) - {"HEAD"}  # GET's own shadow
    }

    assert sorted(routes - set(RIGHTS)) == [], "say in tests/support/rights.py who may"
    assert sorted(set(RIGHTS) - routes) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("method", "path"), RIGHTS, ids=[" ".join(key) for key in RIGHTS])
def test_route_lets_through_whom_the_table_names_and_nobody_else(
    world: World, method: str, path: str
) -> None:
    """Who may, does; who may not is refused, has changed nothing, and has read nothing."""
    right = RIGHTS[method, path]
    for principal in PRINCIPALS:
        call, headers = right.call(world), world.headers(principal)
        before = world.dump()
        reply = send(world.server, method, call, headers)

        if principal in right.may:
            assert reply.status == 200, (principal, reply.body)
        else:
            refusals = {401} if principal in NOBODY else {403, 404}
            assert reply.status in refusals, (principal, reply.status, reply.body)
            assert world.dump() == before, f"{principal} was refused and changed something"
        for project in hidden_from(principal):
            assert canary(project) not in reply.body.decode(), f"{principal} read of {project}"


def test_the_canaries_are_read_by_who_may(world: World) -> None:
    """The texts that nobody else saw are there to be seen, wherever a project is shown."""
    silent = []
    for (method, path), right in RIGHTS.items():
        if "viewer" in right.may:
            reply = send(world.server, method, right.call(world), world.headers("viewer"))
            if canary("digits") not in reply.body.decode():
                silent.append((method, path))

    assert sorted(silent) == sorted(SAY_NOTHING)


def test_key_of_one_project_writes_nothing_of_another(world: World) -> None:
    """A project that is not the key's is refused by its id and by its name, whether it exists or not."""
    digits = world.headers("key:metrics:write")
    before = world.dump()
    bodies = [
        {"projectId": world.ids[project], "runId": "run-x", "kind": "training"} for project in OF_ONE_PROJECT
    ]

    statuses = [
        send(world.server, "POST", Call("/api/v1/runs/start", body), digits).status for body in bodies
    ]
    for project, place in (("other", HOME), ("far", "second"), ("new", HOME), ("new", "new")):
        call = Call("/api/v1/runs/resolve-target", {"workspace": place, "project": project})
        statuses.append(send(world.server, "POST", call, digits).status)

    assert set(statuses) <= {403, 404}
    assert world.dump() == before


def hidden_from(principal: str) -> tuple[str, ...]:
    """The projects that a principal must see nothing of."""
    if principal in HIDDEN:
        return HIDDEN[principal]
    if principal in SEES_ALL:
        return ()
    return OF_ONE_WORKSPACE if principal in SEES_THE_WORKSPACE else OF_ONE_PROJECT


def send(server: LocalServer, method: str, call: Call, headers: dict[str, str]) -> Reply:
    """Send a call with what a principal shows."""
    if call.body is None or method == "GET":
        return server.send(method, call.path, headers=headers, key="")
    is_otlp = isinstance(call.body, bytes)
    body = call.body if is_otlp else json.dumps(call.body).encode()
    kind = PROTOBUF if is_otlp else "application/json"
    return server.send(method, call.path, body, headers={**headers, "content-type": kind}, key="")
