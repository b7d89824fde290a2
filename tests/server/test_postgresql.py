"""What a shared database can do to a server: others in the way, connections that break, odd text."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text, update

from rundial.errors import ConfigError
from rundial.server.problems import Problem
from rundial.server.rows import SPAN_ENDED, SPAN_RUNNING, SeriesBlock, SpanRow
from rundial.server.store.engine import Engines, open_engines
from rundial.server.store.inserts import insert_points
from rundial.server.store.postgresql import Blobs, MaybeWholes, Reals, Texts, Wholes
from rundial.server.store.spanrows import store_spans
from rundial.server.store.sqlevents import SqlEvents
from rundial.server.store.tables import facts, spans
from rundial.server.writer import Writer
from tests.support import otlp
from tests.support.postgres import Postgres
from tests.support.server import LocalServer, fresh_id
from tests.support.waiting import wait_until


@pytest.fixture
def engines(tmp_path: Path, postgres: Postgres) -> Iterator[Engines]:
    """An empty database."""
    opened = open_engines(tmp_path, postgres.database())
    with opened.writing.begin() as connection:
        connection.execute(insert(facts), [{"name": name, "value": "0"} for name in "ab"])
    yield opened
    opened.close()


@pytest.fixture
def writer(engines: Engines) -> Iterator[Writer]:
    """A writer of that database."""
    made = Writer(engines, SqlEvents(), on_rollback=lambda: None)
    yield made
    made.close()


def _adds_one(connection: Connection, name: str) -> None:
    value = connection.execute(
        select(facts.c.value).where(facts.c.name == name).with_for_update()
    ).scalar_one()
    connection.execute(update(facts).where(facts.c.name == name).values(value=str(int(value) + 1)))


def _values(engines: Engines) -> dict[str, str]:
    with engines.reading.begin() as connection:
        return dict(
            connection.execute(select(facts.c.name, facts.c.value).where(facts.c.name.in_(["a", "b"]))).all()
        )


def test_a_deadlocks_victim_is_run_again(writer: Writer, engines: Engines) -> None:
    """Two processes that wait for each other both get done, each exactly once."""
    has_first, may_go_on, is_other_on = threading.Event(), threading.Event(), threading.Event()
    tries: list[int] = []

    def job(connection: Connection) -> None:
        tries.append(1)
        # Run again at once, it could be at the row before the other is woken, and give up once more.
        assert len(tries) == 1 or is_other_on.wait(10)
        _adds_one(connection, "a")
        has_first.set()
        assert may_go_on.wait(10)
        _adds_one(connection, "b")

    with engines.writing.begin() as other:
        # The writer's session gives up first, whoever began to wait first.
        other.execute(text("SET deadlock_timeout = '10s'"))
        _adds_one(other, "b")
        done = writer.submit(job)
        assert has_first.wait(10)
        may_go_on.set()
        _adds_one(other, "a")
        is_other_on.set()
    done.result(15)

    assert _values(engines) == {"a": "2", "b": "2"}
    assert len(tries) == 2


def test_a_connection_that_broke_while_nothing_was_to_do_costs_no_request(
    writer: Writer, engines: Engines
) -> None:
    """A restart of the database at night is no error in the morning."""
    writer.submit(lambda connection: _adds_one(connection, "a")).result(10)
    with engines.reading.begin() as connection:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        connection.execute(text(f"{query} AND datname = current_database()"))

    writer.submit(lambda connection: _adds_one(connection, "a")).result(10)

    assert _values(engines)["a"] == "2"


def test_while_the_database_is_away_every_caller_is_told_to_repeat(tmp_path: Path) -> None:
    """No request waits for a database that may never come back, and the writer outlives it."""
    with Postgres() as postgres:
        engines = open_engines(tmp_path, postgres.database())
        writer = Writer(engines, SqlEvents(), on_rollback=lambda: None)
        postgres.stop()

        refused = [writer.submit(lambda connection: connection.execute(text("SELECT 1"))) for _ in range(3)]
        problems = [each.exception(20) for each in refused]
        postgres.start()
        answer = writer.submit(lambda connection: connection.execute(text("SELECT 7")).scalar()).result(20)

        assert all(isinstance(each, Problem) and each.status == 503 for each in problems)
        assert all(isinstance(each, Problem) and each.retry_after_s for each in problems)
        assert answer == 7
        writer.close()
        engines.close()


def test_a_database_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    """The message is safe to paste into a ticket."""
    with pytest.raises(
        ConfigError, match=r"postgresql\+psycopg://me:\*\*\*@127.0.0.1:1/x cannot be used"
    ) as caught:
        open_engines(tmp_path, "postgresql://me:hunter2@127.0.0.1:1/x")

    assert "hunter2" not in str(caught.value)


def test_text_with_a_nul_is_kept_on_every_engine(local: LocalServer, database: str | None) -> None:
    """One odd line never holds up the rest of its request."""
    run = fresh_id()

    sent = local.export("logs", otlp.logs(otlp.resource(run), [otlp.line(1, "a\0b"), otlp.line(2, "c")]))
    body = {"projectId": local.project_id(), "runId": run}
    found = [row["message"] for row in local.post("/api/v1/query/logs", body).json["rows"]]

    assert sent.status == 200
    assert sorted(found) == ["a\0b" if database is None else "a\ufffdb", "c"]


def test_columns_arrive_as_they_were_sent(engines: Engines) -> None:
    """The binary form of arrays is ours, so what the database reads from it is compared with what went in."""
    wholes = [0, 1, -1, 255, 256, 2**62 - 1, -(2**63), 2**63 - 1]
    reals = [0.0, -0.0, 1.5, -1e308, 5e-324, 3.141592653589793, 1e16, -2.5]
    with engines.reading.begin() as connection:
        driver: Any = connection.connection.dbapi_connection
        query = "SELECT * FROM unnest(%s, %s)"
        found = driver.execute(query, (Wholes(wholes), Reals(reals))).fetchall()
        empty = driver.execute(query, (Wholes([]), Reals([]))).fetchall()

    assert found == list(zip(wholes, reals, strict=True))
    assert [str(row[1]) for row in found] == [str(each) for each in reals]
    assert empty == []


def test_columns_of_texts_and_of_nothing_arrive_as_they_were_sent(engines: Engines) -> None:
    """Texts of any length and language, bytes of any value, and NULL where there is none."""
    texts = ["", "a", None, "é\U0001f600", "x" * 70_000, "{1,2}", 'NULL "quoted" \\']
    blobs = [b"", None, b"\0\xff", bytes(range(256)), b"\\x00", b"NULL", b"1"]
    wholes = [None, 0, -1, 2**63 - 1, -(2**63), None, 5]
    with engines.reading.begin() as connection:
        driver: Any = connection.connection.dbapi_connection
        query = "SELECT * FROM unnest(%s, %s, %s)"
        found = driver.execute(query, (Texts(texts), Blobs(blobs), MaybeWholes(wholes))).fetchall()

    assert found == list(zip(texts, blobs, wholes, strict=True))


def _span(state: int, name: str) -> SpanRow:
    times = (1, None if state == SPAN_RUNNING else 2)
    return SpanRow(b"t" * 16, b"s" * 8, None, name, "internal", *times, "ok", "", state, "", "", "")


def test_a_span_that_two_servers_store_at_once_is_the_most_final_one(engines: Engines) -> None:
    """What one knows of its end is not lost because the other is just storing its start."""
    counted: list[int] = []

    def store(connection: Connection, span: SpanRow) -> None:
        counted.append(store_spans(connection, 1, 1, [span]))

    def ended() -> None:
        with engines.writing.begin() as connection:
            store(connection, _span(SPAN_ENDED, "ended"))

    def waits() -> bool:
        with engines.reading.begin() as look:
            return bool(look.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar())

    thread = threading.Thread(target=ended)
    with engines.writing.begin() as connection:
        store(connection, _span(SPAN_RUNNING, "running"))
        thread.start()
        wait_until(waits, 10)
    thread.join(20)

    with engines.reading.begin() as connection:
        assert connection.execute(select(spans.c.name, spans.c.state)).all() == [("ended", SPAN_ENDED)]
    assert counted == [0, 1]


def test_two_connections_that_store_the_same_points_count_them_once(engines: Engines) -> None:
    """A request that reached two processes at once, as a proxy's retry may, is one request."""
    block = SeriesBlock("loss", "", "{}", bytes(16), [1, 2, 3], [1, 2, 3], [0.1, 0.2, 0.3])
    found: list[int] = []

    def store(first: int) -> None:
        with engines.writing.begin() as connection:
            new = insert_points(connection, [5], [block], instance=1, attempt=1, first_accepted=first)
        found.append(new)

    threads = [threading.Thread(target=store, args=(first,)) for first in (100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(found) == [0, 3]
