"""Login, API keys, agents and audit events against a real server, as the published API has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rundial.api.client import Client
from rundial.errors import ConfigError, RundialRequestError
from tests.support.clock import START_UNIX_NS, ManualClock
from tests.support.collector import Collector, Request
from tests.support.control import control
from tests.support.processes import own_parts
from tests.support.server import LocalServer

pytestmark = pytest.mark.e2e

EMAIL, PASSWORD = "ada@example.org", "opensesame"
W: dict[str, Any] = {"workspace_slug": "default-workspace"}
P: dict[str, Any] = {**W, "project_slug": "digits"}
AHEAD_MS = START_UNIX_NS // 10**6 + 1_000


@pytest.fixture
def real(tmp_path: Path, clock: ManualClock) -> Iterator[LocalServer]:
    """A real server with the project `digits` and a person who owns its workspace."""
    with LocalServer(tmp_path / "data", clock) as server:
        server.project_id()
        path = "/api/v1/workspaces/default-workspace/members"
        assert server.post(path, {"email": EMAIL, "role": "owner", "password": PASSWORD}).status == 200
        yield server


@pytest.fixture
def client(real: LocalServer) -> Iterator[Client]:
    """A client that has logged in."""
    with Client(real.url) as made:
        made.login_credentials(email=EMAIL, password=PASSWORD)
        yield made


def test_login_opens_what_needs_a_session(real: LocalServer) -> None:
    """After a login the client is the person who logged in, without any key."""
    client = Client(real.url)
    with pytest.raises(RundialRequestError, match="no API key and no session") as raised:
        client.whoami()
    assert raised.value.status_code == 401

    found = client.login_credentials(email=EMAIL, password=PASSWORD)

    assert (found["authenticated"], str(client.session_token)[:4]) == (True, "rds_")
    assert client.whoami()["principal"] == "user"
    assert client.whoami()["user"]["email"] == EMAIL
    assert client.get_cli_capabilities()["version"]


def test_login_sends_no_key_and_the_origin_that_is_asked_for(real: LocalServer) -> None:
    """A login shows the server's own origin, or the caller's, and never the key that is set."""

    def begin(request: Request) -> Any:
        headers = {"Content-Type": "application/json", "Set-Cookie": "rd_session=rds_1; HttpOnly"}
        return (200, headers, b'{"authenticated": true}') if request.path.startswith("/api/") else None

    with Collector(rules=[begin]) as collector:
        client = Client(collector.url, api_key="rdk_mine")
        client.login_credentials(email=EMAIL, password=PASSWORD)
        headers = collector.requests[-1].headers
        assert (headers["origin"], "authorization" in headers) == (collector.url, False)
        client.login_credentials(email=EMAIL, password=PASSWORD, origin="https://tracker.example")
        assert collector.requests[-1].headers["origin"] == "https://tracker.example"

    with pytest.raises(RundialRequestError, match=r"origin 'https://elsewhere\.example'"):
        Client(real.url).login_credentials(email=EMAIL, password=PASSWORD, origin="https://elsewhere.example")


def test_wrong_password_is_told_and_opens_nothing(real: LocalServer) -> None:
    """A login that is refused says why, in the server's words, without the password."""
    client = Client(real.url)
    with pytest.raises(RundialRequestError) as raised:
        client.login_credentials(email=EMAIL, password="guess-1234")

    assert raised.value.status_code == 401
    assert "guess-1234" not in str(raised.value)
    assert client.session_token is None


def test_logout_ends_the_session_there_and_here(client: Client) -> None:
    """After a logout the token opens nothing any more, and the client has forgotten it."""
    token = client.session_token
    assert client.logout_session() is True
    assert client.session_token is None
    assert client.logout_session() is False

    client.set_session_token(token)
    with pytest.raises(RundialRequestError, match="unknown or over"):
        client.whoami()
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


def test_a_key_is_sent_without_a_session() -> None:
    """Who has both sends the key alone."""
    with Collector() as collector:
        both = Client(collector.url, api_key="rdk_mine", session_token="rds_1")
        with suppress(RundialRequestError):  # a Collector knows nobody
            both.create_agent(**W, name="nightly")
        headers = collector.requests[-1].headers

    assert (headers["authorization"], "cookie" in headers) == ("Bearer rdk_mine", False)


def test_a_key_wins_over_a_session(client: Client) -> None:
    """Who logged in and has a key, too, is whom the key says."""
    made = client.create_api_key(**P, scopes=["project:read"])
    client.api_key = made["key"]

    found = client.whoami()

    assert (found["principal"], found["apiKey"]["keyId"]) == ("api_key", made["keyId"])


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


@pytest.mark.timeout(60)
def test_a10_a_run_of_a_session_is_stored_and_readable(
    client: Client, real: LocalServer, spool_dir: Path
) -> None:
    """What somebody who logged in records arrives without any key: points, text, spans and the run's end."""
    project = client.resolve_project_id(workspace_slug="default-workspace", project_slug="digits")
    with (
        own_parts(),
        Client(real.url, session_token=client.session_token, spool_directory=spool_dir) as recording,
    ):
        run = recording.start_run(project_id=project, run_id="by-session")
        run.log({"x": 1.5}, step=1)
        run.log_text("hello")
        with run.trace("work"):
            pass
        assert run.finish(20)

    found = real.details("by-session")
    assert (found["status"], found["counts"]) == ("completed", {"points": 1, "lines": 1, "spans": 1})


@pytest.mark.timeout(60)
def test_a_key_with_the_published_scopes_carries_a_whole_run(
    client: Client, real: LocalServer, spool_dir: Path
) -> None:
    """A key that may write metrics alone delivers a run's start, its points and its end."""
    made = client.create_api_key(**P, scopes=["metrics:write", "project:read", "stream:read"])
    project = client.resolve_project_id(workspace_slug="default-workspace", project_slug="digits")
    with own_parts(), Client(real.url, api_key=made["key"], spool_directory=spool_dir) as recording:
        run = recording.start_run(project_id=project, run_id="metrics-alone")
        run.log({"x": 1.5}, step=1)
        assert run.finish(20)

    found = real.details("metrics-alone")
    assert (found["status"], found["counts"]["points"]) == ("completed", 1)


def test_api_keys_are_made_listed_and_revoked(client: Client) -> None:
    """A key is shown once, when it is made; a list shows its facts, and a revoked one as revoked."""
    made = client.create_api_key(**P, scopes=["metrics:write"], label="ci", expires_at_ms=AHEAD_MS)
    assert made["key"].startswith("rdk_")
    (listed,) = client.list_api_keys(**P)
    assert (listed["label"], listed["scopes"], listed["expiresAtMs"]) == ("ci", ["metrics:write"], AHEAD_MS)
    assert (listed["keyId"], "key" in listed) == (made["keyId"], False)

    client.revoke_api_key(**P, key_id=made["keyId"])
    (listed,) = client.list_api_keys(**P)
    assert listed["revokedAtMs"] == START_UNIX_NS // 10**6
    with pytest.raises(RundialRequestError, match=r"no key 'key_9'.*rundial auth key list"):
        client.revoke_api_key(**P, key_id="key_9")


def test_agents_and_their_keys_end_together(client: Client, real: LocalServer) -> None:
    """Revoking an agent ends every key that it has."""
    agent = client.create_agent(**W, name="nightly")
    mine: dict[str, Any] = {**W, "agent_id": agent["agentId"]}
    client.create_agent_api_key(**mine, project_slug="digits", label="one", scopes=["logs:write"])
    made = client.create_agent_api_key(**mine, project_slug="digits", label="two")
    assert {key["label"]: key["scopes"] for key in client.list_agent_api_keys(**mine)} == {
        "one": ["logs:write"],
        "two": [
            "artifacts:write",
            "evals:write",
            "logs:write",
            "metrics:write",
            "project:read",
            "stream:read",
            "traces:write",
        ],
    }
    with Client(real.url, api_key=made["key"]) as agents:
        assert agents.whoami()["principal"] == "api_key"
        client.revoke_agent(**mine)
        with pytest.raises(RundialRequestError, match="revoked"):
            agents.whoami()

    assert client.list_agents(**W, status="active") == []
    (revoked,) = client.list_agents(**W, status="revoked")
    assert (revoked["name"], revoked["agentId"][:4]) == ("nightly", "agt_")
    ended = [key["revokedAtMs"] for key in client.list_agent_api_keys(**mine)]
    assert ended == [START_UNIX_NS // 10**6] * 2


def test_listings_follow_pages_as_far_as_they_are_asked(client: Client) -> None:
    """Small pages give the same rows, and `max_pages` bounds the requests."""
    made = [client.create_agent(**W, name=f"agent-{number}") for number in range(7)]
    names = [agent["name"] for agent in made]

    assert [agent["name"] for agent in client.list_agents(**W, limit=2)] == names
    assert [agent["name"] for agent in client.list_agents(**W, limit=2, max_pages=2)] == names[:4]
    ids = [agent["agentId"] for agent in made]
    assert [event["targetId"] for event in client.list_audit_events(**W, limit=3)] == ids[:3:-1]
    assert len(client.list_audit_events(**W, limit=3, max_pages=2)) == 6


def test_audit_events_are_filtered_by_the_server(client: Client, real: LocalServer) -> None:
    """Who asks for one agent's or one kind of actor's events gets those."""
    agent = client.create_agent(**W, name="nightly")
    client.create_agent_api_key(**W, agent_id=agent["agentId"], project_slug="digits")
    by_person = client.list_audit_events(**W, actor_kind="user")
    client.api_key = real.key
    mine = client.create_agent(**W, name="by key")

    newest, *_ = client.list_audit_events(**W, actor_kind="api_key")
    assert newest["targetId"] == mine["agentId"]
    assert [each["action"] for each in by_person] == ["api_key.create", "agent.create", "session.create"]
    about = client.list_audit_events(**W, agent_id=agent["agentId"])
    assert [each["action"] for each in about] == ["api_key.create", "agent.create"]
