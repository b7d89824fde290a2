"""Who may talk to the server, and how much at once."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from rundial.server.bodies import MAX_PLAIN_BYTES, BodyReader
from tests.support import otlp
from tests.support.clock import START_UNIX_NS, ManualClock
from tests.support.server import LocalServer, fresh_id

_PATHS = [
    ("POST", "/"),
    ("GET", "/nothing/here"),
    ("GET", "/w"),
    ("POST", "/w/default-workspace"),
    ("POST", "/v1/metrics"),
    ("GET", "/api/v1/auth/whoami"),
    ("GET", "/api/v1/workspaces"),
    ("DELETE", "/api/v1/runs/x/status"),
    ("GET", "/health/ready/"),
]


@pytest.mark.parametrize(("method", "path"), _PATHS)
def test_every_path_but_health_needs_a_key(local: LocalServer, method: str, path: str) -> None:
    """Other programs of the machine reach loopback too, and read nothing."""
    reply = local.send(method, path, key="")

    assert (reply.status, reply.error["code"]) == (401, "UNAUTHORIZED")
    assert "owner.key" in reply.error["details"]["hint"]
    assert reply.headers["www-authenticate"] == "Bearer"


def test_health_answers_without_a_key_and_names_the_server(local: LocalServer) -> None:
    """A client learns which server it talks to before it sends a key."""
    reply = local.send("GET", "/health/ready", key="")

    assert reply.json == {"status": "ready", "serverId": local.services.server_id}


def test_a_wrong_secret_an_unknown_id_and_no_key_at_all_are_refused_alike(local: LocalServer) -> None:
    """A refusal does not tell which half of a key was right."""
    prefix, key_id, secret = local.key.split("_", 2)
    wrong = [
        f"{prefix}_{key_id}_{secret[:-1]}",
        f"{prefix}_000000000000_{secret}",
        secret,
        "x" * 5000,
        "rdk__",
    ]

    replies = [local.get("/api/v1/workspaces", key=key) for key in wrong]

    assert {(reply.status, reply.error["message"]) for reply in replies} == {
        (401, "this API key is unknown, expired or revoked")
    }


def test_a_key_stops_working_when_it_expires_or_is_revoked(local: LocalServer, clock: ManualClock) -> None:
    """A key's end is its end, also for one that was used before."""
    expiring = local.make_key({"project:read"}, expires_unix_ns=START_UNIX_NS + 10 * 10**9)
    revoked = local.make_key({"project:read"}, revoked_unix_ns=START_UNIX_NS)
    before = local.get("/api/v1/workspaces", key=expiring).status

    clock.advance(10)

    assert before == 200
    assert local.get("/api/v1/workspaces", key=expiring).status == 401
    assert local.get("/api/v1/workspaces", key=revoked).status == 401


def test_a_key_does_only_what_its_scopes_say(local: LocalServer) -> None:
    """A training script's key cannot read, a dashboard's cannot write, and each is told why."""
    run = fresh_id()
    writer, reader = local.make_key({"metrics:write"}), local.make_key({"project:read"})
    body = otlp.curve(run, "loss", [1.0])
    logs = otlp.logs(otlp.resource(run), [otlp.line(1, "x")])

    statuses = [
        local.export("metrics", body, key=writer).status,
        local.export("logs", logs, key=writer).status,
        local.get("/api/v1/workspaces", key=writer).status,
        local.get("/api/v1/workspaces", key=reader).status,
        local.export("metrics", body, key=reader).status,
    ]

    assert statuses == [200, 403, 403, 200, 403]
    assert "project:read" in local.get("/api/v1/workspaces", key=writer).error["details"]["hint"]


def test_whoami_says_what_a_key_is(local: LocalServer) -> None:
    """A person can check a key before a night of training depends on it."""
    owner = local.get("/api/v1/auth/whoami").json
    member = local.get("/api/v1/auth/whoami", key=local.make_key({"metrics:write"})).json

    assert (owner["authenticated"], owner["principal"]) == (True, "api_key")
    assert (owner["apiKey"]["role"], member["apiKey"]["role"]) == ("owner", "member")
    assert member["apiKey"]["scopes"] == ["metrics:write"]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8787", "", "[::2]:1"]
)
def test_a_foreign_host_is_refused_before_anything_else(local: LocalServer, host: str) -> None:
    """A web page that rebinds its name to this machine gets nothing, not even with a key."""
    reply = local.send("GET", "/health/ready", headers={"host": host})

    assert (reply.status, reply.error["code"]) == (403, "FORBIDDEN")
    assert "--allowed-host" in reply.error["details"]["hint"]


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:9999", "[::1]:8787", "tracker.example:443"]
)
def test_an_allowed_host_is_answered_whatever_its_port(local: LocalServer, host: str) -> None:
    """A forwarded port changes the port that a client names, and nothing else."""
    assert local.send("GET", "/health/ready", headers={"host": host}).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1"])
def test_changes_from_another_origin_are_refused_on_every_path(
    local: LocalServer, method: str, origin: str
) -> None:
    """A page of another site cannot make this user's browser write here."""
    reply = local.send(method, "/whatever", headers={"origin": origin})

    assert (reply.status, reply.error["code"]) == (403, "FORBIDDEN")


def test_changes_from_our_own_origin_and_from_programs_are_taken(local: LocalServer) -> None:
    """Our own pages and programs without an Origin are not in the way of the rule."""
    body = otlp.curve(fresh_id(), "loss", [1.0])
    headers = {"content-type": "application/x-protobuf", "origin": local.url}

    assert local.send("POST", "/v1/metrics", body, headers=headers).status == 200
    assert (
        local.send("POST", "/v1/metrics", body, headers={**headers, "sec-fetch-site": "cross-site"}).status
        == 403
    )


def test_every_answer_carries_the_protective_headers(local: LocalServer) -> None:
    """Nothing that we answer runs as a script or is kept by a cache."""
    for path, key in (
        ("/health/ready", ""),
        ("/nothing", None),
        ("/api/v1/workspaces", ""),
        ("/api/v1/workspaces", None),
    ):
        headers = local.get(path, key=key).headers

        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cache-control"] == "no-store"
        assert headers["x-request-id"].startswith("req_")
        assert "server" not in headers


def test_an_unknown_path_and_a_wrong_method_are_answered_in_the_error_form(local: LocalServer) -> None:
    """Every refusal has the one form that clients read."""
    missing, wrong = local.get("/nowhere"), local.get("/v1/metrics")

    assert (missing.status, missing.error["code"]) == (404, "NOT_FOUND")
    assert (wrong.status, wrong.error["code"]) == (405, "INVALID_REQUEST")
    assert missing.json["requestId"] == missing.headers["x-request-id"]


def test_a_body_that_is_not_otlp_is_refused_with_advice(local: LocalServer) -> None:
    """A sender that speaks another format learns it from the answer."""
    junk = local.export("metrics", b"\xff\xff\xff not protobuf")
    as_text = local.send("POST", "/v1/metrics", b"{}", headers={"content-type": "text/plain"})
    brotli = local.export("metrics", b"x", encoding="br")
    torn = local.export("metrics", gzip.compress(b"x" * 1000)[:-9], encoding="gzip")
    plain = local.export("metrics", b"x" * 50, encoding="gzip")

    assert [reply.status for reply in (junk, as_text, brotli, torn, plain)] == [400, 415, 415, 400, 400]
    assert "x-protobuf" in as_text.error["details"]["hint"]
    assert "gzip" in brotli.error["details"]["hint"]


def test_a_decompression_bomb_is_refused_without_being_unpacked(local: LocalServer) -> None:
    """A few kilobytes cannot make the server hold gigabytes."""
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(2**20)
    bomb = b"".join(packer.compress(block) for _ in range(MAX_PLAIN_BYTES // len(block) + 1)) + packer.flush()

    reply = local.export("metrics", bomb, encoding="gzip")

    assert len(bomb) < 200_000
    assert (reply.status, reply.error["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_a_body_over_the_limit_is_refused_announced_or_not(tmp_path: Path, clock: ManualClock) -> None:
    """The limit holds whether a client says how much it sends or not."""
    with LocalServer(tmp_path / "small", clock, bodies=BodyReader(max_wire_bytes=1000)) as small:
        announced = small.export("metrics", b"x" * 1001)
        chunked = small.send(
            "POST",
            "/v1/metrics",
            b"x" * 5000,
            headers={"content-type": "application/x-protobuf", "transfer-encoding": "chunked"},
        )

    assert announced.status == 413
    assert chunked.status in (400, 413)


def test_a_refusal_is_read_even_by_a_client_that_sends_much(local: LocalServer) -> None:
    """Whoever is refused learns why, instead of a broken connection."""
    small, large = b"x" * 4 * 2**20, b"x" * 24 * 2**20
    key = {"authorization": f"Bearer {local.key}", "content-type": "application/x-protobuf"}

    def refused(path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bool]:
        # http.client sends the whole body before it reads, and raises when it cannot.
        with closing(HTTPConnection(local.url.removeprefix("http://"), timeout=10)) as connection:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, bool(json.load(answer)["error"]["details"]["hint"])

    assert refused("/v1/metrics", small, {}) == (401, True)
    assert refused("/v1/metrics", small, {"host": "evil.example"}) == (403, True)
    assert refused("/nowhere", small, key) == (404, True)
    assert refused("/v1/metrics", large, key) == (413, True)


def test_a_full_write_queue_asks_the_client_to_wait(local: LocalServer) -> None:
    """A server that cannot keep up says so, and takes the same request a moment later."""
    body = otlp.curve(fresh_id(), "loss", [1.0])
    is_busy, may_go_on = threading.Event(), threading.Event()
    jobs = [local.services.writer.submit(lambda _: is_busy.set() or may_go_on.wait(10))]
    # A writer that has not begun would take the whole queue for its next commit, and leave room.
    assert is_busy.wait(10)
    while local.services.writer.has_room():
        jobs.append(local.services.writer.submit(lambda _: True))

    busy = local.export("metrics", body)
    may_go_on.set()
    done = [job.result(10) for job in jobs]

    assert (busy.status, busy.headers["retry-after"], all(done)) == (503, "1", True)
    assert local.export("metrics", body).status == 200


def test_a_server_that_leaves_is_no_longer_ready(local: LocalServer) -> None:
    """A balancer or a client sees that this server takes nothing more."""
    local.services.writer.close()

    assert local.get("/health/ready").status == 503
    assert local.export("metrics", otlp.curve(fresh_id(), "loss", [1.0])).status == 503


def test_control_routes_answer_nonsense_with_what_they_expected(local: LocalServer) -> None:
    """A wrong argument is named, never a stack trace."""
    project = local.project_id()
    headers = {"content-type": "application/json"}
    answers = [
        local.send("POST", "/api/v1/query/logs", b"[1]", headers=headers),
        local.send("POST", "/api/v1/query/logs", b"{", headers=headers),
        local.send("POST", "/api/v1/query/logs", b"[" * 100_000, headers=headers),
        local.post("/api/v1/query/logs", {"projectId": 3, "runId": "x"}),
        local.post("/api/v1/query/series", {"projectId": project, "runId": "x", "metricKeys": []}),
        local.get("/api/v1/workspaces?limit=-1"),
        local.get("/api/v1/workspaces?limit=x"),
        local.get("/api/v1/workspaces?cursor=%21%21"),
        local.get("/api/v1/workspaces?cursor=WzEsMl0="),
        local.get("/api/v1/workspaces/default-workspace/projects/digits/runs/query?statuses=odd"),
        local.post("/api/v1/runs/start", {"projectId": project, "runId": "../x"}),
        local.post("/api/v1/runs/resolve-target", {"project": "///"}),
    ]

    assert {(reply.status, reply.error["code"]) for reply in answers} == {(400, "INVALID_REQUEST")}
