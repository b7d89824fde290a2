"""Changes that two servers over one database make at once: what one reads first is still so at its commit.

The other server is a transaction of the test's own, so that the two always meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text

from rundial.server.store.agents import find_agent, revoke_agent
from rundial.server.store.artifact_tables import blobs
from rundial.server.store.dialect import exclude_others
from rundial.server.store.engine import Engines, open_engines
from rundial.server.store.holding import hold_blobs, hold_version
from rundial.server.store.library import need_version
from rundial.server.store.retention import delete_version, doom
from rundial.server.store.uploads import move_aliases
from rundial.server.store.users import find_user, set_role
from tests.support.artifacts import Artifacts, sha256
from tests.support.clock import ManualClock
from tests.support.postgres import Postgres
from tests.support.server import LocalServer, Reply
from tests.support.waiting import wait_until

HOME = "/api/v1/workspaces/default-workspace"
PASSWORD = "correct horse battery staple"


@pytest.fixture
def database(postgres: Postgres) -> str:
    """The URL of an empty database."""
    return postgres.database()


@pytest.fixture
def shared(tmp_path: Path, clock: ManualClock, database: str) -> Iterator[LocalServer]:
    """A server on it."""
    with LocalServer(tmp_path / "data", clock, database=database) as server:
        yield server


@pytest.fixture
def other(tmp_path: Path, shared: LocalServer, database: str) -> Iterator[Engines]:
    """Another process's connections to it."""
    opened = open_engines(tmp_path, database)
    yield opened
    opened.close()


def _meanwhile(other: Engines, send: Callable[[], Reply], change: Callable[[Connection], object]) -> Reply:
    """Send a request, and let another server commit a change once the request waits for it."""

    def waits() -> bool:
        with other.reading.begin() as look:
            return bool(look.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar())

    with ThreadPoolExecutor(1) as pool:
        with other.writing.begin() as connection:
            change(connection)
            answer = pool.submit(send)
            wait_until(waits, 10)
        return answer.result(10)


def test_two_owners_never_demote_each_other(shared: LocalServer, other: Engines) -> None:
    """The second is told that nobody would be left."""
    admin = shared.make_key(["admin"])
    people = [
        shared.post(f"{HOME}/members", {"email": f"{name}@x.org", "role": "owner", "password": PASSWORD}).json
        for name in ("ann", "bob")
    ]

    def demote_ann(connection: Connection) -> None:
        exclude_others(connection)
        ann = find_user(connection, email="ann@x.org")
        assert ann is not None
        set_role(connection, ann.id, 1, "viewer", 1)

    answer = _meanwhile(
        other,
        lambda: shared.post(f"{HOME}/members/{people[1]['userId']}/role", {"role": "viewer"}, key=admin),
        demote_ann,
    )

    assert answer.status == 409
    assert "last owner" in answer.json["error"]["message"]


def test_a_revoked_agent_gets_no_key(shared: LocalServer, other: Engines) -> None:
    """Not even one that was asked for before the revocation was committed."""
    shared.project_id()
    agent = shared.post(f"{HOME}/agents", {"name": "bot"}).json["agentId"]

    def revoke(connection: Connection) -> None:
        exclude_others(connection)
        found = find_agent(connection, 1, agent)
        assert found is not None
        revoke_agent(connection, found, 1)

    wish = {"projectSlug": "digits", "scopes": ["metrics:write"]}
    answer = _meanwhile(other, lambda: shared.post(f"{HOME}/agents/{agent}/api-keys", wish), revoke)

    assert answer.status == 409
    assert "revoked" in answer.json["error"]["message"]


def test_two_servers_that_move_an_alias_both_do(shared: LocalServer, other: Engines) -> None:
    """The second takes it from where the first has put it."""
    artifacts = Artifacts(shared.url, shared.key)
    versions = [artifacts.log("model", {"a": content})["artifact"]["artifactId"] for content in (b"1", b"2")]
    artifacts.close()
    path = f"{HOME}/projects/digits/artifacts/{{}}/aliases"

    def move_to_the_first(connection: Connection) -> None:
        found = need_version(connection, 1, versions[0])
        move_aliases(connection, found.artifact, found.id, ["best"])

    second = path.format(versions[1])
    answer = _meanwhile(other, lambda: shared.post(second, {"add": ["best"]}), move_to_the_first)
    first = shared.post(path.format(versions[0]), {})

    assert (answer.status, sorted(answer.json["aliases"])) == (200, ["best", "latest"])
    assert first.json["aliases"] == []


def _logged(shared: LocalServer, content: bytes = b"1") -> str:
    """A version of `model`."""
    artifacts = Artifacts(shared.url, shared.key)
    found = artifacts.log("model", {"a": content})["artifact"]["artifactId"]
    artifacts.close()
    return str(found)


def _delete(connection: Connection, reference: str) -> None:
    """Delete a version, as another server does."""
    delete_version(connection, hold_version(connection, 1, reference).id)


def test_an_alias_is_not_given_to_a_version_that_is_being_deleted(
    shared: LocalServer, other: Engines
) -> None:
    """Whoever asked is told that it is gone."""
    version = _logged(shared)
    path = f"{HOME}/projects/digits/artifacts/{version}/aliases"

    answer = _meanwhile(
        other,
        lambda: shared.post(path, {"add": ["best"]}),
        lambda connection: _delete(connection, version),
    )

    assert (answer.status, "was deleted" in answer.error["message"]) == (404, True)


def test_a_version_that_is_being_held_is_not_deleted(shared: LocalServer, other: Engines) -> None:
    """An alias that comes first keeps it, whichever server it came to."""
    version = _logged(shared)

    def give_alias(connection: Connection) -> None:
        found = hold_version(connection, 1, version)
        move_aliases(connection, found.artifact, found.id, ["best"])

    path = f"{HOME}/projects/digits/artifacts/{version}"
    answer = _meanwhile(other, lambda: shared.send("DELETE", path), give_alias)

    assert (answer.status, "'best'" in answer.error["message"]) == (409, True)


def test_a_version_that_is_deleted_twice_at_once_is_deleted_once(shared: LocalServer, other: Engines) -> None:
    """And the one before it is the latest."""
    first, second = _logged(shared, b"1"), _logged(shared, b"2")
    path = f"{HOME}/projects/digits/artifacts/{second}"

    answer = _meanwhile(
        other, lambda: shared.send("DELETE", path), lambda connection: _delete(connection, second)
    )

    assert answer.status == 404
    assert shared.get(f"{HOME}/projects/digits/artifacts/model").json["artifactId"] == first


def test_a_version_that_is_being_deleted_is_not_used(shared: LocalServer, other: Engines) -> None:
    """Nobody is given a version without its files."""
    version = _logged(shared)
    wish = {"projectId": shared.project_id(), "runId": "run", "artifactRef": version}

    answer = _meanwhile(
        other,
        lambda: shared.post("/api/v1/artifacts/use", wish),
        lambda connection: _delete(connection, version),
    )

    assert answer.status == 404


def test_a_sweep_leaves_what_another_server_is_about_to_refer_to(shared: LocalServer, other: Engines) -> None:
    """And takes the rest; the reference stands."""
    _delete_and_keep_blob(shared, other)
    with other.writing.begin() as connection:
        (blob,) = hold_blobs(connection, 1, [sha256(b"1")])
        answer = shared.post(f"{HOME}/projects/digits/artifacts/gc", {})
        held = connection.execute(select(blobs.c.id)).scalars().all()

    assert (answer.status, answer.json["blobsDeleted"], held) == (200, 0, [blob.id])
    assert shared.post(f"{HOME}/projects/digits/artifacts/gc", {}).json["blobsDeleted"] == 1


def test_content_that_a_sweep_is_taking_is_asked_for_again(shared: LocalServer, other: Engines) -> None:
    """An upload does not count on what is gone at its commit."""
    _delete_and_keep_blob(shared, other)
    artifacts = Artifacts(shared.url, shared.key)

    answer = _meanwhile(
        other,
        lambda: artifacts.initiate("model", {"a": b"1"}),
        lambda connection: doom(connection, 1),
    )

    assert (answer.status, [each["path"] for each in answer.json["files"]]) == (200, ["a"])
    artifacts.close()


def _delete_and_keep_blob(shared: LocalServer, other: Engines) -> None:
    """Leave a blob that nothing refers to."""
    version = _logged(shared)
    with other.writing.begin() as connection:
        _delete(connection, version)


def test_tags_are_found_whatever_the_database_sorts_by(
    tmp_path: Path, clock: ManualClock, postgres: Postgres
) -> None:
    """A language may leave out the point between a field's two words when it compares them."""
    with LocalServer(
        tmp_path / "data", clock, database=postgres.database(icu_locale="en-US-u-ka-shifted")
    ) as server:
        start = {"projectId": server.project_id(), "runId": "r", "tags": ["zebra"]}
        assert server.post("/api/v1/runs/start", start).status == 200
        path = f"{HOME}/projects/digits/runs/query?columns=tags&filter="
        shown = server.get(f"{path}tags%20~%20%22zeb%22").json["runs"]

    assert [run["columns"] for run in shown] == [{"tags": ["zebra"]}]
