"""Opening the embedded store: SQLite in WAL mode, one writing connection, many reading ones.

`synchronous=FULL`: an acknowledged request survives a power cut, because a 2xx makes the client
delete the only other copy.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event, insert, select
from sqlalchemy.pool import NullPool, QueuePool

from rundial.errors import ConfigError
from rundial.server.store.tables import SCHEMA_VERSION, facts, metadata

_CACHE_KIB: Final = 65_536
_BUSY_MS: Final = 10_000
FILE_NAME: Final = "rundial.db"


@dataclass(frozen=True, slots=True)
class Engines:
    """The two ways into one database.

    Attributes:
        writing: For the writer thread alone; its transactions take the write lock at once.
        reading: A small pool; its transactions see one state of the database.
    """

    writing: Engine
    reading: Engine

    def close(self) -> None:
        """Close every pooled connection."""
        self.reading.dispose()
        self.writing.dispose()


def open_engines(data_dir: Path) -> Engines:
    """Open or create the database of a data directory.

    Raises:
        ConfigError: The database was made by a newer server.
    """
    path = data_dir / FILE_NAME
    # SQLite gives its -wal and -shm files the mode of the database, so the mode is set first.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    engines = Engines(
        writing=_engine(path, "BEGIN IMMEDIATE", is_reader=False),
        reading=_engine(path, "BEGIN", is_reader=True),
    )
    with engines.writing.begin() as connection:
        metadata.create_all(connection)
        known = connection.execute(select(facts.c.value).where(facts.c.name == "schema")).scalar()
        if known is None:
            connection.execute(insert(facts).values(name="schema", value=str(SCHEMA_VERSION)))
    if known is not None and int(known) > SCHEMA_VERSION:
        engines.close()
        raise ConfigError(
            f"{path} has schema {known}, this server knows up to {SCHEMA_VERSION}; "
            "nothing was changed; start the server version that made it, or a newer one"
        )
    return engines


def _engine(path: Path, begin: str, *, is_reader: bool) -> Engine:
    engine = create_engine(
        f"sqlite+pysqlite:///{path}",
        connect_args={"check_same_thread": False, "timeout": _BUSY_MS / 1000, "cached_statements": 256},
        **(
            {"poolclass": QueuePool, "pool_size": 8, "max_overflow": 8}
            if is_reader
            else {"poolclass": NullPool}
        ),
    )

    def prepare(connection: Any, _record: object) -> None:
        # None turns off the driver's own BEGIN, which comes too late for savepoints and for reads.
        connection.isolation_level = None
        for pragma in _pragmas(is_reader=is_reader):
            connection.execute(pragma)

    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", start)
    return engine


def _pragmas(*, is_reader: bool) -> tuple[str, ...]:
    shared = (
        f"PRAGMA busy_timeout={_BUSY_MS}",
        f"PRAGMA cache_size=-{_CACHE_KIB // (8 if is_reader else 1)}",
    )
    if is_reader:
        return (*shared, "PRAGMA query_only=1")
    return (*shared, "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON")
