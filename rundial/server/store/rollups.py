"""Rollups: the buckets of long series, kept so that a curve of millions of points is read in thousands.

A series' finest level has some tens of points a bucket; each further level is four times as wide. They
are made when a long series is asked for (`rundial.server.rolling`), so a series that nobody looks at costs
nothing, and one that is short never has any.

They are right at any moment because of two marks in `rollup_heads`, which are lowered in the transaction
that adds a point:
- `rolled_to`: up to this step the buckets hold what the series shows. Beyond it, points are read.
- `claimed_to`: up to this step someone is making buckets. When a point arrives at or below it, what is
  being made is out of date and is not kept.
So a late point, or an attempt that goes over earlier steps again, costs what lies above it, once.

Deleting a series deletes both (ON DELETE CASCADE).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    ForeignKey,
    Integer,
    Row,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from rundial.server.buckets import MAX_SHIFT, Bucket, bucketed, fitting_shift, merged
from rundial.server.curves import Curve
from rundial.server.store.chosen import stepped
from rundial.server.store.dialect import least
from rundial.server.store.parts import ALWAYS
from rundial.server.store.statements import Bare, Prepared
from rundial.server.store.tables import metadata, points, series

POINTS_A_BUCKET: Final = 32
LEVELS: Final = 6
LEVEL_SHIFT: Final = 2
# Of one claim: what it holds in memory, and what the writer stores at once, are bounded.
POINTS_A_CLAIM: Final = 250_000

_SERIES_ID: Final = series.c.id.type

rollup_heads: Final = Table(
    "rollup_heads",
    metadata,
    Column(
        "series",
        _SERIES_ID,
        ForeignKey("series.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("shift", Integer, nullable=False),
    Column("rolled_to", BigInteger, nullable=False),
    Column("claimed_to", BigInteger, nullable=False),
    Column("claim", BigInteger, nullable=False),
)

rollups: Final = Table(
    "rollups",
    metadata,
    Column(
        "series",
        _SERIES_ID,
        ForeignKey("series.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("shift", Integer, primary_key=True, autoincrement=False),
    Column("bucket", BigInteger, primary_key=True, autoincrement=False),
    Column("points", BigInteger, nullable=False),
    Column("mean", Float, nullable=False),
    Column("low", Float, nullable=False),
    Column("low_x", BigInteger, nullable=False),
    Column("low_time", BigInteger, nullable=False),
    Column("high", Float, nullable=False),
    Column("high_x", BigInteger, nullable=False),
    Column("high_time", BigInteger, nullable=False),
    Column("first_x", BigInteger, nullable=False),
    Column("last_x", BigInteger, nullable=False),
    Column("min_time", BigInteger, nullable=False),
    Column("max_time", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

_FIELDS: Final = [rollups.c[name] for name in Bucket._fields]


def _lowered() -> Prepared:
    below: Any = bindparam("b_below", type_=BigInteger)
    head = rollup_heads.c
    return Prepared(
        update(rollup_heads)
        .where(head.series == bindparam("b_series"), head.claimed_to > below)
        .values(claimed_to=below, rolled_to=least(head.rolled_to, below))
    )


_LOWER: Final = _lowered()


def lower(bare: Bare, news: Iterable[tuple[int, int]]) -> None:
    """Note new points: (series, least new step). In the transaction that adds them."""
    lowered = _LOWER.on(bare.dialect)
    bare.run_each(lowered.sql, [lowered.row({"b_series": one, "b_below": step - 1}) for one, step in news])


@dataclass(frozen=True, slots=True)
class Head:
    """How far a series is rolled up."""

    shift: int
    rolled_to: int

    def shift_of(self, level: int) -> int:
        """The width of a level's buckets, as a power of two."""
        return self.shift + LEVEL_SHIFT * level

    def end(self, level: int, step: int | None = None) -> int:
        """The first bucket of a level that is not wholly rolled up, or not up to another step."""
        return ((self.rolled_to if step is None else step) + 1) >> self.shift_of(level)

    @property
    def levels(self) -> int:
        """How many levels there are; shifts end at 63."""
        return min(LEVELS, (MAX_SHIFT - self.shift) // LEVEL_SHIFT + 1)


def head_of(connection: Connection, series_id: int) -> Head | None:
    """How far a series is rolled up; None when it never was."""
    head = rollup_heads.c
    found = connection.execute(
        select(head.shift, head.rolled_to).where(head.series == series_id)
    ).one_or_none()
    return None if found is None else Head(found.shift, found.rolled_to)


def count_of(
    connection: Connection,
    series_id: int,
    head: Head,
    level: int,
    steps: tuple[int, int],
    times: tuple[int, int],
) -> int:
    """How many buckets of a level lie in ranges of steps and times, both inclusive."""
    query = select(func.count()).select_from(rollups).where(*_of(series_id, head, level, *steps))
    if times != ALWAYS:
        query = query.where(rollups.c.max_time >= times[0], rollups.c.min_time <= times[1])
    return int(connection.execute(query).scalar_one())


def _of(series_id: int, head: Head, level: int, low: int, high: int) -> list[Any]:
    shift = head.shift_of(level)
    first, end = -(-low >> shift), min(head.end(level), (high + 1) >> shift)
    return [
        rollups.c.series == series_id,
        rollups.c.shift == shift,
        rollups.c.bucket.between(first, end - 1),
    ]


def buckets_of(connection: Connection, series_id: int, shift: int, first: int, end: int) -> list[Bucket]:
    """Kept buckets of a width from one number to another, exclusive."""
    query = (
        select(*_FIELDS)
        .where(rollups.c.series == series_id, rollups.c.shift == shift)
        .where(rollups.c.bucket.between(first, end - 1))
        .order_by(rollups.c.bucket)
    )
    return [Bucket._make(row) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class Claim:
    """Steps that someone is making buckets of; nobody else's buckets of them are kept."""

    series: int
    number: int
    head: Head
    claimed_to: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What the next claim should be of: a shift, up to which step, and whether there is more beyond."""

    shift: int
    claimed_to: int
    has_more: bool


def claimable(connection: Connection, series_id: int, *, most: int = POINTS_A_CLAIM) -> Wish | None:
    """Return what the next claim should be of, about so many points; None when no bucket is full."""
    head = head_of(connection, series_id)
    start = 0 if head is None else head.end(0) << head.shift
    steps = points.c.step
    beyond = select(steps).where(points.c.series == series_id, steps >= start).order_by(steps)
    last = connection.execute(beyond.limit(1).offset(most)).scalar()
    has_more = last is not None
    if last is None:
        last = connection.execute(
            select(func.max(steps)).where(points.c.series == series_id, steps >= start)
        ).scalar()
    if last is None:
        return None
    shift = _shift_for(connection, series_id) if head is None else head.shift
    # The last bucket is still being filled.
    claimed_to = (last >> shift << shift) - 1
    return Wish(shift, claimed_to, has_more) if claimed_to >= start else None


def _shift_for(connection: Connection, series_id: int) -> int:
    query = select(points.c.step).where(points.c.series == series_id, points.c.step >= 0)
    found = connection.execute(query.order_by(points.c.step).limit(POINTS_A_CLAIM)).scalars().all()
    return fitting_shift(found, max(1, len(found) // POINTS_A_BUCKET))


def claim(connection: Connection, series_id: int, wish: Wish) -> Claim | None:
    """Claim steps, and delete their buckets that are out of date. On the writer's thread."""
    # Whoever adds points holds the series' row until they commit, and lowers the head after it has it: once
    # this lock is ours, their points are in every later transaction, or their lowering meets this claim.
    locked = select(series.c.id).where(series.c.id == series_id).with_for_update()
    if connection.execute(locked).scalar() is None:
        return None  # deleted meanwhile
    shift, claimed_to = wish.shift, wish.claimed_to
    head = rollup_heads.c
    known: Row[Any] | None = connection.execute(
        select(rollup_heads).where(head.series == series_id)
    ).one_or_none()
    if known is None:
        fresh = {"series": series_id, "shift": shift, "rolled_to": -1, "claimed_to": claimed_to, "claim": 1}
        connection.execute(insert(rollup_heads).values(fresh))
        return Claim(series_id, 1, Head(shift, -1), claimed_to)
    if known.shift != shift or claimed_to <= known.rolled_to:
        return None
    taken = Claim(series_id, known.claim + 1, Head(shift, known.rolled_to), claimed_to)
    for level in range(taken.head.levels):
        connection.execute(
            delete(rollups).where(
                rollups.c.series == series_id,
                rollups.c.shift == taken.head.shift_of(level),
                rollups.c.bucket >= taken.head.end(level),
            )
        )
    connection.execute(
        update(rollup_heads).where(head.series == series_id).values(claim=taken.number, claimed_to=claimed_to)
    )
    return taken


def made(connection: Connection, taken: Claim) -> list[dict[str, object]]:
    """Return the rows of a claim's buckets, of all levels. In a transaction that began after the claim."""
    head, target = taken.head, taken.claimed_to
    part: Curve = stepped(connection, taken.series, head.end(0) << head.shift, target)
    fresh = bucketed(part.steps, part.times, part.values, head.shift)
    rows = _rows(taken.series, head.shift, fresh)
    for level in range(1, head.levels):
        shift = head.shift_of(level)
        finer = head.shift_of(level - 1)
        # What of the finer level is kept already and was too little for a bucket of this one.
        first = head.end(level) << LEVEL_SHIFT
        kept = buckets_of(connection, taken.series, finer, first, head.end(level - 1))
        fresh = [
            each for each in merged([*kept, *fresh], shift) if each.first_x >> shift < head.end(level, target)
        ]
        rows += _rows(taken.series, shift, fresh)
    return rows


def _rows(series_id: int, shift: int, buckets: Sequence[Bucket]) -> list[dict[str, object]]:
    return [
        {"series": series_id, "shift": shift, "bucket": each.first_x >> shift, **each._asdict()}
        for each in buckets
    ]


def keep(connection: Connection, taken: Claim, rows: Sequence[dict[str, Any]]) -> bool:
    """Store what a claim made, below any point that arrived meanwhile. On the writer's thread.

    Returns:
        Whether all of it was stored.
    """
    head = rollup_heads.c
    mine = (head.series == taken.series, head.claim == taken.number)
    right_to = connection.execute(select(head.claimed_to).where(*mine).with_for_update()).scalar()
    if right_to is None or right_to <= taken.head.rolled_to:
        return False
    right = [row for row in rows if ((row["bucket"] + 1) << row["shift"]) - 1 <= right_to]
    if right:
        connection.execute(insert(rollups), right)
    connection.execute(update(rollup_heads).where(*mine).values(rolled_to=right_to))
    return bool(right_to == taken.claimed_to)
