"""The lanes of one spool, opened together, under their one bound and with the one spare block."""

from __future__ import annotations

from rundial.clock import Clock
from rundial.spool import durable
from rundial.spool.bounds import Bounds
from rundial.spool.frame import LANES
from rundial.spool.lane import Lane
from rundial.spool.limits import Limits
from rundial.spool.spare import Spare


def open_lanes(
    directory: str, limits: Limits, clock: Clock, *, is_new: bool
) -> tuple[dict[str, Lane], Bounds]:
    """Return the lanes by name, in the order of `LANES`, and the bound over all of them.

    Args:
        directory: The spool's.
        limits: What it may take.
        clock: Dates segments.
        is_new: Whether nobody has ever written to them: nothing is read, and no directory is made.

    Raises:
        OSError: One that is not new cannot be made or read.
    """
    bounds, spare = Bounds(directory, limits, clock), Spare(directory)
    spare.keep()
    lanes = {}
    for name in LANES:
        path = f"{directory}/{name}"
        if not is_new:
            # A crash may have left the spool with fewer, or an earlier version made fewer.
            durable.make_directory(path)
        lanes[name] = Lane(path, name, limits=limits, clock=clock, room=bounds, spare=spare, is_new=is_new)
    bounds.watch(tuple(lanes.values()))
    return lanes, bounds
