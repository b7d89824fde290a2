"""Who may do what: one row for each route of the server, by name of everybody who may.

Whoever adds a route adds its row here; a test fails until then. A row says who is let through for a request
about the project `digits`, and how to make a request that succeeds for who is. Everybody else must be
refused, have changed nothing and read nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from rundial.server.webfiles import web_files
from tests.support import otlp
from tests.support.world import HOME, PASSWORD, RUN, SCOPED, World, canary, fresh


@dataclass(frozen=True, slots=True)
class Call:
    """A request: a JSON body, or bytes as OTLP; None sends none."""

    path: str
    body: Any = None


@dataclass(frozen=True, slots=True)
class Right:
    """One route.

    Attributes:
        may: Who is let through.
        call: Makes a request that nobody made before.
    """

    may: frozenset[str]
    call: Callable[[World], Call]


_OWNER: Final = frozenset({"owner's key"})
_ADMINS: Final = _OWNER | {"owner", "admin key"}
_MAKERS: Final = _ADMINS | {"member", "project admin key"}
_READERS: Final = _MAKERS | {"viewer", "agent", "key:project:read"}
_WRITERS: Final = _MAKERS | {"agent", "key:metrics:write", "key:logs:write", "key:traces:write"}
_KEEPERS: Final = _MAKERS | {"agent", "key:artifacts:write"}
_EVALUATORS: Final = _MAKERS | {"agent", "key:evals:write"}
_ELSEWHERE: Final = frozenset({"stranger", "key of another project", "key of another workspace"})
_PERSONS: Final = frozenset({"owner", "member", "viewer", "stranger"})
_ALL: Final = _READERS | _WRITERS | _ELSEWHERE | set(SCOPED)
_ANYONE: Final = _ALL | {"none", "expired key", "revoked key"}

_W: Final = f"/api/v1/workspaces/{HOME}"
_P: Final = f"{_W}/projects/digits"
_PLACE: Final = "/api/v1/workspaces/{workspace}/projects/{project}"


def _get(path: str) -> Callable[[World], Call]:
    return lambda _world: Call(path)


def _about_run(path: str, **more: Any) -> Callable[[World], Call]:
    """A POST about the run by its project's id."""
    return lambda world: Call(path, {"projectId": world.ids["digits"], "runId": RUN, **more})


def _of_run(verb: str, **body: Any) -> Callable[[World], Call]:
    """A POST about a run of its own, so that ending it twice is never in question."""

    def call(world: World) -> Call:
        run = fresh("run")
        world.made("/api/v1/runs/start", {"projectId": world.ids["digits"], "runId": run})
        return Call(f"/api/v1/runs/{run}/{verb}", {"projectId": world.ids["digits"], **body})

    return call


def _run_of_its_own(verb: str, **body: Any) -> Callable[[World], Call]:
    """A change of a run that stands for nothing else."""

    def call(world: World) -> Call:
        run = fresh("run")
        world.made("/api/v1/runs/start", {"projectId": world.ids["digits"], "runId": run})
        return Call(f"{_P}/runs/{run}{verb}", body)

    return call


def _owner_of_telemetry() -> Any:
    return otlp.resource(
        fresh("run"), rundial__project="digits", rundial__workspace=HOME, instance=fresh("i")
    )


def _metrics(_world: World) -> Call:
    points = [otlp.point(1, 0.5)]
    return Call("/v1/metrics", otlp.metrics((_owner_of_telemetry(), [otlp.gauge("x", points)])))


def _events(_world: World) -> Call:
    happened = [otlp.event(1, "rundial.run.start", {"name": "x"})]
    return Call("/v1/logs", otlp.logs(_owner_of_telemetry(), happened))


def _traces(world: World) -> Call:
    return Call("/v1/traces", otlp.spans(_owner_of_telemetry(), [otlp.span(world.number(), "x")]))


def _revoke_key(place: str) -> Callable[[World], Call]:
    def call(world: World) -> Call:
        # Made by a member, who may end it, too; an owner may end any.
        reply = world.server.send(
            "POST",
            f"{_P}/api-keys",
            b'{"scopes": ["project:read"]}',
            headers={**world.headers("member"), "content-type": "application/json"},
            key="",
        )
        return Call(f"{place}/api-keys/{reply.json['keyId']}/revoke", {})

    return call


def _agent(verb: str) -> Callable[[World], Call]:
    def call(world: World) -> Call:
        agent = world.made(f"{_W}/agents", {"name": fresh("agent")})["agentId"]
        return Call(f"{_W}/agents/{agent}/{verb}", {"projectSlug": "digits"})

    return call


def _new_member(world: World) -> Call:
    """An account that exists already and is no member yet: only the owner's key makes accounts."""
    user = world.fresh_member()
    world.made(f"{_W}/members/{user}/remove", {})
    email = world.read(lambda connection: _email(connection, user))
    return Call(f"{_W}/members", {"email": email, "role": "viewer"})


def _email(connection: Any, user: str) -> str:
    from rundial.server.store.users import find_user

    row = find_user(connection, public_id=user)
    assert row is not None
    return str(row.email)


def _member(verb: str, **body: Any) -> Callable[[World], Call]:
    return lambda world: Call(f"{_W}/members/{world.fresh_member()}/{verb}", body)


def _json(signal: str, **record: Any) -> Callable[[World], Call]:
    """A request of the published client with one record."""
    lists = {"metrics": "points", "logs": "lines", "traces": "spans"}

    def call(world: World) -> Call:
        place = {"projectId": world.ids["digits"], "runId": RUN, "timestampMs": world.number()}
        span = {"traceId": f"{world.number():032x}", "spanId": f"{world.number():016x}"}
        return Call(f"/api/v1/ingest/{signal}", {lists[signal]: [{**place, **span, **record}]})

    return call


def _of_upload(verb: str) -> Callable[[World], Call]:
    """A POST about an upload of its own."""

    def call(world: World) -> Call:
        begun = world.made("/api/v1/artifacts/initiate", _manifest(world))
        body = {"projectId": world.ids["digits"], "uploadId": begun["uploadId"]}
        return Call(f"/api/v1/artifacts/{verb}", body)

    return call


def _manifest(world: World) -> dict[str, Any]:
    """An artifact that only refers to what lies elsewhere, and is whole without an upload."""
    refers = [{"path": canary("digits"), "uri": "s3://bucket/data"}]
    name = fresh(canary("digits"))
    return {"projectId": world.ids["digits"], "runId": RUN, "name": name, "references": refers}


def _of_artifact(verb: str = "", body: Any = None) -> Callable[[World], Call]:
    """A request about an artifact of its own."""

    def call(world: World) -> Call:
        begun = world.made("/api/v1/artifacts/initiate", _manifest(world))
        upload = {"projectId": world.ids["digits"], "uploadId": begun["uploadId"]}
        found = world.made("/api/v1/artifacts/finalize", upload)["artifact"]["artifactId"]
        return Call(f"{_P}/artifacts/{found}{verb}", body)

    return call


def _of_file(world: World) -> Call:
    """A download of a file that was sent."""
    data = fresh("bytes").encode()
    listed = [{"path": "f", "sizeBytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}]
    begun = world.made("/api/v1/artifacts/initiate", {**_manifest(world), "files": listed})
    (wanted,) = begun["files"]
    assert world.server.send("PUT", wanted["url"].removeprefix(world.server.url), data).status == 200
    upload = {"projectId": world.ids["digits"], "uploadId": begun["uploadId"]}
    found = world.made("/api/v1/artifacts/finalize", upload)["artifact"]["artifactId"]
    body = {"projectId": world.ids["digits"], "artifactId": found, "path": "f"}
    return Call("/api/v1/artifacts/download", body)


def _use(world: World) -> Call:
    named = _of_artifact()(world).path.rpartition("/")[2]
    return Call("/api/v1/artifacts/use", {"projectId": world.ids["digits"], "artifactRef": named})


def _signed(verb: str) -> Callable[[World], Call]:
    """A signed URL, whose token is the right, and which nobody's key adds to."""

    def call(world: World) -> Call:
        if verb == "GET":
            asked = _of_file(world)
            url = world.made(asked.path, asked.body)["url"]
            return Call(url.removeprefix(world.server.url))
        data = b"bytes"
        listed = [{"path": "f", "sizeBytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}]
        begun = world.made("/api/v1/artifacts/initiate", {**_manifest(world), "files": listed})
        return Call(begun["files"][0]["url"].removeprefix(world.server.url), data)

    return call


def _suite(world: World) -> dict[str, Any]:
    """A suite of its own, as it is made."""
    dataset = {"name": "d", "version": "1", "artifactRef": "d:v1"}
    return {"projectId": world.ids["digits"], "name": fresh("suite"), "dataset": dataset, "scorers": ["s"]}


def _eval_run(world: World) -> str:
    """An evaluation run with one result."""
    suite = world.made("/api/v1/evals/suites", _suite(world))["suite"]["suiteId"]
    body = {"projectId": world.ids["digits"], "suiteId": suite, "runId": RUN}
    found = str(world.made("/api/v1/evals/runs", body)["evalRun"]["evalRunId"])
    world.made("/api/v1/evals/results", {**_results(world), "evalRunId": found})
    return found


def _results(world: World) -> dict[str, Any]:
    row = {"exampleId": canary("digits"), "scorer": "s", "score": 1, "passed": True}
    return {"projectId": world.ids["digits"], "rows": [row]}


def _of_suite(world: World) -> Call:
    suite = world.made("/api/v1/evals/suites", _suite(world))["suite"]["suiteId"]
    return Call("/api/v1/evals/runs", {"projectId": world.ids["digits"], "suiteId": suite})


def _of_eval_run(verb: str = "") -> Callable[[World], Call]:
    return lambda world: Call(f"{_P}/evals/runs/{_eval_run(world)}{verb}")


def _diff(world: World) -> Call:
    ids = {"baselineEvalRunId": _eval_run(world), "candidateEvalRunId": _eval_run(world)}
    return Call("/api/v1/query/evals/diff", {"projectId": world.ids["digits"], **ids})


RIGHTS: Final[dict[tuple[str, str], Right]] = {
    ("GET", "/"): Right(_ANYONE, _get("/")),
    ("GET", "/sign-in"): Right(_ANYONE, _get("/sign-in")),
    ("GET", "/w/{place:path}"): Right(_ANYONE, _get(f"/w/{HOME}/digits")),
    ("GET", "/assets/{digest}/{name:path}"): Right(
        _ANYONE, lambda _: Call(f"/assets/{web_files().digest}/main.js")
    ),
    ("GET", "/health/ready"): Right(_ANYONE, _get("/health/ready")),
    ("GET", "/health/live"): Right(_ANYONE, _get("/health/live")),
    ("GET", "/metrics"): Right(_OWNER | {"admin key"}, _get("/metrics")),
    ("POST", "/v1/metrics"): Right(_MAKERS | {"agent", "key:metrics:write"}, _metrics),
    ("POST", "/v1/logs"): Right(_WRITERS, _events),
    ("POST", "/v1/traces"): Right(_MAKERS | {"agent", "key:traces:write"}, _traces),
    ("POST", "/api/v1/ingest/metrics"): Right(
        _MAKERS | {"agent", "key:metrics:write"}, _json("metrics", metricKey="x", step=1, value=0.5)
    ),
    ("POST", "/api/v1/ingest/logs"): Right(
        _MAKERS | {"agent", "key:logs:write"}, _json("logs", sequence=1, level="info", message="x")
    ),
    ("POST", "/api/v1/ingest/traces"): Right(
        _MAKERS | {"agent", "key:traces:write"},
        _json("traces", name="x", kind="tool", status="ok", startNs="1", endNs="2"),
    ),
    ("GET", "/api/v1/auth/whoami"): Right(_ALL, _get("/api/v1/auth/whoami")),
    ("GET", "/api/v1/cli/capabilities"): Right(_ALL, _get("/api/v1/cli/capabilities")),
    ("POST", "/api/v1/auth/login/credentials"): Right(
        _ANYONE,
        lambda _: Call(
            "/api/v1/auth/login/credentials", {"email": "member@example.org", "password": PASSWORD}
        ),
    ),
    ("POST", "/api/v1/auth/login/key"): Right(_ALL - _PERSONS, lambda _: Call("/api/v1/auth/login/key", {})),
    ("POST", "/api/v1/auth/logout"): Right(_PERSONS, lambda _: Call("/api/v1/auth/logout", {})),
    ("POST", "/api/v1/auth/password"): Right(
        _PERSONS,
        lambda _: Call("/api/v1/auth/password", {"currentPassword": PASSWORD, "newPassword": PASSWORD}),
    ),
    ("GET", "/api/v1/workspaces"): Right(_READERS | _ELSEWHERE, _get("/api/v1/workspaces")),
    ("POST", "/api/v1/workspaces"): Right(
        _OWNER | {"owner", "stranger"}, lambda _: Call("/api/v1/workspaces", {"name": fresh("w")})
    ),
    ("GET", "/api/v1/workspaces/{workspace}/projects"): Right(
        # Another project's key sees that project alone: what it reads is looked at, too.
        _READERS | {"key of another project"},
        _get(f"{_W}/projects"),
    ),
    ("POST", "/api/v1/workspaces/{workspace}/projects"): Right(
        _ADMINS | {"member"}, lambda _: Call(f"{_W}/projects", {"name": fresh("p")})
    ),
    ("GET", "/api/v1/workspaces/{workspace}/members"): Right(_ADMINS, _get(f"{_W}/members")),
    ("POST", "/api/v1/workspaces/{workspace}/members"): Right(_ADMINS, _new_member),
    ("POST", "/api/v1/workspaces/{workspace}/members/{user_id}/role"): Right(
        _ADMINS, _member("role", role="member")
    ),
    ("POST", "/api/v1/workspaces/{workspace}/members/{user_id}/remove"): Right(_ADMINS, _member("remove")),
    ("POST", "/api/v1/users/{user_id}/password"): Right(
        _OWNER,
        lambda world: Call(f"/api/v1/users/{world.fresh_member()}/password", {"password": PASSWORD}),
    ),
    ("POST", "/api/v1/workspaces/{workspace}/projects/{project}/api-keys"): Right(
        _MAKERS, lambda _: Call(f"{_P}/api-keys", {"scopes": ["project:read"]})
    ),
    ("GET", "/api/v1/workspaces/{workspace}/projects/{project}/api-keys"): Right(
        _MAKERS, _get(f"{_P}/api-keys")
    ),
    ("POST", "/api/v1/workspaces/{workspace}/projects/{project}/api-keys/{key_id}/revoke"): Right(
        _MAKERS, _revoke_key(_P)
    ),
    ("POST", "/api/v1/workspaces/{workspace}/api-keys"): Right(
        _ADMINS, lambda _: Call(f"{_W}/api-keys", {"scopes": ["project:read"]})
    ),
    ("GET", "/api/v1/workspaces/{workspace}/api-keys"): Right(_ADMINS, _get(f"{_W}/api-keys")),
    ("POST", "/api/v1/workspaces/{workspace}/api-keys/{key_id}/revoke"): Right(_ADMINS, _revoke_key(_W)),
    ("POST", "/api/v1/workspaces/{workspace}/agents"): Right(
        _ADMINS, lambda _: Call(f"{_W}/agents", {"name": fresh("agent")})
    ),
    ("GET", "/api/v1/workspaces/{workspace}/agents"): Right(_ADMINS, _get(f"{_W}/agents")),
    ("POST", "/api/v1/workspaces/{workspace}/agents/{agent_id}/revoke"): Right(_ADMINS, _agent("revoke")),
    ("POST", "/api/v1/workspaces/{workspace}/agents/{agent_id}/api-keys"): Right(_ADMINS, _agent("api-keys")),
    ("GET", "/api/v1/workspaces/{workspace}/agents/{agent_id}/api-keys"): Right(
        _ADMINS, lambda world: Call(f"{_W}/agents/{world.agent}/api-keys")
    ),
    ("GET", "/api/v1/workspaces/{workspace}/audit"): Right(_ADMINS, _get(f"{_W}/audit")),
    ("POST", "/api/v1/runs/resolve-target"): Right(
        _READERS | _WRITERS | {"key:artifacts:write", "key:evals:write"},
        lambda _: Call("/api/v1/runs/resolve-target", {"workspace": HOME, "project": "digits"}),
    ),
    ("POST", "/api/v1/runs/start"): Right(
        _WRITERS,
        lambda world: Call("/api/v1/runs/start", {"projectId": world.ids["digits"], "runId": fresh("run")}),
    ),
    ("POST", "/api/v1/runs/{run_id}/status"): Right(_WRITERS, _of_run("status", status="completed")),
    ("POST", "/api/v1/runs/{run_id}/config"): Right(_WRITERS, _of_run("config", config={"x": 1})),
    ("POST", "/api/v1/runs/{run_id}/stop"): Right(_WRITERS, _of_run("stop")),
    ("GET", "/api/v1/runs/{run_id}/control"): Right(
        _READERS | _WRITERS,
        lambda world: Call(f"/api/v1/runs/{RUN}/control?projectId={world.ids['digits']}"),
    ),
    ("GET", "/api/v1/workspaces/{workspace}/projects/{project}/runs/query"): Right(
        _READERS, _get(f"{_P}/runs/query")
    ),
    ("GET", f"{_PLACE}/fields"): Right(_READERS, _get(f"{_P}/fields")),
    ("PATCH", "/api/v1/workspaces/{workspace}/projects/{project}"): Right(
        _ADMINS | {"project admin key"}, lambda _: Call(_P, {"retentionDays": 9})
    ),
    ("PATCH", "/api/v1/workspaces/{workspace}/projects/{project}/runs/{run_id}"): Right(
        _WRITERS, _run_of_its_own("", notes="x")
    ),
    ("POST", "/api/v1/workspaces/{workspace}/projects/{project}/runs/{run_id}/archive"): Right(
        _WRITERS, _run_of_its_own("/archive")
    ),
    ("POST", "/api/v1/workspaces/{workspace}/projects/{project}/runs/{run_id}/restore"): Right(
        _WRITERS, _run_of_its_own("/restore")
    ),
    ("DELETE", "/api/v1/workspaces/{workspace}/projects/{project}/runs/{run_id}"): Right(
        _ADMINS | {"project admin key"}, _run_of_its_own("")
    ),
    ("GET", "/api/v1/workspaces/{workspace}/projects/{project}/runs/{run_id}"): Right(
        _READERS, _get(f"{_P}/runs/{RUN}")
    ),
    ("GET", "/api/v1/workspaces/{workspace}/projects/{project}/runs/{run_id}/spans"): Right(
        _READERS, _get(f"{_P}/runs/{RUN}/spans")
    ),
    ("GET", f"{_PLACE}/traces/{{trace_id}}"): Right(_READERS, _get(f"{_P}/traces/{7:032x}")),
    ("GET", "/api/v1/metrics/keys"): Right(
        _READERS,
        lambda world: Call(f"/api/v1/metrics/keys?projectId={world.ids['digits']}&runId={RUN}"),
    ),
    ("POST", "/api/v1/query/series"): Right(
        _READERS, _about_run("/api/v1/query/series", metricKeys=["canary-of-digits"])
    ),
    ("GET", "/api/v1/metrics/datapoints"): Right(
        _READERS,
        lambda world: Call(f"/api/v1/metrics/datapoints?projectId={world.ids['digits']}&runId={RUN}"),
    ),
    ("POST", "/api/v1/query/datapoints"): Right(_READERS, _about_run("/api/v1/query/datapoints")),
    ("POST", "/api/v1/export/datapoints/file"): Right(_READERS, _about_run("/api/v1/export/datapoints/file")),
    ("POST", "/api/v1/query/logs"): Right(_READERS, _about_run("/api/v1/query/logs")),
    ("POST", "/api/v1/export/metrics"): Right(_READERS, _about_run("/api/v1/export/metrics")),
    ("POST", "/api/v1/export/logs"): Right(_READERS, _about_run("/api/v1/export/logs")),
    ("POST", "/api/v1/export/metrics/file"): Right(_READERS, _about_run("/api/v1/export/metrics/file")),
    ("POST", "/api/v1/export/logs/file"): Right(_READERS, _about_run("/api/v1/export/logs/file")),
    ("GET", "/api/v1/stream/logs"): Right(
        (_READERS - {"key:project:read"}) | {"key:stream:read"},
        lambda world: Call(f"/api/v1/stream/logs?projectId={world.ids['digits']}&runId={RUN}&follow=false"),
    ),
    ("GET", "/api/v1/stream/metrics"): Right(
        (_READERS - {"key:project:read"}) | {"key:stream:read"},
        lambda world: Call(
            f"/api/v1/stream/metrics?projectId={world.ids['digits']}&runId={RUN}&follow=false"
        ),
    ),
    ("GET", "/api/v1/openapi.json"): Right(_ALL, _get("/api/v1/openapi.json")),
    ("POST", "/api/v1/artifacts/initiate"): Right(
        _KEEPERS, lambda world: Call("/api/v1/artifacts/initiate", _manifest(world))
    ),
    ("POST", "/api/v1/artifacts/upload"): Right(_KEEPERS, _of_upload("upload")),
    ("POST", "/api/v1/artifacts/finalize"): Right(_KEEPERS, _of_upload("finalize")),
    ("POST", "/api/v1/artifacts/abort"): Right(_KEEPERS, _of_upload("abort")),
    ("POST", "/api/v1/artifacts/use"): Right(_READERS | _KEEPERS, _use),
    ("POST", "/api/v1/artifacts/download"): Right(_READERS | _KEEPERS, _of_file),
    ("GET", f"{_PLACE}/artifacts"): Right(_READERS, _get(f"{_P}/artifacts")),
    ("POST", f"{_PLACE}/artifacts/gc"): Right(
        _KEEPERS, lambda _world: Call(f"{_P}/artifacts/gc", {"dryRun": True})
    ),
    ("POST", f"{_PLACE}/artifacts/{{artifact}}/aliases"): Right(
        _KEEPERS, _of_artifact("/aliases", {"add": ["best"]})
    ),
    ("POST", f"{_PLACE}/artifacts/{{artifact}}/verify"): Right(_READERS, _of_artifact("/verify", {})),
    ("GET", f"{_PLACE}/artifacts/{{artifact}}"): Right(_READERS, _of_artifact()),
    ("DELETE", f"{_PLACE}/artifacts/{{artifact}}"): Right(_KEEPERS, _of_artifact()),
    ("GET", f"{_PLACE}/lineage"): Right(_READERS, _get(f"{_P}/lineage?runId={RUN}")),
    ("PUT", "/api/v1/blobs/{token}"): Right(_ANYONE, _signed("PUT")),
    ("GET", "/api/v1/blobs/{token}"): Right(_ANYONE, _signed("GET")),
    ("POST", "/api/v1/ingest/media"): Right(
        _KEEPERS | {"key:metrics:write"},
        lambda world: _about_run(
            "/api/v1/ingest/media",
            items=[
                {
                    "mediaKey": fresh("m"),
                    "mediaType": "image",
                    "artifactPath": "a.png",
                    "artifactSha256": "0" * 64,
                }
            ],
        )(world),
    ),
    ("POST", "/api/v1/evals/suites"): Right(
        _EVALUATORS, lambda world: Call("/api/v1/evals/suites", _suite(world))
    ),
    ("POST", "/api/v1/evals/runs"): Right(_EVALUATORS, _of_suite),
    ("POST", "/api/v1/evals/results"): Right(
        _EVALUATORS,
        lambda world: Call("/api/v1/evals/results", {**_results(world), "evalRunId": _eval_run(world)}),
    ),
    ("POST", "/api/v1/export/evals/file"): Right(
        _READERS,
        lambda world: Call(
            "/api/v1/export/evals/file", {"projectId": world.ids["digits"], "evalRunId": _eval_run(world)}
        ),
    ),
    ("POST", "/api/v1/query/evals/diff"): Right(_READERS, _diff),
    ("GET", f"{_PLACE}/evals/runs"): Right(_READERS, _get(f"{_P}/evals/runs?runId={RUN}")),
    ("GET", f"{_PLACE}/evals/runs/{{eval_run_id}}"): Right(_READERS, _of_eval_run()),
    ("GET", f"{_PLACE}/evals/runs/{{eval_run_id}}/results"): Right(_READERS, _of_eval_run("/results")),
    ("GET", f"{_PLACE}/runs/{{run_id}}/media"): Right(_READERS, _get(f"{_P}/runs/{RUN}/media")),
    ("GET", f"{_PLACE}/runs/{{run_id}}/media/keys"): Right(_READERS, _get(f"{_P}/runs/{RUN}/media/keys")),
}
