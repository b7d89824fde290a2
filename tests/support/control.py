"""The control API where no real server has it: what a run needs at its start, and the routes behind login.

`control()` is a rule for the scripted collector. `AccessServer` is an endpoint of its own, over a real
socket, that keeps sessions, API keys, agents and the record of what was done as the published API has
them.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

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


class Refusal(Exception):
    """An error of the API: status, code, message and hint."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(status, code, message, hint)
        self.status, self.body = status, {"code": code, "message": message, "details": {"hint": hint}}


class AccessServer:
    """Sessions, API keys, agents and audit events, in memory; a context manager.

    One account, `ada@example.org` with the password `opensesame`; sessions and made keys open every
    other route.

    Attributes:
        seen: Method, path and headers of each request, in order.
        sessions: The tokens that are valid.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, Mapping[str, str]]] = []
        self.sessions: set[str] = set()
        self._keys: list[dict[str, Any]] = []
        self._agents: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> AccessServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: Any
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Answer a request with an object and headers.

        Raises:
            Refusal: It is refused.
        """
        self.seen.append((method, target, headers))
        parts = urlsplit(target)
        path = unquote(parts.path).removeprefix("/api/v1")
        if path == "/auth/login/credentials":
            return self._login(headers, body)
        actor = self._actor(headers)
        if path == "/auth/logout":
            self.sessions.discard(actor.removeprefix("session:"))
            return {"ok": True}, {}
        asked = {**dict(parse_qsl(parts.query)), **(body or {})}
        for wanted, pattern, act in self._routes():
            found = re.fullmatch(pattern, path)
            if wanted == method and found is not None:
                answer: dict[str, Any] = act(*found.groups(), asked)
                if method == "POST":
                    self._events.append(_event(len(self._events), actor, path, asked))
                return answer, {}
        raise Refusal(404, "NOT_FOUND", f"no route {path}")

    def _routes(self) -> list[tuple[str, str, Callable[..., dict[str, Any]]]]:
        workspace = r"/workspaces/([^/]+)"
        keys, agents = rf"{workspace}/projects/([^/]+)/api-keys", rf"{workspace}/agents"
        return [
            ("GET", "/cli/capabilities", lambda asked: {"version": "9.9"}),
            ("GET", "/auth/whoami", lambda asked: {"authenticated": True, "principal": "user"}),
            ("POST", keys, lambda w, p, asked: self._make_key(f"{w}/{p}", asked)),
            ("GET", keys, lambda w, p, asked: {"keys": self._shown(f"{w}/{p}")}),
            ("POST", rf"{keys}/([^/]+)/revoke", lambda w, p, key, asked: self._revoke(key)),
            ("POST", agents, lambda w, asked: self._make_agent(w, asked)),
            ("GET", agents, lambda w, asked: _page("agents", self._of(w, asked), asked)),
            ("POST", rf"{agents}/([^/]+)/revoke", lambda w, agent, asked: self._end(agent)),
            ("POST", rf"{agents}/([^/]+)/api-keys", lambda w, a, asked: self._make_key(a, asked)),
            ("GET", rf"{agents}/([^/]+)/api-keys", lambda w, a, asked: _page("keys", self._shown(a), asked)),
            ("GET", rf"{workspace}/audit", lambda w, asked: _page("events", self._done(asked), asked)),
        ]

    def _login(self, headers: Mapping[str, str], body: Any) -> tuple[dict[str, Any], dict[str, str]]:
        if headers.get("origin") != self.url:
            raise Refusal(403, "FORBIDDEN", "a login comes from the server's own origin")
        if body != {"email": "ada@example.org", "password": "opensesame"}:
            raise Refusal(401, "UNAUTHORIZED", "email or password are wrong", "Try again.")
        token = f"rds_{len(self.sessions) + 1}"
        self.sessions.add(token)
        cookie = f"rd_session={token}; Path=/; HttpOnly; SameSite=Lax"
        return {"authenticated": True, "user": {"email": body["email"]}}, {"set-cookie": cookie}

    def _actor(self, headers: Mapping[str, str]) -> str:
        token = headers.get("cookie", "").removeprefix("rd_session=")
        if token in self.sessions:
            return f"session:{token}"
        key = headers.get("authorization", "").removeprefix("Bearer ")
        if any(each["key"] == key and each["revokedAtMs"] is None for each in self._keys):
            return "api_key"
        raise Refusal(401, "UNAUTHORIZED", "no session and no key", "Log in.")

    def _make_key(self, owner: str, asked: dict[str, Any]) -> dict[str, Any]:
        number = len(self._keys) + 1
        kept = ("label", "expiresAtMs", "projectSlug")
        key = {"keyId": f"key_{number}", "key": f"rdk_{number}", "owner": owner, "revokedAtMs": None}
        key |= {"scopes": asked.get("scopes", ["project:read"]), **{name: asked.get(name) for name in kept}}
        self._keys.append(key)
        return dict(key)

    def _shown(self, owner: str) -> list[dict[str, Any]]:
        mine = [key for key in self._keys if key["owner"] == owner]
        return [{name: value for name, value in key.items() if name != "key"} for key in mine]

    def _revoke(self, key_id: str) -> dict[str, Any]:
        for key in self._keys:
            if key["keyId"] == key_id:
                key["revokedAtMs"] = 1
                return {"keyId": key_id, "revokedAtMs": 1}
        raise Refusal(404, "NOT_FOUND", f"no key {key_id}", "List the keys.")

    def _make_agent(self, workspace: str, asked: dict[str, Any]) -> dict[str, Any]:
        agent = {
            "agentId": f"agt_{len(self._agents) + 1}",
            "name": asked["name"],
            "status": "active",
            "workspace": workspace,
        }
        self._agents.append(agent)
        return dict(agent)

    def _of(self, workspace: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
        status = asked.get("status")
        mine = [agent for agent in self._agents if agent["workspace"] == workspace]
        return [agent for agent in mine if status is None or agent["status"] == status]

    def _end(self, agent_id: str) -> dict[str, Any]:
        for agent in self._agents:
            if agent["agentId"] == agent_id:
                agent["status"] = "revoked"
        for key in self._keys:
            if key["owner"] == agent_id:
                key["revokedAtMs"] = 1
        return {"agentId": agent_id}

    def _done(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = {name: asked[name] for name in ("actorKind", "agentId") if name in asked}
        found = [each for each in self._events if wanted.items() <= each.items()]
        return found[::-1]


def _event(number: int, actor: str, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    agent = re.search(r"/agents/([^/]+)", path)
    return {
        "createdAtMs": number,
        "action": path,
        "actorKind": "user" if actor.startswith("session:") else actor,
        "targetId": asked.get("name") or asked.get("label"),
        **({"agentId": agent[1]} if agent else {}),
    }


def _page(name: str, rows: list[dict[str, Any]], asked: Mapping[str, Any]) -> dict[str, Any]:
    first, limit = int(asked.get("cursor", 0)), int(asked.get("limit", 100))
    is_more = first + limit < len(rows)
    page = {"hasMore": is_more, "nextCursor": str(first + limit) if is_more else None}
    return {name: rows[first : first + limit], "page": page}


def _handler(server: AccessServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def _serve(self) -> None:
            size = int(self.headers.get("content-length", "0"))
            body = json.loads(self.rfile.read(size) or b"null")
            headers = {name.lower(): value for name, value in self.headers.items()}
            more: dict[str, str] = {}
            try:
                found, more = server.answer(self.command, self.path, headers, body)
                status = 200
            except Refusal as refusal:
                status, found = refusal.status, {"error": refusal.body}
            text = json.dumps(found).encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", **more}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return Handler
