"""Which rows of ClickHouse were acknowledged, as the catalog says it.

Rows are inserted before the catalog's commit, which writes down the greatest number of each table: the
*mark*. So what was acknowledged is always there; and what was inserted and never committed is invisible to
readers, who read the mark in the same state of the catalog as everything else.

An insert that was given up may still arrive, when the mark has moved past it. So no number is used twice,
by this process or by one before it, and numbers that were given up are a *gap* that readers leave out:
- `given` is written before any row is inserted: numbers up to it may have been used, those beyond it not.
- What lies between the mark and the greatest number in use when doubt begins becomes a gap, written down in
  the commit that moves the mark past it.
- After a day, which is hundreds of times longer than a request may take, a gap is deleted for the last time
  and forgotten.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, select

from rundial.server.store.dialect import set_fact
from rundial.server.store.statements import Prepared
from rundial.server.store.tables import facts

FACT: Final = "events_mark"
# How queries say which rows they mean; `Seen.only` makes it true.
SEEN: Final = "n <= {mark:Int64}"
# How many numbers a process may use without a commit: more than one outage refuses, and 2 million of them fit
# what a JSON number holds exactly.
BLOCK: Final = 2**32
_KEPT_S: Final = 86_400

_FACT: Final = Prepared(select(facts.c.value).where(facts.c.name == bindparam("b_name")))


class Mark(NamedTuple):
    """The greatest number of each table; 0 for none."""

    points: int = 0
    lines: int = 0
    spans: int = 0


_NOTHING: Final = Mark()


class Gap(NamedTuple):
    """Numbers of one table that were given up: behind `after`, up to `upto`, since a Unix time."""

    after: int
    upto: int
    since_s: int


Gaps = tuple[Gap, ...]
_NO_GAPS: Final[tuple[Gaps, Gaps, Gaps]] = ((), (), ())


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the catalog says of the rows' numbers.

    Attributes:
        mark: The greatest ones that are acknowledged.
        given: The greatest ones that may have been used.
        gaps: Of each table those that never will be acknowledged, ascending.
    """

    mark: Mark = _NOTHING
    given: Mark = _NOTHING
    gaps: tuple[Gaps, ...] = _NO_GAPS

    def given_up(self, greatest: Mark, now_s: int) -> Numbers:
        """What holds once nothing beyond the mark is going to be acknowledged.

        Args:
            greatest: The greatest numbers that may have been used.
            now_s: Unix time; what was given up a day before is left out.
        """
        gaps = tuple(map(_with_gap, self.gaps, self.mark, greatest, (now_s,) * len(Mark._fields)))
        return replace(self, gaps=gaps)

    def moved(self, mark: Mark) -> Numbers:
        """What holds once all numbers up to a mark are acknowledged or in a gap."""
        return replace(self, mark=mark).reserved(mark)

    def reserved(self, greatest: Mark) -> Numbers:
        """What holds once numbers behind those are going to be used."""
        return replace(self, given=Mark._make(number + BLOCK for number in greatest))

    def has_room(self, greatest: Mark) -> bool:
        """Whether these numbers may be used."""
        return all(number <= bound for number, bound in zip(greatest, self.given, strict=True))


@dataclass(frozen=True, slots=True)
class Seen:
    """Which rows of one table readers see.

    Attributes:
        mark: The greatest acknowledged number.
        gaps: Numbers before it that are none.
    """

    mark: int
    gaps: Gaps

    def only(self, sql: str) -> str:
        """A query of acknowledged rows, of one that says so by `SEEN`."""
        left_out = "".join(f" AND n NOT BETWEEN {each.after + 1} AND {each.upto}" for each in self.gaps)
        return sql.replace(SEEN, f"n <= {self.mark}{left_out}")

    @property
    def refused(self) -> str:
        """The condition of every row that is not acknowledged."""
        gaps = "".join(f" OR n BETWEEN {each.after + 1} AND {each.upto}" for each in self.gaps)
        return f"(n > {self.mark}{gaps})"


def numbers_of(connection: Connection) -> Numbers:
    """The numbers as this transaction sees them."""
    return _read(_FACT.run(connection, b_name=FACT).scalar())


def mark_of(connection: Connection) -> Mark:
    """The mark as this transaction sees it."""
    return numbers_of(connection).mark


def seen_by(connection: Connection, table: str) -> Seen:
    """Which rows of a table this transaction sees."""
    return seen_of(numbers_of(connection), table)


def seen_of(numbers: Numbers, table: str) -> Seen:
    """Which rows of a table readers see."""
    place = Mark._fields.index(table)
    return Seen(numbers.mark[place], numbers.gaps[place])


def locked_numbers(connection: Connection) -> Numbers:
    """The numbers, once nobody else's transaction may still move them."""
    query = select(facts.c.value).where(facts.c.name == FACT).with_for_update()
    return _read(connection.execute(query).scalar())


def set_numbers(connection: Connection, numbers: Numbers) -> None:
    """Write them; what lies up to the mark, and in no gap, is acknowledged by this transaction's commit."""
    kept = {"mark": numbers.mark, "given": numbers.given, "gaps": numbers.gaps}
    set_fact(connection, facts, FACT, json.dumps(kept, separators=(",", ":")))


def _read(found: str | None) -> Numbers:
    if found is None:
        return Numbers()
    if not found.startswith("{"):
        # Of before there were gaps: the mark alone.
        mark = Mark._make(map(int, found.split()))
        return Numbers().moved(mark)
    kept = json.loads(found)
    gaps = tuple(tuple(map(Gap._make, some)) for some in kept["gaps"])
    return Numbers(Mark._make(kept["mark"]), Mark._make(kept["given"]), gaps)


def _with_gap(gaps: Gaps, mark: int, greatest: int, now_s: int) -> Gaps:
    kept = [each for each in gaps if each.since_s > now_s - _KEPT_S]
    if greatest <= mark:
        return tuple(kept)
    after = mark
    # Gaps that touch are one: the mark stood still, or moved for another table alone.
    if kept and kept[-1].upto >= mark:
        after = kept.pop().after
    return (*kept, Gap(after, greatest, now_s))
