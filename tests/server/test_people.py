"""People: how they log in and out, what nobody learns from trying, and what becomes of their sessions."""

from __future__ import annotations

import json
import time
from statistics import median
from typing import Any

import pytest

from rundial.server.keys import digest
from rundial.server.passwords import PasswordBook
from rundial.server.store.people import sessions, users
from rundial.server.throttle import Throttle
from tests.support.clock import ManualClock
from tests.support.server import LocalServer, Reply
from tests.support.world import PASSWORD

EMAIL = "ada@example.org"
MEMBERS = "/api/v1/workspaces/default-workspace/members"


def add(local: LocalServer, email: str = EMAIL, *, role: str = "member", password: str = PASSWORD) -> str:
    """Make an account and return its id."""
    reply = local.post(MEMBERS, {"email": email, "role": role, "password": password})
    assert reply.status == 200, reply.body
    return str(reply.json["userId"])


def log_in(local: LocalServer, email: str = EMAIL, password: str = PASSWORD) -> Reply:
    """Try to log in."""
    return local.post("/api/v1/auth/login/credentials", {"email": email, "password": password}, key="")


def token_of(reply: Reply) -> str:
    """The session of a login's cookie."""
    return reply.headers["set-cookie"].partition(";")[0].removeprefix("rd_session=")


def whoami(local: LocalServer, token: str) -> Reply:
    """Ask who a session is."""
    return local.send("GET", "/api/v1/auth/whoami", headers={"cookie": f"a=b; rd_session={token}"}, key="")


def post_as(local: LocalServer, token: str, path: str, body: dict[str, Any]) -> Reply:
    """POST as a person."""
    headers = {"cookie": f"rd_session={token}", "content-type": "application/json"}
    return local.send("POST", path, json.dumps(body).encode(), headers=headers, key="")


def test_a_login_begins_a_session_that_says_who_it_is(local: LocalServer) -> None:
    """A person sees name and role in each workspace; the e-mail may be typed in any case."""
    user = add(local, role="viewer")
    reply = log_in(local, " ADA@example.org ")
    found = whoami(local, token_of(reply)).json

    assert reply.json["authenticated"] is True
    assert (found["authenticated"], found["principal"]) == (True, "user")
    assert found["user"]["userId"] == user
    assert found["user"]["email"] == EMAIL
    assert [(each["workspaceSlug"], each["role"]) for each in found["user"]["workspaces"]] == [
        ("default-workspace", "viewer")
    ]


def test_the_cookie_is_for_this_site_and_out_of_reach_of_scripts(local: LocalServer) -> None:
    """A page of another site never sends it, and no script reads it; over HTTPS it is marked so."""
    add(local)
    parts = {part.strip().lower() for part in log_in(local).headers["set-cookie"].split(";")[1:]}

    assert {"httponly", "samesite=strict", "path=/"} <= parts
    assert "secure" not in parts, "plain HTTP would lose it"


def test_only_hashes_are_stored_of_passwords_and_sessions(local: LocalServer) -> None:
    """Who reads the database can log in as nobody."""
    add(local)
    token = token_of(log_in(local))
    with local.services.engines.reading.begin() as connection:
        (user,) = connection.execute(users.select()).all()
        (session,) = connection.execute(sessions.select()).all()

    assert user.password_hash.startswith("$argon2id$")
    assert PASSWORD not in repr(user)
    assert token.split("_", 2)[2] not in repr(session)


def test_a_session_ends_when_its_time_is_over(local: LocalServer, clock: ManualClock) -> None:
    """A stolen cookie does not work for ever, also when it was just seen."""
    add(local)
    token = token_of(log_in(local))
    clock.advance(30 * 86_400 - 1)
    assert whoami(local, token).status == 200

    clock.advance(1)

    assert whoami(local, token).status == 401


def test_a_logout_ends_the_session_at_once_and_that_one_alone(local: LocalServer) -> None:
    """Logged out is logged out, on this machine; another machine stays logged in."""
    add(local)
    here, there = token_of(log_in(local)), token_of(log_in(local))
    assert whoami(local, here).status == 200
    reply = post_as(local, here, "/api/v1/auth/logout", {})

    assert (reply.status, whoami(local, here).status) == (200, 401)
    assert "rd_session=" in reply.headers["set-cookie"]
    assert "max-age=0" in reply.headers["set-cookie"].lower()
    assert whoami(local, there).status == 200


def test_a_new_password_ends_every_session(local: LocalServer) -> None:
    """Who fears that somebody else is logged in changes the password, and nobody is."""
    add(local)
    mine, theirs = token_of(log_in(local)), token_of(log_in(local))
    wrong = {"currentPassword": "not mine at all", "newPassword": "another sentence"}
    right = {"currentPassword": PASSWORD, "newPassword": "another sentence"}

    assert post_as(local, mine, "/api/v1/auth/password", wrong).status == 403
    assert post_as(local, mine, "/api/v1/auth/password", right).status == 200
    assert [whoami(local, each).status for each in (mine, theirs)] == [401, 401]
    assert [log_in(local).status, log_in(local, password="another sentence").status] == [401, 200]


def test_the_owner_sets_a_password_and_no_short_one(local: LocalServer) -> None:
    """A person who forgot the password gets another; a password that a list would hold is refused."""
    user = add(local)
    token = token_of(log_in(local))
    short = local.post(f"/api/v1/users/{user}/password", {"password": "short"})
    done = local.post(f"/api/v1/users/{user}/password", {"password": "a sentence of words"})

    assert (short.status, done.status) == (400, 200)
    assert whoami(local, token).status == 401
    assert log_in(local, password="a sentence of words").status == 200


@pytest.mark.parametrize("email", ["", "ada", "@x.org", "ada@", "a b@x.org", "a@b@c", "x" * 300 + "@x.org"])
def test_what_is_no_address_is_no_account(local: LocalServer, email: str) -> None:
    """A mistyped address is told at once."""
    reply = local.post(MEMBERS, {"email": email, "role": "viewer", "password": PASSWORD})

    assert (reply.status, reply.error["code"]) == (400, "INVALID_REQUEST")


def test_unknown_mail_and_wrong_password_are_answered_alike(local: LocalServer) -> None:
    """Nobody learns from the login who has an account: same status, same words, same headers."""
    add(local)
    unknown, wrong = log_in(local, "eve@example.org"), log_in(local, password="a wrong sentence")

    def said(reply: Reply) -> tuple[object, ...]:
        names = sorted(name.lower() for name in reply.headers)
        return (reply.status, reply.error, names)

    assert said(unknown) == said(wrong)
    assert unknown.status == 401


@pytest.mark.timeout(60)
def test_unknown_mail_and_wrong_password_take_the_same_work() -> None:
    """The time of an answer says no more than its words: each compares one argon2 hash."""
    book = PasswordBook()
    stored = book._hasher.hash(PASSWORD)
    book._compare("x", None)  # makes the hash that stands for nobody's

    def cost(hashed: str | None) -> float:
        begun = time.process_time()
        assert not book._compare("a wrong sentence", hashed)
        return time.process_time() - begun

    pairs = [(cost(stored), cost(None)) for _ in range(9)]

    ratio = median(nobody / known for known, nobody in pairs)
    assert 0.6 < ratio < 1.6, pairs


@pytest.mark.timeout(90)
def test_guessing_one_account_is_slowed_and_then_let_go_on(local: LocalServer, clock: ManualClock) -> None:
    """A guesser waits, also for an account that does not exist; the right password is taken afterwards."""
    add(local)
    for email in (EMAIL, "nobody@example.org"):
        for _ in range(8):  # as eight wrong ones would have
            local.services.account_logins.take(digest(email), local.services.clock.monotonic_s())
        seen = [log_in(local, email, f"a wrong sentence {number}") for number in range(3)]

        assert [reply.status for reply in seen] == [401, 401, 429]
        assert 0 < int(seen[-1].headers["retry-after"]) <= 30
        assert seen[-1].error["code"] == "RATE_LIMITED"
    assert log_in(local).status == 429, "the right password in the middle of it is not told apart"

    clock.advance(30)

    assert log_in(local).status == 200


def test_guessing_from_one_address_is_slowed_over_all_accounts(local: LocalServer) -> None:
    """One password tried on many accounts does not stay below every account's bound."""
    throttle = local.services.address_logins
    now_s = local.services.clock.monotonic_s()
    while not throttle.take("127.0.0.1", now_s):
        pass

    assert log_in(local, "eve@example.org").status == 429
    spoofed = local.send(
        "POST",
        "/api/v1/auth/login/credentials",
        b'{"email": "eve@example.org", "password": "x"}',
        headers={"content-type": "application/json", "x-forwarded-for": "10.9.8.7"},
        key="",
    )
    assert spoofed.status == 429, "an address in a header that no proxy of ours wrote counts for nothing"


@pytest.mark.timeout(90)
def test_those_who_log_in_are_not_slowed(local: LocalServer) -> None:
    """A script that logs in for each of its jobs does not lock its person out."""
    add(local)

    assert {log_in(local).status for _ in range(12)} == {200}


def test_the_throttle_remembers_a_bounded_number_of_sources_and_keeps_the_worst() -> None:
    """Names that were made up do not fill the memory, nor wash away who is being slowed."""
    throttle = Throttle(interval_s=10, burst=5, max_sources=100)
    while not throttle.take("guesser", 0.0):
        pass
    for number in range(5_000):
        throttle.take(f"made-up-{number}", 0.0)

    assert len(throttle) <= 100
    assert throttle.take("guesser", 0.0) == pytest.approx(10)


def test_a_wrong_key_is_not_rescued_by_a_cookie(local: LocalServer) -> None:
    """Whoever shows a key is that key, or nobody."""
    add(local)
    token = token_of(log_in(local))
    headers = {"cookie": f"rd_session={token}", "authorization": "Bearer rdk_000000000000_x"}

    assert local.send("GET", "/api/v1/auth/whoami", headers=headers, key="").status == 401
