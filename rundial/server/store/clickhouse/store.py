"""Points, text lines and spans in ClickHouse, and how a catalog and its ClickHouse find each other.

One process writes: it numbers the rows. A catalog that several servers share cannot have its stream here.
Each knows the other: the ClickHouse database holds the id of the server whose rows it has, and the catalog
says that its rows are in ClickHouse.
"""

from __future__ import annotations

import secrets
from typing import Final

from sqlalchemy import Connection, select

from rundial.errors import ConfigError
from rundial.server.problems import StoreProblem
from rundial.server.store.clickhouse.connection import ClickHouse, address_of, unusable
from rundial.server.store.clickhouse.group import WRITER, Group, Place
from rundial.server.store.clickhouse.lines import ClickHouseLines
from rundial.server.store.clickhouse.mark import FACT, Mark, Numbers, mark_of, set_numbers
from rundial.server.store.clickhouse.points import ClickHousePoints
from rundial.server.store.clickhouse.schema import make_tables
from rundial.server.store.clickhouse.spans import ClickHouseSpans
from rundial.server.store.dialect import hold, set_fact
from rundial.server.store.engine import Engines
from rundial.server.store.tables import facts, lines, points, spans

_MAX_CLEARED: Final = 10_000


class ClickHouseEvents:
    """The tables of the stream in ClickHouse.

    Threads: as `events.EventStore`.

    Args:
        database: Where they are.
        writer: The name of this process in the catalog.
        held: A connection to the catalog that keeps other processes out; None where nothing else could come.
    """

    def __init__(self, database: ClickHouse, writer: str, held: Connection | None) -> None:
        self._database: Final = database
        self._held: Final = held
        self._group: Final = Group(database, writer)
        self.points: Final = ClickHousePoints(database, self._group)
        self.lines: Final = ClickHouseLines(database, self._group)
        self.spans: Final = ClickHouseSpans(database, self._group)
        self._cleared: set[int] = set()

    def prepare(self, connection: Connection) -> None:
        """Delete what a process that was killed had inserted and never committed."""
        self._group.ready(connection)

    def mark(self) -> Place:
        """How much was gathered so far."""
        return self._group.place()

    def rewind(self, mark: Place) -> None:
        """Drop what was gathered since."""
        self._group.rewind(mark)

    def settle(self, connection: Connection) -> None:
        """Insert what was gathered."""
        self._group.settle(connection)

    def abandon(self) -> None:
        """Drop everything that was gathered or inserted."""
        self._group.abandon()

    def pause_s(self) -> float:
        """How long the next group should gather, seconds."""
        return self._group.pause_s()

    def forget(self) -> None:
        """Drop what is remembered of stored rows."""
        self.points.forget()
        self.lines.forget()

    def clear(self, connection: Connection, run: int) -> None:
        """Delete a run's rows; they are gone at once, and their place as parts are merged."""
        if run in self._cleared:
            return
        self.points.clear(connection, run)
        self.lines.clear(run)
        self.spans.clear(run)
        if len(self._cleared) >= _MAX_CLEARED:
            self._cleared.clear()
        self._cleared.add(run)

    def check(self) -> None:
        """Ask it for something.

        Raises:
            StoreProblem: 503, it does not answer.
        """
        self._database.rows("SELECT 1")

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._database.close()
        if self._held is not None:
            self._held.close()


def open_clickhouse(url: str, engines: Engines, server_id: str) -> ClickHouseEvents:
    """Open a catalog's ClickHouse, or give a catalog without points one.

    Raises:
        ConfigError: The URL names none, it cannot be reached or is another server's, its user lacks a grant,
            another process writes there, or the catalog has points of its own.
    """
    address = address_of(url)
    held = hold(engines.reading)
    if engines.is_shared and held is None:
        raise ConfigError(
            f"another server writes to {address.where}; ClickHouse is written by one process at a time: "
            "stop the other one first"
        )
    try:
        return _opened(ClickHouse(address), engines, server_id, held)
    except BaseException:
        if held is not None:
            held.close()
        raise


def _opened(
    database: ClickHouse, engines: Engines, server_id: str, held: Connection | None
) -> ClickHouseEvents:
    writer = secrets.token_hex(12)
    store = ClickHouseEvents(database, writer, held)
    try:
        make_tables(database)
        with engines.writing.begin() as connection:
            _pair(connection, database, server_id)
            # In this order: whoever writes there yet is done, or sees that it is over.
            set_fact(connection, facts, WRITER, writer)
            store.prepare(connection)
    except StoreProblem as problem:
        store.close()
        raise unusable(database.where, problem.__cause__ or problem) from problem
    except BaseException:
        store.close()
        raise
    return store


def need_no_clickhouse(connection: Connection, where: str) -> None:
    """Refuse a catalog whose points are in a ClickHouse that nobody names.

    Raises:
        ConfigError: It is one.
    """
    if connection.execute(select(facts.c.value).where(facts.c.name == FACT)).first() is not None:
        raise ConfigError(
            f"the points, lines and spans of {where} are in ClickHouse; "
            "name it, as before: --events clickhouse://user:password@host/database"
        )


def _pair(connection: Connection, database: ClickHouse, server_id: str) -> None:
    """Check that both belong together, or join two that are new."""
    owners = [owner for (owner,) in database.rows("SELECT server_id FROM owner")]
    if owners and owners != [server_id]:
        raise ConfigError(
            f"{database.where} holds the points of another server ({owners[0]}); nothing was changed; "
            "name a database of its own, or start with that server's data"
        )
    is_known = connection.execute(select(facts.c.value).where(facts.c.name == FACT)).first() is not None
    if is_known:
        if not owners and mark_of(connection) != Mark():
            raise ConfigError(
                f"{database.where} is empty, and this server's points are in ClickHouse; "
                "name the database that it used before"
            )
    else:
        for table in (points, lines, spans):
            if connection.execute(select(*table.primary_key).limit(1)).first() is not None:
                raise ConfigError(
                    f"there are {table.name} in the catalog's own database, and --events would hide them; "
                    "start without it, or with an empty catalog"
                )
        set_numbers(connection, Numbers())
    if not owners:
        database.insert("owner", {"server_id": "String"}, [[server_id]])
