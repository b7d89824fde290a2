"""The tables in ClickHouse.

Each row has a number (`n`) that grows in the order in which rows of its table were accepted. The catalog
keeps, in the commit that acknowledges them, the greatest numbers; rows with greater ones do not exist for
any reader (`mark`).

The sorting keys hold each row's identity, so that a row which was somehow inserted twice becomes one row:
points by (series, step, instance, time), lines by (run, time, instance, seq), spans by (run, trace id, span
id). Ids are hexadecimal text, empty for none.
"""

from __future__ import annotations

from typing import Final

from rundial.server.store.clickhouse.connection import ClickHouse

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


def _definition(
    name: str, types: dict[str, str], indexes: tuple[str, ...], engine: str, key: tuple[str, ...]
) -> str:
    columns = [
        f"{column} {kind} CODEC({_CODECS[column]})"
        if column in _CODECS and not kind.startswith("Nullable")
        else f"{column} {kind}"
        for column, kind in types.items()
    ]
    inside = ", ".join([*columns, *indexes])
    return f"CREATE TABLE IF NOT EXISTS {name} ({inside}) ENGINE = {engine} ORDER BY ({', '.join(key)})"


_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS owner (server_id String) ENGINE = MergeTree ORDER BY server_id",
    _definition(
        "points",
        POINTS,
        (_BY_NUMBER, _BY_TIME),
        "ReplacingMergeTree",
        ("series", "step", "instance", "time_unix_ns"),
    ),
    _definition(
        "lines",
        LINES,
        (_BY_NUMBER, _BY_SEQ),
        "ReplacingMergeTree",
        ("run", "time_unix_ns", "instance", "seq"),
    ),
    # Of a span's rows the one with the most final state stays.
    _definition("spans", SPANS, (_BY_NUMBER,), "ReplacingMergeTree(state)", ("run", "trace_id", "span_id")),
)


def make_tables(database: ClickHouse) -> None:
    """Make what is missing."""
    for table in _TABLES:
        database.command(table)
