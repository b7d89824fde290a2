"""The way to a ClickHouse server, or to the same engine inside this process.

Every statement is this package's own text; values travel beside it, as parameters or as columns.

Threads: `insert` and `command` are the writer's; `rows` and `columns` any thread's.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from rundial.errors import ConfigError
from rundial.server.problems import StoreProblem
from rundial.server.store.budget import Budget
from rundial.server.store.clickhouse.mark import Seen

_log: Final = logging.getLogger("rundial.server")

_CONNECT_TIMEOUT_S: Final = 5
_TIMEOUT_S: Final = 60
# What a user's profile may say otherwise: an insert is stored when it is answered.
_AT_ONCE: Final = {"async_insert": 0, "wait_for_async_insert": 1}
_UNKNOWN_DATABASE: Final = 81
# What ClickHouse says of a privilege that a user has not: names alone, no values.
_GRANT: Final = re.compile(r"necessary to have the grant ([A-Z ]+(?:\([\w`, ]+\))? ON [\w`*]+(?:\.[\w`*]+)?)")
_DEFAULT_DATABASE: Final = "rundial"
_ADVICE: Final = "write clickhouse://user:password@host:8123/database"


@dataclass(frozen=True, slots=True)
class Address:
    """Which ClickHouse.

    Attributes:
        database: Name of the database.
        options: What its client is made with.
        where: The address without a password.
    """

    database: str
    options: Mapping[str, Any]
    where: str


def address_of(url: str) -> Address:
    """Read `clickhouse://user:password@host:port/database?secure=true`, or `chdb:///directory?database=name`.

    Raises:
        ConfigError: It is neither; no password is in the message.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"--events is no URL; {_ADVICE}") from error
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.scheme == "chdb" and not parts.netloc and len(parts.path) > 1:
        database = asked.get("database", _DEFAULT_DATABASE)
        options: dict[str, Any] = {"interface": "chdb", "path": unquote(parts.path)}
        return Address(database, options, f"chdb://{parts.path}")
    if parts.scheme != "clickhouse" or not parts.hostname:
        raise ConfigError(f"--events names no ClickHouse; {_ADVICE}")
    return _http_address(parts, port, is_secure=asked.get("secure") == "true")


def _http_address(parts: SplitResult, port: int | None, *, is_secure: bool) -> Address:
    database = unquote(parts.path.strip("/")) or _DEFAULT_DATABASE
    chosen = port or (8443 if is_secure else 8123)
    options = {
        "interface": "https" if is_secure else "http",
        "host": parts.hostname,
        "port": chosen,
        "username": unquote(parts.username or "default"),
        "password": unquote(parts.password or ""),
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "send_receive_timeout": _TIMEOUT_S,
        # One client for all reading threads: a session would let one query at a time.
        "autogenerate_session_id": False,
        # Parameters in the body: lists of them are longer than what proxies take as an URL.
        "form_encode_query_params": True,
    }
    return Address(database, options, f"clickhouse://{parts.hostname}:{chosen}/{database}")


class ClickHouse:
    """One database of it.

    Args:
        address: Which one.
        is_made: Whether it is made when the server has none of that name.

    Raises:
        ConfigError: It cannot be reached, or its client is not installed.
    """

    def __init__(self, address: Address, *, is_made: bool = True) -> None:
        self.where: Final = address.where
        try:
            from clickhouse_connect.driver.exceptions import ClickHouseError
        except ImportError as error:
            raise ConfigError(
                "ClickHouse needs clickhouse-connect, which is not installed; "
                "pip install 'rundial[clickhouse]'"
            ) from error
        self._errors: Final = (ClickHouseError, OSError, RuntimeError)
        try:
            if is_made:
                _make_database(address)
            self._writing: Final = _client(address, address.database)
            # Of its own: the embedded engine does one thing at a time on each connection.
            self._reading: Final = _client(address, address.database)
        except (*self._errors, ImportError) as error:
            raise unusable(address.where, error) from error

    def command(self, sql: str, **values: object) -> None:
        """Run a statement that changes something.

        Raises:
            StoreProblem: 503, it failed.
        """
        with self._told():
            self._writing.command(sql, parameters=values)

    def insert(self, table: str, types: Mapping[str, str], columns: Sequence[Sequence[object]]) -> None:
        """Insert rows, a column of each type at a time; all of them or none.

        Raises:
            StoreProblem: 503, it failed.
        """
        with self._told():
            self._writing.insert(
                table,
                columns,
                column_names=list(types),
                column_type_names=list(types.values()),
                column_oriented=True,
                settings=_AT_ONCE,
            )

    def rows(self, sql: str, seen: Seen | None = None, **values: object) -> Sequence[tuple[Any, ...]]:
        """Run a query and return its rows.

        Args:
            sql: The query; one of the stream says which rows it means by `mark.SEEN`.
            seen: Those.
            values: Its parameters.

        Raises:
            StoreProblem: 503, it failed.
        """
        with self._told():
            text = sql if seen is None else seen.only(sql)
            found: Sequence[tuple[Any, ...]] = self._reading.query(text, parameters=values).result_rows
            return found

    def fitting(
        self, budget: Budget, sql: str, seen: Seen, *, of: str, size: str, **values: object
    ) -> Sequence[tuple[Any, ...]]:
        """Run a query as `rows`, for as many rows as a budget has room for: their sizes are read first.

        Args:
            budget: Counts them.
            sql: The query; it has a `limit`.
            seen: Which rows it means.
            of: What it selects, as its text has it.
            size: What to select instead for the size of a row.
            values: Its other parameters.

        Raises:
            StoreProblem: 503, it failed.
        """
        sizes = self.rows(sql.replace(of, size, 1), seen, limit=budget.most_rows, **values)
        count = budget.fitting(row[0] for row in sizes)
        return self.rows(sql, seen, limit=count, **values) if count else []

    def columns(self, sql: str, seen: Seen, **values: object) -> Sequence[Sequence[Any]]:
        """Run a query as `rows` and return its columns; none at all when it has no rows.

        Raises:
            StoreProblem: 503, it failed.
        """
        with self._told():
            found = self._reading.query(seen.only(sql), parameters=values, column_oriented=True)
            shown: Sequence[Sequence[Any]] = found.result_columns if found.row_count else ()
            return shown

    def close(self) -> None:
        """Close both connections. Idempotent."""
        for client in (self._writing, self._reading):
            client.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn a failure of ClickHouse into ours."""
        try:
            yield
        except self._errors as error:
            _log.error("the events in %s cannot be used: %s", self.where, _cause(error))
            raise StoreProblem(
                503,
                "the store of points, lines and spans cannot be used",
                "see the server's log; repeat the request after the given wait",
                retry_after_s=5,
            ) from error


def _make_database(address: Address) -> None:
    from clickhouse_connect.driver.exceptions import DatabaseError

    try:
        _client(address, address.database).close()
    except DatabaseError as error:
        if getattr(error, "code", None) != _UNKNOWN_DATABASE:
            raise
        client = _client(address, None)
        try:
            client.command("CREATE DATABASE IF NOT EXISTS {name:Identifier}", {"name": address.database})
        finally:
            client.close()


def _client(address: Address, database: str | None) -> Any:
    from clickhouse_connect.driver import create_client

    return create_client(**address.options, database=database)


def unusable(where: str, error: BaseException) -> ConfigError:
    """What a server says that cannot start with its ClickHouse, for a failure of that."""
    return ConfigError(f"the events in {where} cannot be used: {_cause(error)}; nothing was changed")


def _cause(error: BaseException) -> str:
    """What failed, by ClickHouse's own name for it: its whole text quotes statements and their values."""
    code, name = getattr(error, "code", None), getattr(error, "name", None)
    grant = _GRANT.search(str(error))
    if grant:
        return f"its user may not do that; GRANT {grant[1].strip()} TO the user that --events names"
    if code:
        return f"error {code} {name or ''}".strip()
    return type(error).__name__
