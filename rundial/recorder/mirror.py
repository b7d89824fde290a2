"""A further spool that gets a run's frames: one for each endpoint beside the first.

Threads: the encoder's; counters are read by others under the encoder's pass lock.
After a crash: a mirror is recovered from the ring by itself, as far as its own frames had not come.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from rundial.errors import SpoolError
from rundial.logger import logger
from rundial.spool.frame import LANES, Frame
from rundial.spool.spool import Spool


class Mirror:
    """One such spool.

    Args:
        spool: Where frames go.
        on_publish: Called when there is something new to send; must not wait.
        lanes: Those that are wanted.

    Attributes:
        carried: By lane, what spools before this one had delivered, refused and lost: somebody removed them.
    """

    def __init__(
        self, spool: Spool, on_publish: Callable[[], None], *, lanes: Collection[str] = LANES
    ) -> None:
        self.spool = spool
        self.carried = dict.fromkeys(LANES, (0, 0, 0))
        self._on_publish = on_publish
        self._lanes = frozenset(lanes)
        self._has_written = False
        self._has_failed = False

    def wants(self, lane: str) -> bool:
        """Whether a lane's frames go here."""
        return lane in self._lanes

    def append(self, lane: str, frame: Frame) -> None:
        """Take a frame; one that finds no room is counted and holds up nobody."""
        if lane not in self._lanes:
            return
        try:
            self.spool.lanes[lane].append(frame)
            self._has_written = True
        except (OSError, SpoolError) as error:
            if not self._has_failed:
                self._has_failed = True
                logger.warning(
                    "the spool %s cannot be written (%s); what does not get in is counted as lost there",
                    self.spool.directory,
                    error,
                )

    def move_to(self, spool: Spool) -> None:
        """Go on in another spool, because the directory of this one is gone; what waited in it is lost."""
        for lane, before in self.carried.items():
            counts = self.spool.lanes[lane].counts()
            lost = counts.waiting + sum(counts.evicted.values())
            self.carried[lane] = (
                before[0] + counts.delivered,
                before[1] + counts.rejected,
                before[2] + lost,
            )
        self.spool = spool

    def publish(self) -> None:
        """Show the sender what was written."""
        if self._has_written:
            self._has_written = False
            self.spool.publish()
            self._on_publish()
