"""The control client over a fake exchange."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from rundial import profiles
from rundial.api.client import Client
from rundial.api.exchange import Answer, HttpExchange, NoAnswerError, Request
from rundial.errors import ConfigError, RundialRequestError

URL = "http://127.0.0.1:8787"
KEY = "rdk_secret"


class Scripted:
    """Answers from a list and keeps what it was asked."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[Request] = []
        self.timeouts: list[float] = []

    def __call__(self, request: Request, *, timeout_s: float) -> Answer:
        """Give the next answer."""
        self.asked.append(request)
        self.timeouts.append(timeout_s)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def _ok(**found: Any) -> Answer:
    return Answer(200, {"content-type": "application/json"}, json.dumps(found).encode())


def _client(*answers: Answer | Exception) -> tuple[Client, Scripted]:
    script = Scripted(*answers)
    return Client(URL, api_key=KEY, exchange=script), script


def _body(script: Scripted) -> dict[str, Any]:
    found = json.loads(script.asked[-1].body or b"null")
    assert isinstance(found, dict)
    return found


def test_every_call_carries_the_key_and_the_protocol() -> None:
    """The server knows who asks and which client it is."""
    client, script = _client(_ok(authenticated=True))
    client.whoami()

    headers = script.asked[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["x-rundial-protocol"] == "1"
    assert headers["x-rundial-client"].startswith("rundial-python/")


def test_key_that_is_set_counts_from_the_next_call() -> None:
    """A client goes on with a new key; it need not be made again."""
    client, script = _client(_ok(authenticated=True), _ok(authenticated=True))
    client.whoami()
    client.api_key = "rdk_another"
    client.whoami()

    assert client.api_key == "rdk_another"
    assert [request.headers["authorization"] for request in script.asked] == [
        f"Bearer {KEY}",
        "Bearer rdk_another",
    ]


def test_health_check_sends_no_key() -> None:
    """A key is not spent on a route that needs none."""
    client, script = _client(_ok(status="ready"))

    assert client.health() == {"status": "ready"}
    assert "authorization" not in script.asked[0].headers


def test_key_is_in_no_repr() -> None:
    """Neither client nor request shows the key in a traceback."""
    client, script = _client(_ok())
    client.whoami()

    assert KEY not in repr(client) + repr(script.asked[0])


def test_timeout_bounds_the_call() -> None:
    """What the caller allows is what the exchange gets."""
    script = Scripted(_ok())
    Client(URL, exchange=script, request_timeout_seconds=0.7).health()

    assert script.timeouts == [0.7]


def test_resolve_target_leaves_an_unnamed_workspace_to_the_server() -> None:
    """Without a workspace the server takes the key's only one."""
    names = ("orgId", "workspaceSlug", "workspaceName", "projectSlug", "projectName", "projectId")
    client, script = _client(_ok(**{name: name for name in names}, serverId="srv_1"))
    found = client.resolve_run_target(project="digits")

    assert _body(script) == {"project": "digits"}
    assert found["serverId"] == "srv_1"


def test_resolve_target_without_ids_names_what_is_missing() -> None:
    """A half answer is an error that says which half is missing, not a KeyError later."""
    client, _ = _client(_ok(orgId="o", workspaceSlug="w"))

    with pytest.raises(RundialRequestError, match="projectId"):
        client.resolve_run_target(project="digits")


def test_stale_server_has_advice_of_its_own() -> None:
    """A server too old for the route is told from a project that is not there."""
    client, _ = _client(Answer(404, {}, b"Not Found"))

    with pytest.raises(RundialRequestError, match="older than the client") as raised:
        client.resolve_run_target(project="digits")
    assert raised.value.status_code == 404


def test_api_error_carries_code_message_and_hint() -> None:
    """What the server says about a failure reaches the user, hint included."""
    error = {"code": "NOT_FOUND", "message": "no such run", "details": {"hint": "List the runs."}}
    client, _ = _client(Answer(404, {}, json.dumps({"error": error}).encode()))

    with pytest.raises(RundialRequestError) as raised:
        client.get_run_details(workspace_slug="w", project_slug="p", run_id="r")

    assert raised.value.error_code == "NOT_FOUND"
    assert raised.value.error_hint == "List the runs."
    assert (
        str(raised.value)
        == "reading run r of w/p failed with HTTP 404 (NOT_FOUND: no such run). List the runs"
    )


def test_names_are_one_part_of_a_path_each() -> None:
    """A run id with slashes and dots cannot reach another route."""
    client, script = _client(_ok(runId="r", status="running"))
    client.get_run_details(workspace_slug="w", project_slug="..", run_id="a/../b?c#d")

    path = urlsplit(script.asked[0].url).path
    assert path == "/api/v1/workspaces/w/projects/%2E%2E/runs/a%2F..%2Fb%3Fc%23d"


def test_announcing_a_run_sends_only_what_was_given() -> None:
    """An absent field leaves the decision to the server."""
    client, script = _client(_ok(runId="r", projectId="p", kind="training"))
    client.announce_run(project_id="p", run_id="r", tags=["a"])

    sent = _body(script)
    assert sent.pop("client")["name"] == "rundial-sdk-python"
    assert sent == {"projectId": "p", "runId": "r", "kind": "training", "resume": "never", "tags": ["a"]}


def test_run_query_is_spelled_as_the_api_has_it() -> None:
    """Filters arrive under the API's names, several statuses as one list."""
    client, script = _client(_ok(runs=[]))
    client.query_runs(workspace_slug="w", project_slug="p", statuses=["failed", "aborted"], search="é&")

    query = parse_qs(urlsplit(script.asked[0].url).query)
    assert query["statuses"] == ["failed,aborted"]
    assert query["search"] == ["é&"]
    assert query["orderBy"] == ["startedAtMs"]


def test_pages_are_followed_to_the_end() -> None:
    """A listing is whole, however the server cuts it."""
    client, script = _client(
        _ok(spans=[{"spanId": "1"}], page={"hasMore": True, "nextCursor": "c1"}),
        _ok(spans=[{"spanId": "2"}], page={"hasMore": False, "nextCursor": None}),
    )
    found = client.list_spans(workspace_slug="w", project_slug="p", run_id="r")

    assert [span["spanId"] for span in found] == ["1", "2"]
    assert parse_qs(urlsplit(script.asked[1].url).query)["cursor"] == ["c1"]


def test_pages_end_at_the_callers_bound() -> None:
    """A server that always says "more" cannot keep a caller for ever."""
    more = _ok(workspaces=[{}], page={"hasMore": True, "nextCursor": "same"})
    client, script = _client(*[more] * 5)

    assert len(client.list_workspaces(max_pages=3)) == 3
    assert len(script.asked) == 3


def test_listing_without_its_list_is_an_error() -> None:
    """An answer of another shape is said to be one."""
    client, _ = _client(_ok(other=[]))

    with pytest.raises(RundialRequestError, match="'workspaces'"):
        client.list_workspaces()


def test_unreachable_server_says_so_with_advice() -> None:
    """No server is a line that says which address and what to do."""
    client, _ = _client(NoAnswerError("the connection was refused"))

    with pytest.raises(RundialRequestError, match=r"could not be reached.*rundial server") as raised:
        client.whoami()
    assert raised.value.status_code is None


def test_unauthenticated_whoami_is_an_authentication_error() -> None:
    """A key that the server does not know is told as 401 even when the server says it politely."""
    client, _ = _client(_ok(authenticated=False))

    with pytest.raises(RundialRequestError) as raised:
        client.whoami()
    assert raised.value.status_code == 401


def test_endpoint_that_is_no_address_is_refused_at_once() -> None:
    """A wrong endpoint is found before anything is sent."""
    with pytest.raises(ConfigError):
        Client("127.0.0.1:8787")


def test_client_without_arguments_takes_what_init_would_take(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environment, then the stored profile and its key; a key goes to no endpoint that is named beside it."""
    profiles.store_local("http://127.0.0.1:9000", "rdk_stored", "default-workspace")
    monkeypatch.setenv("RUNDIAL_ENDPOINT", "http://127.0.0.1:9000/")
    stored, named = Client(), Client(URL)
    assert (stored.endpoint, stored.api_key) == ("http://127.0.0.1:9000", "rdk_stored")
    assert (named.endpoint, named.api_key) == (URL, None)

    monkeypatch.setenv("RUNDIAL_API_KEY", "rdk_environment")
    assert Client().api_key == "rdk_environment"
    assert (Client(session_token="rds_1").api_key, Client(URL).api_key) == (None, None)
    monkeypatch.setenv("RUNDIAL_ENDPOINT", "http://127.0.0.1:9001")
    monkeypatch.delenv("RUNDIAL_API_KEY")
    assert Client().api_key is None


@pytest.mark.parametrize("found", [{}, {"runId": "r"}, {"runId": "", "projectId": "p"}])
def test_half_an_answer_is_an_error_that_names_the_other_half(found: dict[str, Any]) -> None:
    """What callers count on is there, or the call says what is missing."""
    client, _ = _client(_ok(**found))

    with pytest.raises(RundialRequestError, match=r"starting the run.*lacks .*(runId|projectId)"):
        client.announce_run(project_id="p")


def test_argument_that_is_no_json_is_refused_before_anything_is_sent() -> None:
    """A config that cannot be sent is told as such, in the words of the call."""
    client, script = _client()

    with pytest.raises(ConfigError, match="updating the config of r"):
        client.update_run_config(run_id="r", config={"model": object()})
    assert script.asked == []


def test_project_can_be_named_where_two_hold_the_same_run_id() -> None:
    """Changes of a run reach the run of the project that is meant."""
    client, script = _client(_ok(runId="r", status="failed"), _ok(config={}))
    client.update_run_status(run_id="r", status="failed", project_id="prj_1", finished_at_ms=5)
    assert _body(script) == {"status": "failed", "finishedAtMs": 5, "projectId": "prj_1"}

    client.update_run_config(run_id="r", config={"a": 1}, project_id="prj_1")
    assert _body(script) == {"config": {"a": 1}, "projectId": "prj_1"}


def test_connections_of_a_forked_client_are_its_own() -> None:
    """A child asks on a connection of its own: two processes on one would get each other's answers."""
    exchange = HttpExchange()
    parents = exchange._pool

    child = os.fork()
    if child == 0:
        try:
            exchange(Request("GET", "http://127.0.0.1:9/", {}), timeout_s=1)
        except NoAnswerError:
            os._exit(0 if exchange._pool is not parents else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert exchange._pool is parents
