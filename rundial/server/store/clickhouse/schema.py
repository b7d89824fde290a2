"""The tables in ClickHouse.

Each row has a number (`n`) that grows in the order in which rows of its table were accepted. The catalog
keeps, in the commit that acknowledges them, the greatest numbers; rows with greater ones do not exist for
any reader (`mark`).

The sorting keys hold each row's identity, so that a row which was somehow inserted twice becomes one row:
points by (series, step, instance, time), lines by (run, time, instance, seq), spans by (run, trace id, span
id, state). Ids are hexadecimal text, empty for none.

The first schema had spans without their state in the key, and no row waited for the disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rundial.errors import ConfigError
from rundial.server.store.clickhouse.connection import ClickHouse

_VERSION: Final = 2

POINTS: Final = {
    "series": "Int64",
    "step": "Int64",
    "instance": "Int64",
    "time_unix_ns": "Int64",
    "attempt": "Int64",
    "value": "Float64",
    "n": "Int64",
}
LINES: Final = {
    "run": "Int64",
    "instance": "Int64",
    "seq": "Int64",
    "time_unix_ns": "Int64",
    "severity": "Int64",
    "body": "String",
    "attributes": "String",
    "step": "Nullable(Int64)",
    "trace_id": "String",
    "span_id": "String",
    "is_truncated": "Bool",
    "n": "Int64",
}
SPANS: Final = {
    "run": "Int64",
    "trace_id": "String",
    "span_id": "String",
    "parent_span_id": "String",
    "name": "String",
    "kind": "String",
    "start_unix_ns": "Int64",
    "end_unix_ns": "Nullable(Int64)",
    "status": "String",
    "status_message": "String",
    "state": "UInt8",
    "attributes": "String",
    "events": "String",
    "links": "String",
    "instance": "Int64",
    # The number of the span's first row, which stands for the span however often its state changes.
    "id": "Int64",
    "n": "Int64",
}
# Delta, then ZSTD: what grows by little takes little.
_CODECS: Final = {"step": "Delta, ZSTD(1)", "time_unix_ns": "Delta, ZSTD(1)", "n": "Delta, ZSTD(1)"}
_BY_NUMBER: Final = "INDEX by_number n TYPE minmax GRANULARITY 1"
_BY_TIME: Final = "INDEX by_time time_unix_ns TYPE minmax GRANULARITY 1"
_BY_SEQ: Final = "INDEX by_seq seq TYPE bloom_filter GRANULARITY 4"


# A success makes the client delete the only other copy: a row is on disk before it is answered, and a merged
# part before those that it was made of are deleted. ClickHouse leaves all of it to the operating system.
_DURABLE: Final = (
    "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, "
    "min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1"
)


@dataclass(frozen=True, slots=True)
class _Table:
    """One table of the stream.

    Attributes:
        name: Its name.
        types: Its columns.
        indexes: What else narrows a search.
        key: The sorting key, which holds the identity of a row.
    """

    name: str
    types: dict[str, str]
    indexes: tuple[str, ...]
    key: tuple[str, ...]

    def definition(self, name: str) -> str:
        """The statement that makes it under a name."""
        columns = [
            f"{column} {kind} CODEC({_CODECS[column]})"
            if column in _CODECS and not kind.startswith("Nullable")
            else f"{column} {kind}"
            for column, kind in self.types.items()
        ]
        inside = ", ".join([*columns, *self.indexes])
        # Of equal rows the one stays that was numbered last: what was acknowledged is numbered after every
        # attempt that was given up, whenever that arrives.
        engine = f"ReplacingMergeTree(n) ORDER BY ({', '.join(self.key)}) {_DURABLE}"
        return f"CREATE TABLE IF NOT EXISTS {name} ({inside}) ENGINE = {engine}"


_TABLES: Final = (
    _Table("points", POINTS, (_BY_NUMBER, _BY_TIME), ("series", "step", "instance", "time_unix_ns")),
    _Table("lines", LINES, (_BY_NUMBER, _BY_SEQ), ("run", "time_unix_ns", "instance", "seq")),
    # The state is of the key: a more final one that was never acknowledged takes no other one's place.
    _Table("spans", SPANS, (_BY_NUMBER,), ("run", "trace_id", "span_id", "state")),
)
_SMALL: Final = (
    f"CREATE TABLE IF NOT EXISTS owner (server_id String) ENGINE = MergeTree ORDER BY server_id {_DURABLE}",
    "CREATE TABLE IF NOT EXISTS schema_version (version Int64) "
    f"ENGINE = MergeTree ORDER BY version {_DURABLE}",
)
_NAMES: Final = "SELECT name FROM system.tables WHERE database = currentDatabase()"


def make_tables(database: ClickHouse) -> None:
    """Make what is missing, and bring what an earlier version made to this schema.

    Raises:
        ConfigError: A newer server made it; nothing was changed.
        StoreProblem: 503, ClickHouse failed; the same call goes on where it was.
    """
    names = {name for (name,) in database.rows(_NAMES)}
    version = 0
    if "schema_version" in names:
        ((version,),) = database.rows("SELECT max(version) FROM schema_version")
    if version > _VERSION:
        raise ConfigError(
            f"{database.where} was made by a newer server: its schema is {version}, and this one knows "
            f"{_VERSION}; nothing was changed; update this one"
        )
    for statement in _SMALL:
        database.command(statement)
    for table in _TABLES:
        if version < _VERSION and table.name in names:
            _rebuild(database, table)
        else:
            database.command(table.definition(table.name))
    if version < _VERSION:
        database.insert("schema_version", {"version": "Int64"}, [[_VERSION]])


def _rebuild(database: ClickHouse, table: _Table) -> None:
    """Put a table of this schema in the place of one of the first, with its rows.

    A kill between any two statements leaves a whole table under the name, and the next start begins again.
    """
    name, new = table.name, f"{table.name}_new"
    database.command(f"DROP TABLE IF EXISTS {new}")
    database.command(table.definition(new))
    if table.name == "spans":
        columns = ", ".join(table.types)
        database.command(f"INSERT INTO {new} ({columns}) SELECT {columns} FROM {name}")
    else:
        # The keys are as they were, so the files stay what they are.
        database.command(f"ALTER TABLE {new} ATTACH PARTITION ALL FROM {name}")
    database.command(f"EXCHANGE TABLES {name} AND {new}")
    database.command(f"DROP TABLE {new}")
