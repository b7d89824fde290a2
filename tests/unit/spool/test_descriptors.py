"""Descriptors of a program that was started without a standard input: its first file gets number 0."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rundial.errors import SpoolLockedError
from rundial.spool import segment
from rundial.spool.lock import DirectoryLock
from rundial.spool.segment import Header, LaneState, Segment
from tests.unit.spool.builders import in_child

# The test's own time limit runs on a thread, which Python 3.12 and later warn of at a fork.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def without_stdin(action: Callable[[], bool]) -> bool:
    """Return what an action returns in a child whose next descriptor is 0; it keeps its outputs open."""

    def run() -> bool:
        os.close(0)
        outputs = [os.fstat(descriptor) for descriptor in (1, 2)]
        return action() and outputs == [os.fstat(descriptor) for descriptor in (1, 2)]

    return in_child(run)


def test_lock_with_descriptor_zero_is_held_and_let_go(tmp_path: Path) -> None:
    """A daemon owns its spool as any other program does, and frees it, and closes nobody else's file."""

    def own() -> bool:
        lock = DirectoryLock.take(str(tmp_path), create=True)
        is_held = lock._descriptor == 0 and lock.is_held_at(str(tmp_path))
        try:
            DirectoryLock.take(str(tmp_path), create=False)
        except SpoolLockedError:
            lock.close()
            lock.close()
            DirectoryLock.take(str(tmp_path), create=False).close()
            return is_held and not lock.is_held_at(str(tmp_path))
        return False

    assert without_stdin(own)


def test_segment_with_descriptor_zero_is_closed(tmp_path: Path) -> None:
    """A daemon's sealed segments hold no descriptor, and closing one twice closes nobody else's file."""

    def write() -> bool:
        writer = Segment.create(str(tmp_path), Header("logs", 1, 5, LaneState()), sync=False)
        has_zero = writer._descriptor == 0
        writer.close()
        writer.close()
        is_closed = os.open(tmp_path / segment.file_name(1), os.O_RDONLY) == 0
        return has_zero and is_closed

    assert without_stdin(write)
