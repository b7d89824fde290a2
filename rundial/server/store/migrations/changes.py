"""What most steps are made of: new tables and new columns, from the definitions in `tables`."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Table, inspect
from sqlalchemy.schema import CreateColumn, CreateIndex


def create(connection: Connection, *tables: Table) -> None:
    """Create tables with their indexes."""
    for table in tables:
        table.create(connection, checkfirst=True)


def add_column(connection: Connection, *columns: Column[object]) -> None:
    """Add columns, and the indexes that the definitions have over them, where they are missing.

    A column that is not NULL needs a `server_default`, which the rows that are there get.
    """
    preparer = connection.dialect.identifier_preparer
    for column in columns:
        table = column.table
        if column.name in {each["name"] for each in inspect(connection).get_columns(table.name)}:
            continue
        definition = CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {preparer.format_table(table)} ADD COLUMN {definition}")
    for table in {column.table for column in columns}:
        present = {each["name"] for each in inspect(connection).get_indexes(table.name)}
        for index in table.indexes:
            if index.name not in present:
                connection.execute(CreateIndex(index))
