"""Opening the database: an SQLite file in the data directory, or PostgreSQL by its URL.

SQLite runs in WAL mode with one writing connection and many reading ones, and `synchronous=FULL`: an
acknowledged request survives a power cut, because a 2xx makes the client delete the only other copy. Of
PostgreSQL the same is true with its own `synchronous_commit`, which is left as the database has it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

from rundial.errors import ConfigError
from rundial.server.store.dialect import POSTGRESQL
from rundial.server.store.migrations.ladder import bring_up

_CACHE_KIB: Final = 65_536
_BUSY_MS: Final = 10_000
_CONNECT_TIMEOUT_S: Final = 5
# serialization_failure and deadlock_detected
_IN_THE_WAY: Final = frozenset({"40001", "40P01"})
FILE_NAME: Final = "rundial.db"


def _shut(driver: Any, _record: object) -> None:
    """Close what nobody will take out of its pool again."""
    if driver is not None:
        driver.close()


@dataclass(frozen=True, slots=True)
class Engines:
    """The two ways into one database.

    Attributes:
        writing: For the writer thread alone; SQLite's transactions take the write lock at once.
        reading: A small pool; its transactions see one state of the database.
        is_shared: Whether other processes may write at the same time.
        where: The database, without a password.
    """

    writing: Engine
    reading: Engine
    is_shared: bool
    where: str

    def close(self) -> None:
        """Close every pooled connection; those that are lent out are closed as they come back."""
        for engine in (self.reading, self.writing):
            event.listen(engine, "checkin", _shut)
            engine.dispose()


def open_engines(data_dir: Path, database: str | None = None) -> Engines:
    """Open or create a database and bring it to the newest schema.

    Args:
        data_dir: An existing directory.
        database: `postgresql://user:password@host/name`, or `sqlite:///path`; None is the SQLite file in the
            data directory.

    Raises:
        ConfigError: The URL names no database that this server knows, it cannot be reached, or it was made
            by a newer server.
    """
    url = database_url(data_dir, database)
    if url.get_backend_name() == POSTGRESQL:
        engines = _open_postgresql(url)
    else:
        engines = _open_sqlite(Path(str(url.database)))
    try:
        with engines.writing.begin() as connection:
            bring_up(connection, where=engines.where)
    except DBAPIError as error:
        engines.close()
        raise ConfigError(
            f"the database {engines.where} cannot be used: {_cause(error)}; nothing was changed"
        ) from error
    except ConfigError:
        engines.close()
        raise
    return engines


def database_url(data_dir: Path, database: str | None) -> URL:
    """The URL of a database.

    Raises:
        ConfigError: It is none that this server knows.
    """
    if database is None:
        return URL.create("sqlite", database=str(data_dir / FILE_NAME))
    try:
        url = make_url(database)
    except ArgumentError as error:
        raise ConfigError("--database is no URL; write postgresql://user:password@host/name") from error
    backend = url.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and url.database:
        return url
    raise ConfigError(
        f"--database {url.render_as_string(hide_password=True)!r} is no database that this server knows; "
        "write postgresql://user:password@host/name or sqlite:///path"
    )


def is_shared(data_dir: Path, database: str | None) -> bool:
    """Whether several processes may write to a database at the same time.

    Raises:
        ConfigError: As `database_url`.
    """
    return database_url(data_dir, database).get_backend_name() == POSTGRESQL


def drop_if_lost(connection: Connection) -> bool:
    """Give a broken connection back, so that the next transaction opens another; True when it was one."""
    if connection.invalidated:
        return True
    driver = connection.connection.dbapi_connection
    if not getattr(driver, "closed", False):
        return False
    connection.invalidate()
    return True


def is_in_the_way(error: Exception) -> bool:
    """Whether a transaction failed only because another process was at the same rows; it may be repeated."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _IN_THE_WAY


def _cause(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split())


def _open_sqlite(path: Path) -> Engines:
    # SQLite gives its -wal and -shm files the mode of the database, so the mode is set first.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise ConfigError(f"the database {path} cannot be used: {error.strerror}") from error
    return Engines(
        writing=_sqlite(path, "BEGIN IMMEDIATE", is_reader=False),
        reading=_sqlite(path, "BEGIN", is_reader=True),
        is_shared=False,
        where=str(path),
    )


def _sqlite(path: Path, begin: str, *, is_reader: bool) -> Engine:
    engine = create_engine(
        f"sqlite+pysqlite:///{path}",
        hide_parameters=True,  # an error names its statement, and never people's data or a key's hash
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


def _open_postgresql(url: URL) -> Engines:
    try:
        from rundial.server.store.postgresql import prepare
    except ImportError as error:
        raise ConfigError(
            "PostgreSQL needs psycopg, which is not installed; pip install 'rundial[postgres]'"
        ) from error
    options: dict[str, Any] = {
        "connect_args": {"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": "rundial"},
        "pool_pre_ping": True,
        "hide_parameters": True,
    }
    # A writer that waited for another process's row sees what that one committed.
    writing = create_engine(url, isolation_level="READ COMMITTED", pool_size=1, max_overflow=1, **options)
    reading = create_engine(
        url,
        isolation_level="REPEATABLE READ",
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=8,
        execution_options={"postgresql_readonly": True},
        **options,
    )
    for engine in (writing, reading):
        event.listen(engine, "connect", lambda connection, _record: prepare(connection))
    return Engines(writing, reading, is_shared=True, where=url.render_as_string(hide_password=True))
