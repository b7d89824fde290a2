"""A lane's books close after any order of appends, answers, evictions, restarts and kills."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rundial.spool.ack import Cursor
from rundial.spool.frame import Frame, pack
from rundial.spool.lane import Lane
from rundial.spool.segment import HEADER_BYTES, LaneState
from tests.unit.spool.builders import balance, frame, number_of, open_lane

BODIES = st.sampled_from([8, 40, 300, 1200])


class LaneMachine(RuleBasedStateMachine):
    """A lane beside a model that knows each frame's fate."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.lane: Lane = open_lane(self.place)
        self.appended: list[Frame] = []
        self.published = 0
        self.next = 0
        self.held: tuple[Cursor, int] | None = None
        self.delivered = 0
        self.rejected = 0
        self.evicted = 0
        self.numbers = 0

    def teardown(self) -> None:
        """Leave no directory behind."""
        self.lane.close()
        shutil.rmtree(self.place)

    def fresh_frame(self, units: int, body_bytes: int) -> Frame:
        """Return a frame that was never used."""
        self.numbers += 1
        return frame(self.numbers, units=units, body_bytes=body_bytes)

    @initialize()
    def begin_with_a_frame(self) -> None:
        """Start from a lane that has been used."""
        self.append(3, 40)

    @rule(units=st.integers(0, 5), body_bytes=BODIES)
    def append(self, units: int, body_bytes: int) -> None:
        """The encoder writes."""
        fresh = self.fresh_frame(units, body_bytes)
        self.lane.append(fresh)
        self.appended.append(fresh)

    @rule()
    def publish(self) -> None:
        """The encoder shows what it wrote."""
        self.lane.publish()
        self.published = len(self.appended)

    @rule()
    def peek(self) -> None:
        """The sender looks."""
        found = self.lane.peek()
        if self.next >= self.published:
            assert found is None or self.held is not None
        if found is not None:
            index = self.numbers_of_appended().index(number_of(found[1]))
            assert index == self.next
            self.held = (found[0], index)

    def numbers_of_appended(self) -> list[int]:
        """Return the numbers of all frames, in order."""
        return [number_of(each) for each in self.appended]

    @precondition(lambda self: self.held is not None)
    @rule(share=st.integers(0, 5))
    def answer(self, share: int) -> None:
        """The sender settles the frame that it holds, also when it was evicted meanwhile."""
        assert self.held is not None
        cursor, index = self.held
        units = self.appended[index].units
        rejected = min(share, units)
        self.lane.ack(cursor, delivered=units - rejected, rejected=rejected)
        self.delivered += units - rejected
        self.rejected += rejected
        if index < self.next:
            self.evicted -= units
        else:
            self.next += 1
        self.held = None

    @rule()
    def evict(self) -> None:
        """The spool is full."""
        lost = self.lane.evict("spool_full")
        waiting = self.lane.waiting_frames
        gone = self.appended[self.next : len(self.appended) - waiting]
        assert lost == sum(each.units for each in gone)
        self.evicted += lost
        self.next += len(gone)

    @rule()
    def reclaim(self) -> None:
        """The spool wants room that costs nothing."""
        before = self.lane.counts()
        if self.lane.reclaim():
            assert self.lane.bytes_on_disk == HEADER_BYTES
        assert self.lane.counts() == before

    @rule(is_killed=st.booleans())
    def reopen(self, is_killed: bool) -> None:
        """The process ends, in order or not, and another one adopts the lane."""
        if is_killed:
            self.kill()
        else:
            self.lane.close()
        self.lane = open_lane(self.place)
        # Whole frames count as appended, so an adopter sends them all.
        self.published = len(self.appended)
        self.held = None

    @rule(units=st.integers(0, 5), body_bytes=BODIES, data=st.data())
    def kill_in_the_middle_of_an_append(self, units: int, body_bytes: int, data: st.DataObject) -> None:
        """The process dies with any number of the last frame's bytes written."""
        before = self.lane.last
        self.lane.append(self.fresh_frame(units, body_bytes))
        newest = max(self.place.glob("metrics/*.seg"))
        size = newest.stat().st_size
        left = data.draw(st.integers(0, size - 1))
        if newest.stat().st_size - self.last_frame_bytes(body_bytes) == HEADER_BYTES:
            # The segment was begun for this frame. Its header is whole before anything else goes.
            left = max(left, HEADER_BYTES)
        left = max(left, size - self.last_frame_bytes(body_bytes))
        self.kill()
        os.truncate(newest, left)
        self.lane = open_lane(self.place)
        self.published = len(self.appended)
        self.held = None
        assert self.lane.last == before

    @staticmethod
    def last_frame_bytes(body_bytes: int) -> int:
        """Return what a frame with such a body takes."""
        return len(pack(frame(1, body_bytes=body_bytes)))

    def kill(self) -> None:
        """Drop the lane as a kill does: descriptors closed, nothing written."""
        self.lane.abandon_in_child()

    @rule()
    def lose_the_ack(self) -> None:
        """A power cut takes the ack file; what was answered before the first segment stays answered."""
        self.kill()
        ack = self.place / "metrics" / "ack"
        had_ack = ack.exists()
        ack.write_bytes(b"")
        self.lane = open_lane(self.place)
        if had_ack:
            assert self.lane.ack_was_lost
        counts = self.lane.counts()
        self.next = len(self.appended) - counts.waiting_frames
        before = sum(each.units for each in self.appended[: self.next])
        assert counts.delivered == before
        self.delivered, self.rejected, self.evicted = before, 0, 0
        self.published = len(self.appended)
        self.held = None

    @invariant()
    def books_close(self) -> None:
        """Every unit is delivered, rejected, evicted or waiting, as the model says."""
        counts = self.lane.counts()
        assert balance(self.lane) == 0
        assert counts.appended == sum(each.units for each in self.appended)
        assert (counts.delivered, counts.rejected) == (self.delivered, self.rejected)
        assert sum(counts.evicted.values()) == self.evicted
        assert counts.waiting == sum(each.units for each in self.appended[self.next :])
        assert counts.waiting_frames == len(self.appended) - self.next

    @invariant()
    def state_is_the_last_frames(self) -> None:
        """The lane knows how far it got, whatever was deleted since."""
        state = LaneState()
        for each in self.appended:
            state = state.after(each)
        assert self.lane.last == state

    @invariant()
    def sizes_are_the_files(self) -> None:
        """What the bound counts is what the disk holds, up to a torn tail."""
        files = sum(path.stat().st_size for path in self.place.glob("metrics/*.seg"))
        assert self.lane.bytes_on_disk <= files


TestLane = LaneMachine.TestCase
TestLane.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
