"""The mean of a series, kept with the rest of its summary."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, update

from rundial.server.store.dialect import greatest, least
from rundial.server.store.inserts import MOST_OF_A_MEAN
from rundial.server.store.migrations.changes import add_column
from rundial.server.store.tables import points, series


def upgrade(connection: Connection) -> None:
    """Add the column and fill it from the points: one look at each."""
    add_column(connection, series.c.mean_value)
    value = greatest(least(points.c.value, MOST_OF_A_MEAN), -MOST_OF_A_MEAN)
    mean = select(func.avg(value)).where(points.c.series == series.c.id).scalar_subquery()
    connection.execute(update(series).values(mean_value=mean))
