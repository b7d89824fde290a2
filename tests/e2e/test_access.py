"""Login, API keys, agents and audit events over real sockets, as the published API has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rundial.api.client import Client
from rundial.errors import ConfigError, RundialRequestError
from tests.support.collector import Collector
from tests.support.control import AccessServer, control
from tests.support.processes import own_parts

pytestmark = pytest.mark.e2e

EMAIL, PASSWORD = "ada@example.org", "opensesame"
W: dict[str, Any] = {"workspace_slug": "team"}
P: dict[str, Any] = {**W, "project_slug": "digits"}


@pytest.fixture
def access() -> Iterator[AccessServer]:
    """An endpoint with the routes behind login."""
    with AccessServer() as server:
        yield server


@pytest.fixture
def client(access: AccessServer) -> Iterator[Client]:
    """A client that has logged in."""
    with Client(access.url) as made:
        made.login_credentials(email=EMAIL, password=PASSWORD)
        yield made


def test_login_opens_what_needs_a_session(access: AccessServer) -> None:
    """After a login the client is the person who logged in, without any key."""
    client = Client(access.url)
    with pytest.raises(RundialRequestError) as raised:
        client.whoami()
    assert (raised.value.status_code, raised.value.error_hint) == (401, "Log in.")

    found = client.login_credentials(email=EMAIL, password=PASSWORD)

    assert (found["authenticated"], client.session_token) == (True, "rds_1")
    assert client.whoami()["principal"] == "user"
    assert client.get_cli_capabilities() == {"version": "9.9"}
    assert access.seen[-1][2]["cookie"] == "rd_session=rds_1"


def test_login_sends_no_key_and_the_origin_that_is_asked_for(access: AccessServer) -> None:
    """A login shows the server's own origin, or the caller's, and never the key that is set."""
    client = Client(access.url, api_key="rdk_mine")
    client.login_credentials(email=EMAIL, password=PASSWORD)
    assert access.seen[-1][2]["origin"] == access.url
    assert "authorization" not in access.seen[-1][2]

    with pytest.raises(RundialRequestError, match="own origin"):
        client.login_credentials(email=EMAIL, password=PASSWORD, origin="https://tracker.example")
    assert access.seen[-1][2]["origin"] == "https://tracker.example"


def test_wrong_password_is_told_and_opens_nothing(access: AccessServer) -> None:
    """A login that is refused says why, in the server's words, without the password."""
    client = Client(access.url)
    with pytest.raises(RundialRequestError) as raised:
        client.login_credentials(email=EMAIL, password="guess-1234")

    assert raised.value.status_code == 401
    assert "guess-1234" not in str(raised.value)
    assert client.session_token is None


def test_logout_ends_the_session_there_and_here(client: Client, access: AccessServer) -> None:
    """After a logout the token opens nothing any more, and the client has forgotten it."""
    token = client.session_token
    assert client.logout_session() is True
    assert (client.session_token, access.sessions) == (None, set())
    assert client.logout_session() is False

    client.set_session_token(token)
    assert client.logout_session() is True, "a session that was over already is over"
    assert client.session_token is None


def test_logout_that_cannot_be_told_keeps_the_session() -> None:
    """Without an answer nobody knows whether the session is over, so it can be ended again."""
    client = Client("http://127.0.0.1:9", session_token="rds_1")
    with pytest.raises(RundialRequestError, match="could not be reached"):
        client.logout_session()

    assert client.session_token == "rds_1"


@pytest.mark.parametrize("wrong", ["", "a b", "a;b", 'a"b', "a\r\nb", "ä", 7, "x" * 5000])
def test_a_session_that_no_cookie_can_carry_is_refused_unseen(wrong: Any) -> None:
    """A mistyped token raises where it is given and appears in no message."""
    client = Client("http://127.0.0.1:9", session_token="rds_1")
    with pytest.raises(ConfigError) as raised:
        client.set_session_token(wrong)
    with pytest.raises(ConfigError):
        Client("http://127.0.0.1:9", session_token=wrong)

    assert client.session_token == "rds_1"
    assert not isinstance(wrong, str) or len(wrong) < 3 or wrong not in str(raised.value)


def test_a_key_wins_over_a_session(access: AccessServer, client: Client) -> None:
    """Who has both sends the key alone."""
    made = client.create_api_key(**P, scopes=["project:read"])
    client.api_key = made["key"]
    client.whoami()

    assert access.seen[-1][2]["authorization"] == f"Bearer {made['key']}"
    assert "cookie" not in access.seen[-1][2]


def test_telemetry_of_a_session_carries_the_session(spool_dir: Path) -> None:
    """What is recorded by somebody who logged in is sent as theirs."""
    with (
        own_parts(),
        Collector(rules=[control()]) as collector,
        Client(collector.url, session_token="rds_1", spool_directory=spool_dir) as client,
    ):
        assert client.log_metric(project_id="prj_1", run_id="r", metric_key="x", step=1, value=1)
        assert client.flush(10)

    assert [point.value for point in collector.points] == [1.0]
    assert {request.headers.get("cookie") for request in collector.requests} == {"rd_session=rds_1"}


def test_api_keys_are_made_listed_and_revoked(client: Client) -> None:
    """A key is shown once, when it is made; a list shows its facts, and a revoked one as revoked."""
    made = client.create_api_key(**P, scopes=["metrics:write"], label="ci", expires_at_ms=99)
    assert made["key"].startswith("rdk_")
    (listed,) = client.list_api_keys(**P)
    assert (listed["label"], listed["scopes"], listed["expiresAtMs"]) == ("ci", ["metrics:write"], 99)
    assert "key" not in listed

    client.revoke_api_key(**P, key_id=made["keyId"])
    (listed,) = client.list_api_keys(**P)
    assert listed["revokedAtMs"] == 1
    with pytest.raises(RundialRequestError, match=r"no key key_9.*List the keys"):
        client.revoke_api_key(**P, key_id="key_9")


def test_agents_and_their_keys_end_together(client: Client) -> None:
    """Revoking an agent ends every key that it has."""
    agent = client.create_agent(**W, name="nightly")
    mine: dict[str, Any] = {**W, "agent_id": agent["agentId"]}
    client.create_agent_api_key(**mine, project_slug="digits", label="one", scopes=["logs:write"])
    client.create_agent_api_key(**mine, project_slug="digits")
    assert [key["scopes"] for key in client.list_agent_api_keys(**mine)] == [
        ["logs:write"],
        ["project:read"],
    ]

    client.revoke_agent(**mine)
    assert client.list_agents(**W, status="active") == []
    (revoked,) = client.list_agents(**W, status="revoked")
    assert revoked["name"] == "nightly"
    assert {key["revokedAtMs"] for key in client.list_agent_api_keys(**mine)} == {1}


def test_listings_follow_pages_as_far_as_they_are_asked(client: Client) -> None:
    """Small pages give the same rows, and `max_pages` bounds the requests."""
    names = [f"agent-{number}" for number in range(7)]
    for name in names:
        client.create_agent(**W, name=name)

    assert [agent["name"] for agent in client.list_agents(**W, limit=2)] == names
    assert [agent["name"] for agent in client.list_agents(**W, limit=2, max_pages=2)] == names[:4]
    assert [event["targetId"] for event in client.list_audit_events(**W, limit=3)] == names[:3:-1]
    assert len(client.list_audit_events(**W, limit=3, max_pages=9)) == 7


def test_audit_events_are_filtered_by_the_server(client: Client) -> None:
    """Who asks for one agent's or one kind of actor's events gets those."""
    agent = client.create_agent(**W, name="nightly")
    made = client.create_agent_api_key(**W, agent_id=agent["agentId"], project_slug="digits")
    client.api_key = made["key"]
    client.create_agent(**W, name="by key")

    (event,) = client.list_audit_events(**W, actor_kind="api_key")
    assert event["targetId"] == "by key"
    (event,) = client.list_audit_events(**W, agent_id=agent["agentId"])
    assert event["action"].endswith("/api-keys")
