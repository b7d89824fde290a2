"""Points into PostgreSQL: one statement for all of a request's points, their columns as arrays."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, repeat
from typing import Final

from rundial.server.rows import SeriesBlock
from rundial.server.store.postgresql import Reals, Wholes
from rundial.server.store.statements import Bare

# Numbers of the rows that were new come back only when some were not.
_INSERT: Final = """
WITH given AS (
  SELECT series, step, time_unix_ns, value, %s::bigint + place - 1 AS accepted
  FROM unnest(%s, %s, %s, %s) WITH ORDINALITY AS given (series, step, time_unix_ns, value, place)
), fresh AS (
  INSERT INTO points (series, step, instance, time_unix_ns, value, accepted)
  SELECT series, step, %s::bigint, time_unix_ns, value, accepted FROM given
  ON CONFLICT DO NOTHING RETURNING accepted
)
SELECT count(*), CASE WHEN count(*) < %s THEN array_agg(accepted) END FROM fresh
"""


def insert_arrays(
    bare: Bare, ids: list[int], blocks: list[SeriesBlock], instance: int, first_accepted: int
) -> tuple[int, list[SeriesBlock]]:
    """Insert points; what is there already stays as it is. Returns how many were new, and which."""
    all_steps = list(chain.from_iterable(block.steps for block in blocks))
    given = (
        first_accepted,
        Wholes(list(chain.from_iterable(repeat(i, len(b.steps)) for i, b in zip(ids, blocks, strict=True)))),
        Wholes(all_steps),
        Wholes(list(chain.from_iterable(block.times for block in blocks))),
        Reals(list(chain.from_iterable(block.values for block in blocks))),
        instance,
        len(all_steps),
    )
    new, accepted = bare.run(_INSERT, given).fetchone()
    if accepted is None:
        return new, blocks
    fresh, first, kept = set(accepted), first_accepted, []
    for block in blocks:
        places = [place for place in range(len(block.steps)) if first + place in fresh]
        first += len(block.steps)
        steps, times = [block.steps[place] for place in places], [block.times[place] for place in places]
        values = [block.values[place] for place in places]
        kept.append(replace(block, steps=steps, times=times, values=values))
    return new, kept
