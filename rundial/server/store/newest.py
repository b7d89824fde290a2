"""The newest points of series in SQL, by a look at the ends of the series.

No index holds the order in which points were accepted: it would double what a point costs. A program logs
ascending steps, so what is new is nearly always at the end of its series, and a bounded look finds it there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from rundial.server.store.dialect import POSTGRESQL
from rundial.server.store.events import Growth
from rundial.server.store.statements import Bare

# How many points from the end a look goes; it ends before, where it has found as many as are new.
_DEPTH: Final = 20_000
# The same where nobody knows how many are new.
_SHORT_DEPTH: Final = 4_096

_SHOWN: Final = "series, step, time_unix_ns, value, instance"
# The names of the placeholders: series, depth, after, wanted.
_ENDS: Final = f"""
SELECT {_SHOWN} FROM (
  SELECT {_SHOWN}, accepted FROM points WHERE series = ?
  ORDER BY step DESC, instance DESC, time_unix_ns DESC LIMIT ?
) WHERE accepted > ? LIMIT ?
"""
# All series at once: there, each statement is a way to the server and back.
_ALL_ENDS: Final = f"""
SELECT ends.* FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS grown (id, depth, wanted)
CROSS JOIN LATERAL (
  SELECT {_SHOWN} FROM (
    SELECT {_SHOWN}, accepted FROM points WHERE series = grown.id
    ORDER BY step DESC, instance DESC, time_unix_ns DESC LIMIT grown.depth
  ) AS deep WHERE accepted > %s LIMIT grown.wanted
) AS ends LIMIT %s
"""

Row = tuple[Any, ...]


def newest_points(bare: Bare, grown: Sequence[Growth], after: int, most: int) -> list[Row]:
    """Points of some series that are numbered behind `after`, each series' from its end on backwards.

    Args:
        bare: Where they are.
        grown: The series.
        after: The number.
        most: Of all of them.

    Returns:
        Rows of (series, step, time, value, row id of the instance).
    """
    looks = [(each.series, *_bounds(each, most)) for each in grown]
    if bare.dialect == POSTGRESQL:
        given = [list(column) for column in zip(*looks, strict=True)] or [[], [], []]
        found: list[Row] = bare.run(_ALL_ENDS, (*given, after, most)).fetchall()
        return found
    return list(_each_end(bare, looks, after, most))


def _bounds(each: Growth, most: int) -> tuple[int, int]:
    """How deep to look, and how many to find."""
    if each.new is None:
        return _SHORT_DEPTH, _SHORT_DEPTH
    return _DEPTH, min(each.new, most)


def _each_end(bare: Bare, looks: Sequence[tuple[int, int, int]], after: int, most: int) -> Iterator[Row]:
    room = most
    for series, depth, wanted in looks:
        rows = bare.run(_ENDS, (series, depth, after, min(wanted, room))).fetchall()
        yield from rows
        room -= len(rows)
        if room <= 0:
            return
