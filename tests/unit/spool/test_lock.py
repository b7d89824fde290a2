"""Who owns a spool directory, across processes, forks and races."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from rundial.errors import SpoolError, SpoolLockedError
from rundial.spool.lock import DirectoryLock
from tests.unit.spool.builders import in_child


def test_lock_is_held_once(tmp_path: Path) -> None:
    """Two owners never write the same directory, not even within one process."""
    first = DirectoryLock.take(str(tmp_path), create=True)

    with pytest.raises(SpoolLockedError, match="live process"):
        DirectoryLock.take(str(tmp_path), create=False)
    first.close()
    first.close()
    DirectoryLock.take(str(tmp_path), create=False).close()


def test_lock_of_a_directory_without_one_is_refused(tmp_path: Path) -> None:
    """A directory that is gone, or was never a spool, cannot be owned."""
    with pytest.raises(SpoolError, match="gone"):
        DirectoryLock.take(str(tmp_path / "nothing"), create=False)


def test_lock_opened_before_the_directory_was_replaced_is_refused(tmp_path: Path) -> None:
    """An adopter that comes while another one removes the directory does not own its successor."""
    place = tmp_path / "spool"
    place.mkdir()
    DirectoryLock.take(str(place), create=True).close()
    opened = DirectoryLock(str(place), os.open(place / "lock", os.O_RDWR))
    shutil.rmtree(place)
    place.mkdir()
    successor = DirectoryLock.take(str(place), create=True)

    with pytest.raises(SpoolError, match="delivered or moved"):
        opened.hold()
    assert successor.is_held_at(str(place))
    successor.close()


def test_lock_of_another_directory_under_the_same_name_does_not_count(tmp_path: Path) -> None:
    """After a directory was replaced, its old owner does not own the new one."""
    place = tmp_path / "spool"
    place.mkdir()
    old = DirectoryLock.take(str(place), create=True)
    shutil.rmtree(place)
    assert not old.is_held_at(str(place))
    place.mkdir()
    new = DirectoryLock.take(str(place), create=True)

    assert not old.is_held_at(str(place))
    assert new.is_held_at(str(place))
    old.close()
    new.close()


# The test's own time limit runs on a thread, which Python 3.12 and later warn of at a fork.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_lock_survives_a_forked_child_that_lets_go(tmp_path: Path) -> None:
    """A DataLoader worker that ends, or lets go, does not take the parent's spool with it."""
    lock = DirectoryLock.take(str(tmp_path), create=True)

    def let_go() -> bool:
        lock.close()
        return not lock.is_held_at(str(tmp_path))

    assert in_child(let_go)
    with pytest.raises(SpoolLockedError):
        DirectoryLock.take(str(tmp_path), create=False)
    lock.close()


# The test's own time limit runs on a thread, which Python 3.12 and later warn of at a fork.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_lock_is_free_once_its_owner_died_though_its_child_lives(tmp_path: Path) -> None:
    """A child that let go does not keep a dead parent's spool from being adopted."""
    has_let_go, may_end = os.pipe(), os.pipe()

    def own_and_die() -> bool:
        lock = DirectoryLock.take(str(tmp_path), create=True)
        if os.fork() == 0:
            lock.close()
            os.close(may_end[1])
            os.write(has_let_go[1], b"!")
            os.read(may_end[0], 1)
            os._exit(0)
        return os.read(has_let_go[0], 1) == b"!"

    assert in_child(own_and_die)
    DirectoryLock.take(str(tmp_path), create=False).close()
    for descriptor in (*has_let_go, *may_end):
        os.close(descriptor)


def test_lock_is_not_inherited_by_a_started_program(tmp_path: Path) -> None:
    """A program that training starts and leaves behind does not hold the spool."""
    lock = DirectoryLock.take(str(tmp_path), create=True)

    assert not os.get_inheritable(lock._descriptor)
    lock.close()


def test_lock_raced_for_by_many_is_won_once(tmp_path: Path) -> None:
    """Of several processes that adopt at once, one does."""
    DirectoryLock.take(str(tmp_path), create=True).close()
    start = threading.Barrier(8)
    won: list[DirectoryLock] = []
    refused: list[Exception] = []

    def race() -> None:
        start.wait(10)
        try:
            won.append(DirectoryLock.take(str(tmp_path), create=False))
        except SpoolLockedError as error:
            refused.append(error)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert (len(won), len(refused)) == (1, 7)
    won[0].close()
