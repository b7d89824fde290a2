"""One test for each class of attack that servers of this kind have fallen to, by its name.

docs/security.md has the list, with the advisories; a test of the documentation checks that each has its test.
"""

from __future__ import annotations

import ast
import json
import logging
import socket
import stat
import zlib
from pathlib import Path
from urllib.parse import quote

import pytest

import rundial.server
from rundial.server import app
from rundial.server.bodies import MAX_PLAIN_BYTES
from rundial.server.store.people import users
from tests.server.test_people import EMAIL, add, log_in, post_as, token_of, whoami
from tests.support import otlp
from tests.support.clock import ManualClock
from tests.support.server import LocalServer, fresh_id
from tests.support.world import PASSWORD

METHODS = ("POST", "PUT", "PATCH", "DELETE", "PROPFIND", "MKCOL", "LOCK", "TRACE", "MADEUP")
PATHS = sorted({route.path.replace("{", "").replace("}", "") for route in app._ROUTES} | {"/", "/no/such"})
SOURCES = sorted(Path(rundial.server.__path__[0]).rglob("*.py"))


def test_class_dns_rebinding(local: LocalServer) -> None:
    """No route answers to a name that somebody else's DNS may point here, not even with the right key."""
    for path in PATHS:
        for host in ("rebound.example", f"rebound.example:{local.url.rsplit(':', 1)[1]}"):
            assert local.send("GET", path, headers={"host": host}).status == 403, path


def test_class_cross_origin_calls(local: LocalServer) -> None:
    """No route tells a browser that a page of another origin may read it or send to it."""
    preflight = {
        "origin": "https://evil.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    for path in PATHS:
        for method, headers in (("OPTIONS", preflight), ("GET", {"origin": "https://evil.example"})):
            reply = local.send(method, path, headers=headers)
            assert not [name for name in reply.headers if name.lower().startswith("access-control-")], path


@pytest.mark.timeout(60)
def test_class_method_deny_lists(local: LocalServer) -> None:
    """A method that is not known to be safe, whatever its name, is refused to another origin, anywhere."""
    for path in PATHS:
        for method in METHODS:
            reply = local.send(method, path, headers={"origin": "https://evil.example"})
            assert reply.status == 403, (method, path)


def test_class_unanchored_origin(local: LocalServer) -> None:
    """An origin is ours when it is the very text, not when it begins, ends or hides like it."""
    port = local.url.rsplit(":", 1)[1]
    origins = [
        f"{local.url}.evil.example",
        f"{local.url}@evil.example",
        f"https://evil.example/#{local.url}",
        f"http://127x0x0x1:{port}",
        f"{local.url}/",
        f" {local.url} x",
        "file://",
        "null",
    ]
    for origin in origins:
        assert local.send("POST", "/v1/metrics", b"", headers={"origin": origin}).status == 403, origin
    no_cors = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert local.send("POST", "/v1/metrics", b"", headers=no_cors).status == 403


def test_class_csrf(local: LocalServer) -> None:
    """A page of another site neither acts as who is logged in, nor logs anybody in."""
    add(local)
    token = token_of(log_in(local))
    cookie = {"cookie": f"rd_session={token}", "content-type": "text/plain"}
    evil = {"origin": "https://evil.example"}
    login = json.dumps({"email": EMAIL, "password": PASSWORD}).encode()

    for path in PATHS:
        assert local.send("POST", path, b"{}", headers={**cookie, **evil}, key="").status == 403, path
    forced = local.send("POST", "/api/v1/auth/login/credentials", login, headers=evil, key="")

    assert (forced.status, "set-cookie" in forced.headers) == (403, False)
    assert whoami(local, token).status == 200, "it is still logged in: nothing of that was done"
    assert "samesite=strict" in log_in(local).headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "name", ["../../x", "..\\..\\x", "/etc/passwd", "a/../b", "x#y", "x%2e%2e", ".", ".."]
)
def test_class_path_traversal(local: LocalServer, name: str, tmp_path: Path) -> None:
    """A name, however it is written, is a value in the database and never a path."""
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    project = local.project_id()
    part = quote(name, safe="")
    place = "/api/v1/workspaces/default-workspace/projects"
    replies = [
        local.post("/api/v1/runs/start", {"projectId": project, "runId": name}),
        local.get(f"{place}/{part}/runs/query"),
        local.get(f"{place}/digits/runs/{part}"),
        local.get(f"/v1/x/{quote(name)}"),
        local.get(f"/api/v1/workspaces/{part}/projects"),
    ]
    local.post("/api/v1/runs/resolve-target", {"project": name})
    body = otlp.metrics(
        (otlp.resource(fresh_id(), rundial__project=name), [otlp.gauge(name, [otlp.point(1, 1)])])
    )
    local.export("metrics", body)

    assert {reply.status for reply in replies} <= {400, 404, 405}
    assert not [reply for reply in replies if b"root:" in reply.body]
    after = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    assert [path for path in after if path not in before] == []


def test_class_evaluated_queries(local: LocalServer) -> None:
    """What a client sends is never code: not ours, not SQL."""
    forbidden = {"eval", "exec", "compile", "__import__"}
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in forbidden, f"{source}:{node.lineno}"
            for module in _imported(node):
                assert module.split(".")[0] not in {"pickle", "marshal", "shelve", "dill"}, source
    run = fresh_id()
    assert local.export("metrics", otlp.curve(run, "loss", [1.0])).status == 200
    path = "/api/v1/workspaces/default-workspace/projects/digits/runs/query?search="
    for text in ("' OR 1=1 --", '"; DROP TABLE runs; --', "%", "_", "__import__('os')", "{{7*7}}"):
        found = local.get(path + quote(text, safe=""))
        assert (found.status, found.json["runs"]) == (200, []), text
    assert [each["runId"] for each in local.get(path + run).json["runs"]] == [run]


def test_class_ssrf() -> None:
    """The server asks no other server for anything that a client named: it has nothing to ask with."""
    clients = {
        "urllib.request",
        "urllib3",
        "http.client",
        "requests",
        "httpx",
        "aiohttp",
        "ftplib",
        "smtplib",
    }
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            assert not clients & set(_imported(node)), source


def test_class_denial_of_service(local: LocalServer) -> None:
    """A small request does not become a large amount of memory or of work."""
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(2**20)
    bomb = b"".join(packer.compress(block) for _ in range(MAX_PLAIN_BYTES // len(block) + 1)) + packer.flush()
    json_type = {"content-type": "application/json"}
    nested = local.send("POST", "/api/v1/query/logs", b"[" * 200_000, headers=json_type)
    project = local.project_id()
    wide = {"projectId": project, "runId": "x", "metricKeys": [f"x{n}" for n in range(100_000)]}

    assert local.export("metrics", bomb, encoding="gzip").status == 413
    assert (nested.status, nested.error["code"]) == (400, "INVALID_REQUEST")
    refused = local.post("/api/v1/query/series", wide)
    assert (refused.status, "metricKeys has 100000 names" in refused.error["message"]) == (400, True)
    assert local.send("POST", "/api/v1/query/logs", b" " * (17 * 2**20), headers=json_type).status == 413
    assert local.get("/health/ready").status == 200


def test_class_stored_xss(local: LocalServer) -> None:
    """What somebody stored is answered as data that no browser runs."""
    run, script = fresh_id(), "<script>alert(1)</script>"
    body = otlp.logs(otlp.resource(run), [otlp.line(1, script)])
    assert local.export("logs", body).status == 200
    place = {"projectId": local.project_id(), "runId": run}
    for reply in (
        local.post("/api/v1/query/logs", place),
        local.get(f"/{quote(script)}"),
        local.get("/api/v1/workspaces", key=""),
    ):
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["x-content-type-options"] == "nosniff"
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_class_unauthenticated_websocket(local: LocalServer) -> None:
    """There is no websocket to reach around the guard by."""
    host, port = local.url.removeprefix("http://").split(":")
    for path in ("/", "/api/v1/workspaces", "/v1/metrics", "/health/ready"):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
            status = int(connection.recv(64).split()[1])
        assert status == (200 if path in ("/", "/health/ready") else 401), path


def test_class_default_passwords(local: LocalServer, tmp_path: Path, clock: ManualClock) -> None:
    """A new server has no account, and its key is its own: random, in a file of its owner alone."""
    with LocalServer(tmp_path / "another", clock) as another:
        assert another.key != local.key
        assert local.get("/api/v1/workspaces", key=another.key).status == 401
    with local.services.engines.reading.begin() as connection:
        assert connection.execute(users.select()).all() == []
    assert log_in(local, "admin@localhost", "admin").status == 401
    assert len(local.key.split("_", 2)[2]) >= 43
    assert stat.S_IMODE((tmp_path / "another" / "owner.key").stat().st_mode) == 0o600


def test_class_secrets_in_addresses(local: LocalServer) -> None:
    """A key in a query string, which proxies write down, opens nothing."""
    for name in ("key", "api_key", "apiKey", "token", "access_token", "authorization"):
        assert local.get(f"/api/v1/workspaces?{name}={local.key}", key="").status == 401


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that any logger says, at its most talkative; of the database every statement, but not each row."""
    caplog.set_level(logging.DEBUG)
    for name in ("rundial.server", "uvicorn.error", "uvicorn.access"):
        caplog.set_level(logging.DEBUG, logger=name)
    caplog.set_level(logging.INFO, logger="sqlalchemy.engine")
    return caplog


@pytest.mark.timeout(60)
def test_class_secrets_in_logs(local: LocalServer, everything: pytest.LogCaptureFixture) -> None:
    """A whole session of people and keys, failures among it, leaves no secret in a log or an error."""
    local.project_id()
    user = add(local, role="owner")
    token = token_of(log_in(local))
    keys_path = "/api/v1/workspaces/default-workspace/projects/digits/api-keys"
    made = post_as(local, token, keys_path, {"scopes": ["project:read"]}).json
    new = "a sentence that is new"
    answers = [
        log_in(local, password="a guess at the password"),
        local.get("/api/v1/workspaces", key=made["key"][:-1]),
        local.get("/api/v1/workspaces", key=made["key"]),
        local.get(keys_path),
        post_as(local, token, f"{keys_path}/{made['keyId']}/revoke", {}),
        local.get("/api/v1/workspaces", key=made["key"]),
        post_as(local, token, "/api/v1/auth/password", {"currentPassword": PASSWORD, "newPassword": new}),
        local.post(f"/api/v1/users/{user}/password", {"password": new}),
        local.get("/%0aforged line of a log"),
        local.get("/nowhere", key=""),
        local.get("/api/v1/workspaces/default-workspace/audit"),
    ]
    for table in ("sessions", "users"):  # an internal failure with people's data in its statement
        local.services.writer.submit(
            lambda connection, table=table: connection.exec_driver_sql(
                f"ALTER TABLE {table} RENAME TO gone_{table}"
            )
        ).result(10)
        close = {"connection": "close", "content-type": "application/json"}  # the server closes after a 500
        login = json.dumps({"email": EMAIL, "password": new}).encode()
        answers += [
            local.send("POST", "/api/v1/auth/login/credentials", login, headers=close, key=""),
            local.send(
                "GET", "/api/v1/auth/whoami", headers={**close, "cookie": f"rd_session={token}"}, key=""
            ),
        ]

    assert [answer.status for answer in answers[-4:]][1:] == [500, 500, 500]
    secrets = [PASSWORD, new, "a guess at the password"]
    secrets += [each.split("_", 2)[2] for each in (local.key, made["key"], token)]
    said = everything.text + "".join(answer.body.decode() for answer in answers)
    assert "no such table" in said or "does not exist" in said, "the failures were logged"
    assert [secret for secret in secrets if secret in said] == []
    assert EMAIL not in everything.text
    assert "\nforged line" not in everything.text


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
