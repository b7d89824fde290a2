"""Keys, agents, members, workspaces: what a change does, at once, and what is written down about it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from rundial.server.keys import Actor
from rundial.server.known import Known
from rundial.server.store.apikeys import find_key
from rundial.server.store.audit import Deed, record
from rundial.server.store.people import key_facts
from tests.server.test_people import EMAIL, add, log_in, post_as, token_of, whoami
from tests.support.clock import START_UNIX_NS, ManualClock
from tests.support.server import LocalServer

W = "/api/v1/workspaces/default-workspace"
P = f"{W}/projects/digits"


@pytest.fixture
def project(local: LocalServer) -> str:
    """The id of the project `digits`."""
    return local.project_id()


def made(local: LocalServer, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What the owner's POST answers."""
    reply = local.post(path, body)
    assert reply.status == 200, reply.body
    return reply.json


def events(local: LocalServer, query: str = "") -> list[dict[str, Any]]:
    """The audit log, the newest first."""
    found: list[dict[str, Any]] = local.get(f"{W}/audit?limit=1000{query}").json["events"]
    return found


@pytest.mark.usefixtures("project")
def test_a_key_that_is_revoked_opens_nothing_from_the_answer_on(local: LocalServer) -> None:
    """The next request after the revocation is refused, however often the key was seen before."""
    key = made(local, f"{P}/api-keys", {"scopes": ["project:read"], "label": "ci"})
    assert [local.get("/api/v1/workspaces", key=key["key"]).status for _ in range(3)] == [200] * 3
    ended = made(local, f"{P}/api-keys/{key['keyId']}/revoke", {})

    assert local.get("/api/v1/workspaces", key=key["key"]).status == 401
    again = made(local, f"{P}/api-keys/{key['keyId']}/revoke", {})
    assert again == ended, "ending it again changes nothing"
    assert len([each for each in events(local) if each["action"] == "api_key.revoke"]) == 1


def test_what_was_looked_up_before_a_change_is_not_remembered_after_it(local: LocalServer) -> None:
    """A lookup that a revocation overtakes does not bring the key back to life."""
    known = Known()
    with local.services.engines.reading.begin() as connection:
        stored = find_key(connection, local.key.split("_")[1])
    assert stored is not None
    ticket = known.ticket()
    known.forget()

    known.keep("id", stored, ticket)

    assert known.get("id") is None
    known.keep("id", stored, known.ticket())
    assert known.get("id") is stored
    shared = Known(remembers=False)
    shared.keep("id", stored, shared.ticket())
    assert shared.get("id") is None, "where other servers revoke, every request asks the store"


@pytest.mark.usefixtures("project")
def test_a_key_shows_its_facts_in_a_list_and_never_itself(local: LocalServer, clock: ManualClock) -> None:
    """Label, scopes, expiry and last use can be looked up; the key was in one answer alone."""
    end_ms = START_UNIX_NS // 10**6 + 60_000
    key = made(local, f"{P}/api-keys", {"scopes": ["logs:write"], "label": "ci", "expiresAtMs": end_ms})
    local.get("/api/v1/auth/whoami", key=key["key"])
    reply = local.get(f"{P}/api-keys")
    (listed,) = reply.json["keys"]

    assert (listed["label"], listed["scopes"], listed["expiresAtMs"]) == ("ci", ["logs:write"], end_ms)
    assert listed["lastUsedAtMs"] == START_UNIX_NS // 10**6
    assert key["key"].split("_", 2)[2] not in reply.body.decode()
    clock.advance(60)
    assert local.get("/api/v1/auth/whoami", key=key["key"]).status == 401


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": ["everything"]},
        {"scopes": "admin"},
        {"label": "x" * 200},
        {"expiresAtMs": 99},
        {"expiresAtMs": 2**62},
    ],
)
@pytest.mark.usefixtures("project")
def test_a_key_that_cannot_be_is_refused(local: LocalServer, wrong: dict[str, Any]) -> None:
    """A mistake is told when the key is made, not in the night of the training."""
    assert local.post(f"{P}/api-keys", wrong).status == 400


@pytest.mark.usefixtures("project")
def test_uses_are_written_down_together_and_rarely(local: LocalServer, clock: ManualClock) -> None:
    """A thousand requests cost no write each; what was seen survives a restart to the minute."""
    key = made(local, f"{P}/api-keys", {"scopes": ["project:read"]})

    def used() -> int | None:
        with local.services.engines.reading.begin() as connection:
            row = connection.execute(
                select(key_facts.c.used_unix_ns).where(key_facts.c.key_id == key["keyId"])
            ).one()
        return None if row[0] is None else int(row[0])

    seen = {local.get("/api/v1/workspaces", key=key["key"]).status for _ in range(50)}
    assert (seen, used()) == ({200}, None)

    clock.advance(61)
    assert local.get("/api/v1/workspaces", key=key["key"]).status == 200
    local.services.writer.submit(lambda _: None).result(10)  # what was submitted before is done

    assert used() == START_UNIX_NS + 61 * 10**9


@pytest.mark.usefixtures("project")
def test_a_member_makes_keys_that_do_no_more_than_members(local: LocalServer) -> None:
    """Nobody rises by making a key; a member ends only their own."""
    add(local)
    add(local, "bob@example.org")
    ada, bob = token_of(log_in(local)), token_of(log_in(local, "bob@example.org"))

    assert post_as(local, ada, f"{P}/api-keys", {"scopes": ["admin"]}).status == 403
    key = post_as(local, ada, f"{P}/api-keys", {"scopes": ["metrics:write"]}).json
    assert post_as(local, bob, f"{P}/api-keys/{key['keyId']}/revoke", {}).status == 403
    assert post_as(local, ada, f"{P}/api-keys/{key['keyId']}/revoke", {}).status == 200


@pytest.mark.usefixtures("project")
def test_who_leaves_takes_the_keys_along(local: LocalServer) -> None:
    """A person who is removed has no way back in: not the session, not a key made before."""
    user = add(local)
    token = token_of(log_in(local))
    key = post_as(local, token, f"{P}/api-keys", {"scopes": ["project:read"]}).json["key"]
    assert local.get("/api/v1/workspaces", key=key).status == 200

    made(local, f"{W}/members/{user}/remove", {})

    assert local.get("/api/v1/workspaces", key=key).status == 401
    assert post_as(local, token, "/api/v1/runs/resolve-target", {"project": "digits"}).status == 403
    assert whoami(local, token).json["user"]["workspaces"] == []


@pytest.mark.usefixtures("project")
def test_another_role_counts_from_the_next_request_on(local: LocalServer) -> None:
    """A viewer writes nothing any more, nor do the keys that the person made as a member."""
    user = add(local)
    token = token_of(log_in(local))
    target = {"workspace": "default-workspace", "project": "new"}
    assert post_as(local, token, "/api/v1/runs/resolve-target", target).status == 200
    writing = post_as(local, token, f"{P}/api-keys", {"scopes": ["metrics:write"]}).json["key"]
    reading = post_as(local, token, f"{P}/api-keys", {"scopes": ["project:read"]}).json["key"]

    made(local, f"{W}/members/{user}/role", {"role": "viewer"})

    assert post_as(local, token, "/api/v1/runs/resolve-target", {**target, "project": "other"}).status == 404
    assert local.get("/api/v1/auth/whoami", key=writing).status == 401
    assert local.get("/api/v1/auth/whoami", key=reading).status == 200


def test_a_viewer_here_who_is_a_member_there_writes_there_alone(local: LocalServer) -> None:
    """A role is one workspace's, by name and by id of a project, and in telemetry's own cache."""
    made(local, "/api/v1/workspaces", {"name": "second"})
    here, there = local.project_id(), local.project_id(workspace="second")
    add(local, role="viewer")
    second = "/api/v1/workspaces/second/members"
    made(local, second, {"email": EMAIL, "role": "member"})
    token = token_of(log_in(local))

    def start(project: str) -> int:
        body = {"projectId": project, "runId": f"run-{project}"}
        return post_as(local, token, "/api/v1/runs/start", body).status

    assert [start(there), start(here)] == [200, 403]
    refused = post_as(local, token, f"{W}/projects", {"name": "mine"})
    assert (refused.status, "role" in refused.error["message"]) == (403, True)


def test_only_the_servers_owner_makes_accounts(local: LocalServer) -> None:
    """Who owns a workspace adds people who exist, and knows nobody's password."""
    add(local, role="owner")
    made(local, "/api/v1/workspaces", {"name": "second"})
    bob = made(
        local,
        "/api/v1/workspaces/second/members",
        {"email": "bob@example.org", "role": "viewer", "password": "a sentence of words"},
    )
    token = token_of(log_in(local))
    new = {"email": "eve@example.org", "role": "member", "password": "a sentence of words"}

    assert bob["created"] is True
    assert post_as(local, token, f"{W}/members", new).status == 403
    assert post_as(local, token, f"{W}/members", {"email": "eve@example.org", "role": "member"}).status == 404
    added = post_as(local, token, f"{W}/members", {"email": "bob@example.org", "role": "member"})
    assert (added.status, added.json["created"]) == (200, False)
    assert post_as(local, token, f"{W}/members", {"email": "bob@example.org", "role": "member"}).status == 409


def test_a_workspace_keeps_an_owner_unless_the_servers_owner_wills_otherwise(local: LocalServer) -> None:
    """Nobody locks a team out of its own workspace by a slip."""
    user = add(local, role="owner")
    token = token_of(log_in(local))

    assert post_as(local, token, f"{W}/members/{user}/remove", {}).status == 409
    assert post_as(local, token, f"{W}/members/{user}/role", {"role": "viewer"}).status == 409
    assert local.post(f"{W}/members/{user}/remove", {}).status == 200


def test_nobody_comes_to_own_a_workspace_by_its_name(local: LocalServer) -> None:
    """Making a workspace that exists is refused, also to who may not see it."""
    made(local, "/api/v1/workspaces", {"name": "secret"})
    add(local, role="owner")
    token = token_of(log_in(local))

    assert post_as(local, token, "/api/v1/workspaces", {"name": "secret"}).status == 409
    assert post_as(local, token, "/api/v1/workspaces", {"name": "Mine & yours"}).json["workspaceSlug"] == (
        "Mine-yours"
    )
    roles = {each["workspaceSlug"]: each["role"] for each in whoami(local, token).json["user"]["workspaces"]}
    assert roles == {"default-workspace": "owner", "Mine-yours": "owner"}


@pytest.mark.usefixtures("project")
def test_an_agent_ends_with_all_its_keys(local: LocalServer) -> None:
    """One request stops a program that has run wild, whichever of its keys it uses."""
    agent = made(local, f"{W}/agents", {"name": "nightly"})["agentId"]
    keys = [made(local, f"{W}/agents/{agent}/api-keys", {"projectSlug": "digits"})["key"] for _ in range(2)]
    found = local.get("/api/v1/auth/whoami", key=keys[0]).json
    assert (found["principal"], found["agent"]) == ("api_key", {"agentId": agent, "name": "nightly"})

    made(local, f"{W}/agents/{agent}/revoke", {})

    assert [local.get("/api/v1/auth/whoami", key=key).status for key in keys] == [401, 401]
    assert local.post(f"{W}/agents/{agent}/api-keys", {"projectSlug": "digits"}).status == 409
    admin = made(local, f"{W}/agents", {"name": "two"})["agentId"]
    wish = {"projectSlug": "digits", "scopes": ["admin"]}
    assert local.post(f"{W}/agents/{admin}/api-keys", wish).status == 400


@pytest.mark.usefixtures("project")
def test_every_change_is_in_the_audit_log_with_its_actor(local: LocalServer) -> None:
    """Who did what to whom can be read later, and no secret with it."""
    user = add(local)
    token = token_of(log_in(local))
    key = post_as(local, token, f"{P}/api-keys", {"scopes": ["metrics:write"]}).json
    agent = made(local, f"{W}/agents", {"name": "nightly"})["agentId"]
    own = made(local, f"{W}/agents/{agent}/api-keys", {"projectSlug": "digits"})
    seen = events(local)

    assert [each["action"] for each in seen] == [
        "api_key.create",
        "agent.create",
        "api_key.create",
        "session.create",
        "member.add",
        "project.create",
        "api_key.create",
        "workspace.create",
    ]
    assert [each["actorKind"] for each in seen[:4]] == ["api_key", "api_key", "user", "user"]
    assert {each["actorKind"] for each in seen[-2:]} == {"system"}
    assert (seen[2]["actorId"], seen[2]["targetId"]) == (user, key["keyId"])
    assert [each["targetId"] for each in events(local, f"&agentId={agent}")] == [own["keyId"], agent]
    assert {each["actorId"] for each in events(local, "&actorKind=user")} == {user}
    text = local.get(f"{W}/audit").body.decode()
    assert not [secret for secret in (key["key"], own["key"], token, "argon2") if secret in text]


def test_what_an_agent_does_is_found_by_its_name(local: LocalServer) -> None:
    """A program's own deeds and those about it are read together."""
    deed = Deed("project.create", "project", "digits")
    local.services.writer.submit(
        lambda connection: record(connection, 1, Actor("agent", "agt_1"), deed, now_unix_ns=1)
    ).result(10)

    (found,) = events(local, "&actorKind=agent")
    assert (found["actorId"], found["agentId"]) == ("agt_1", "agt_1")
    assert events(local, "&agentId=agt_1") == [found]


def test_a_change_that_fails_leaves_no_record(local: LocalServer) -> None:
    """The log has what happened, and nothing that was only tried."""
    before = events(local)
    assert local.post(f"{P}/api-keys", {"scopes": ["project:read"]}).status == 404
    assert local.post(f"{W}/members/usr_none/remove", {}).status == 404

    assert events(local) == before


def test_audit_pages_give_every_event_once(local: LocalServer) -> None:
    """Following the cursor reads the whole log."""
    for number in range(5):
        made(local, f"{W}/agents", {"name": f"agent-{number}"})
    found, cursor = [], ""
    while True:
        page = local.get(f"{W}/audit?limit=2{cursor}").json
        found += page["events"]
        if not page["page"]["hasMore"]:
            break
        cursor = f"&cursor={page['page']['nextCursor']}"

    assert found == events(local)
