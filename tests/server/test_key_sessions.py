"""Signing in with an API key: what the session may do, and when it ends."""

from __future__ import annotations

from rundial.server.store.people import key_sessions
from tests.support.clock import START_UNIX_NS, ManualClock
from tests.support.server import LocalServer, Reply

SIGN_IN = "/api/v1/auth/login/key"
PROJECTS = "/api/v1/workspaces/default-workspace/projects"


def sign_in(local: LocalServer, key: str) -> str:
    """Sign in with a key and return the session."""
    reply = local.post(SIGN_IN, {}, key=key)
    assert reply.status == 200, reply.body
    cookie = reply.headers["set-cookie"]
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
    return cookie.partition(";")[0]


def ask(local: LocalServer, cookie: str, path: str = PROJECTS, *, method: str = "GET") -> Reply:
    """Ask as the session."""
    return local.send(method, path, headers={"cookie": cookie}, key="")


def test_a_session_of_a_key_may_do_what_the_key_may(local: LocalServer) -> None:
    """A browser reads with a key that reads, and makes nothing with it."""
    cookie = sign_in(local, local.make_key({"project:read"}))

    assert ask(local, cookie).status == 200
    assert ask(local, cookie, method="POST").status == 403
    assert ask(local, cookie, "/api/v1/auth/whoami").json["principal"] == "api_key"


def test_a_session_ends_with_its_key(local: LocalServer, clock: ManualClock) -> None:
    """A key that is revoked, or over, leaves no browser signed in."""
    made = local.post("/api/v1/workspaces/default-workspace/api-keys", {"scopes": ["project:read"]}).json
    revoked = sign_in(local, made["key"])
    expiring = sign_in(local, local.make_key({"project:read"}, expires_unix_ns=START_UNIX_NS + 10 * 10**9))
    assert ask(local, revoked).status == ask(local, expiring).status == 200
    place = f"/api/v1/workspaces/default-workspace/api-keys/{made['keyId']}/revoke"
    assert local.post(place, {}).status == 200

    assert ask(local, revoked).status == 401
    clock.advance(10)
    assert ask(local, expiring).status == 401


def test_a_session_ends_after_thirty_days_and_by_signing_out(local: LocalServer, clock: ManualClock) -> None:
    """What lies in a browser opens nothing for ever; the key goes on working."""
    first, second = sign_in(local, local.key), sign_in(local, local.key)
    reply = ask(local, first, "/api/v1/auth/logout", method="POST")

    assert (reply.status, ask(local, first).status, ask(local, second).status) == (200, 401, 200)
    clock.advance(31 * 86_400)
    assert ask(local, second).status == 401
    assert local.get(PROJECTS).status == 200


def test_only_a_hash_of_a_session_is_stored_and_those_that_are_over_are_forgotten(
    local: LocalServer, clock: ManualClock
) -> None:
    """Who reads the database signs in as nobody, and the table does not grow for ever."""
    cookie = sign_in(local, local.key)
    secret = cookie.rpartition("_")[2]
    with local.services.engines.reading.begin() as connection:
        stored = str(connection.execute(key_sessions.select()).all())
    clock.advance(31 * 86_400)
    sign_in(local, local.key)
    with local.services.engines.reading.begin() as connection:
        later = connection.execute(key_sessions.select()).all()

    assert secret not in stored
    assert len(later) == 1


def test_a_session_begins_no_further_session(local: LocalServer) -> None:
    """Only the key itself signs in: a session that was taken cannot be made longer."""
    cookie = sign_in(local, local.key)

    assert ask(local, cookie, SIGN_IN, method="POST").status == 403


def test_signing_in_and_out_is_in_the_record_of_deeds(local: LocalServer) -> None:
    """The audit log says which key began a session and which one ended."""
    cookie = sign_in(local, local.key)
    ask(local, cookie, "/api/v1/auth/logout", method="POST")
    events = local.get("/api/v1/workspaces/default-workspace/audit").json["events"]

    assert [each["action"] for each in events][:2] == ["session.end", "session.create"]
    assert {each["actorKind"] for each in events[:2]} == {"api_key"}
