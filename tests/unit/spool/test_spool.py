"""The directory of one instance, from its making to its removal."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from rundial.errors import SpoolError, SpoolLockedError
from rundial.spool import meta as meta_file
from rundial.spool.frame import LANES
from rundial.spool.lock import DirectoryLock
from rundial.spool.spool import Spool, find, sweep
from tests.support.clock import ManualClock
from tests.unit.spool.builders import copy_of, drain, frame, in_child, meta


def killed(root: Path, *, frames: int = 3) -> Path:
    """Return the directory of a process that died with frames in each lane."""
    spool = Spool.create(root, meta())
    for lane in spool.lanes.values():
        for number in range(1, frames + 1):
            lane.append(frame(number))
    spool.abandon_in_child()
    return spool.path


def test_created_spool_is_private(spool_dir: Path) -> None:
    """Nobody else on the machine reads what a run records."""
    spool = Spool.create(spool_dir, meta())
    for lane in spool.lanes.values():
        lane.append(frame(1))
        lane.publish()
        drain(lane)
    spool.lanes["logs"].append(frame(2))
    spool.publish()
    found = spool.lanes["logs"].peek()
    assert found is not None
    spool.lanes["logs"].reject(found[0], b"refused", 1)
    everything = [spool_dir, *spool_dir.rglob("*")]

    assert {path.stat().st_mode & 0o777 for path in everything if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in everything if path.is_file()} == {0o600}
    assert spool.path == spool_dir / "run-1" / "instance-1"
    assert list(spool.lanes) == list(LANES)
    spool.close()


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a b", "x" * 129, "é", "a\n"])
def test_create_with_an_id_that_is_no_plain_name_raises(spool_dir: Path, name: str) -> None:
    """An id never leads out of the spool directory."""
    for named in (meta(name), meta(run=name)):
        with pytest.raises(SpoolError, match="cannot name"):
            Spool.create(spool_dir, named)
    assert not spool_dir.exists()


def test_create_of_an_instance_that_exists_raises_and_leaves_nothing(spool_dir: Path) -> None:
    """Two instances never share a directory, and a failed attempt is not littered."""
    spool = Spool.create(spool_dir, meta())

    with pytest.raises(OSError, match="not empty"):
        Spool.create(spool_dir, meta())
    assert list((spool_dir / "run-1").iterdir()) == [spool.path]
    spool.close()


def test_adopt_of_a_live_owners_spool_raises(spool_dir: Path) -> None:
    """No process touches a live process's directory."""
    spool = Spool.create(spool_dir, meta())

    with pytest.raises(SpoolLockedError):
        Spool.adopt(spool.path)
    spool.close()


def test_adopted_spool_delivers_what_was_never_published(spool_dir: Path) -> None:
    """A kill between append and publish loses nothing."""
    path = killed(spool_dir)
    spool = Spool.adopt(path)

    assert spool.meta.project == "digits"
    assert {name: tuple(drain(lane)) for name, lane in spool.lanes.items()} == dict.fromkeys(LANES, (1, 2, 3))
    assert spool.is_empty()
    spool.close()


def test_spool_is_empty_only_when_nothing_waits(spool_dir: Path) -> None:
    """A spool with an unpublished frame is not done."""
    spool = Spool.create(spool_dir, meta())
    assert spool.is_empty()
    spool.lanes["traces"].append(frame(1))
    assert not spool.is_empty()
    spool.publish()
    drain(spool.lanes["traces"])

    assert spool.is_empty()
    spool.close()


def test_adopting_twice_is_the_same_as_once(spool_dir: Path) -> None:
    """An adopter that dies in the middle leaves the next one what it had not done."""
    path = killed(spool_dir)
    first = Spool.adopt(path)
    found = first.lanes["logs"].peek()
    assert found is not None
    first.lanes["logs"].ack(found[0], delivered=1)
    first.abandon_in_child()
    second = Spool.adopt(path)

    assert drain(second.lanes["logs"]) == [2, 3]
    assert second.lanes["logs"].delivered == 3
    second.close()


def test_two_adopters_racing_one_wins(spool_dir: Path) -> None:
    """Two processes that sync at once deliver a spool once."""
    path = killed(spool_dir)
    start = threading.Barrier(6)
    delivered: list[list[int]] = []
    refused: list[Exception] = []

    def adopt() -> None:
        start.wait(10)
        try:
            spool = Spool.adopt(path)
        except SpoolError as error:
            refused.append(error)
            return
        delivered.append(drain(spool.lanes["metrics"]))
        spool.remove()

    threads = [threading.Thread(target=adopt) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)

    assert delivered == [[1, 2, 3]]
    assert len(refused) == 5
    assert find(spool_dir) == []


def test_removed_spool_is_gone_with_its_run(spool_dir: Path) -> None:
    """A delivered spool leaves nothing behind."""
    first = Spool.create(spool_dir, meta("a"))
    second = Spool.create(spool_dir, meta("b"))
    first.remove()
    assert [path.name for path in (spool_dir / "run-1").iterdir()] == ["b"]
    second.remove()

    assert list(spool_dir.iterdir()) == []


def test_remove_of_a_directory_that_is_not_ours_raises(spool_dir: Path) -> None:
    """A closed or replaced spool cannot take another owner's directory with it."""
    spool = Spool.create(spool_dir, meta())
    spool.close()
    other = Spool.adopt(spool.path)
    other.lanes["logs"].append(frame(1))

    with pytest.raises(SpoolError, match="not ours"):
        spool.remove()
    assert other.exists()
    other.close()


def test_removed_directory_is_noticed_and_can_be_made_again(spool_dir: Path) -> None:
    """Deleting the spool of a live run costs what was in it, not the rest of the run."""
    spool = Spool.create(spool_dir, meta())
    spool.lanes["logs"].append(frame(1))
    assert spool.exists()
    shutil.rmtree(spool_dir)
    assert not spool.exists()
    for name in LANES:
        with pytest.raises(OSError, match=r"removed|No such file"):
            spool.lanes[name].append(frame(2))
    lost = {name: lane.waiting_units for name, lane in spool.lanes.items()}
    spool.close()
    again = Spool.create(spool_dir, meta())
    again.lanes["logs"].append(frame(2))
    again.publish()

    assert lost == {"events": 0, "metrics": 0, "logs": 1, "traces": 0}
    assert drain(again.lanes["logs"]) == [2]
    again.close()


def test_meta_is_changed_on_disk_and_in_memory(spool_dir: Path) -> None:
    """What the owner learns later, its adopter knows too."""
    spool = Spool.create(spool_dir, meta(), clock=ManualClock(77))
    spool.update_meta(server_id="srv_1", state="closed")

    assert (spool.meta.server_id, spool.meta.created_unix_ns) == ("srv_1", 77)
    assert meta_file.load(str(spool.path)) == spool.meta
    with pytest.raises(TypeError):
        spool.update_meta(colour="red")
    spool.close()


def test_find_names_instances_oldest_first(spool_dir: Path) -> None:
    """Older data is delivered first; what is half made, half removed or foreign is not looked at."""
    for name, created in (("c", 1), ("a", 3), ("b", 2)):
        Spool.create(spool_dir, meta(name, run=f"run-{name}", created_unix_ns=created)).close()
    for foreign in (".new-x", ".gone-x", "no-lock", "with space"):
        (spool_dir / "run-a" / foreign).mkdir()
    for foreign in (".new-x", ".gone-x", "with space"):
        (spool_dir / "run-a" / foreign / "lock").touch()
    (spool_dir / "notes.txt").touch()

    assert [path.name for path in find(spool_dir)] == ["c", "b", "a"]
    assert find(spool_dir / "nothing") == []


def test_find_names_instances_of_one_moment_in_the_order_of_their_names(spool_dir: Path) -> None:
    """Everyone who looks sees the same order, however the file system lists them."""
    for name in "hbjaigcfde":
        Spool.create(spool_dir, meta(name, created_unix_ns=5)).close()

    assert [path.name for path in find(spool_dir)] == list("abcdefghij")


def test_sweep_removes_what_died_before_it_was_locked(spool_dir: Path) -> None:
    """A kill between the first two steps of making a directory leaves nothing for good."""
    for name in (".new-dead", ".gone-dead"):
        (spool_dir / "run-1" / name).mkdir(parents=True)
        os.utime(spool_dir / "run-1" / name, (1, 1))
    (spool_dir / "run-1" / ".gone-file").touch()

    assert sweep(spool_dir) == 2
    assert [path.name for path in (spool_dir / "run-1").iterdir()] == [".gone-file"]


def test_find_names_an_instance_with_an_unreadable_meta(spool_dir: Path) -> None:
    """A spool that cannot be delivered is reported, not hidden."""
    path = killed(spool_dir)
    (path / "meta.json").write_bytes(b"{")

    assert find(spool_dir) == [path]
    with pytest.raises(SpoolError, match=r"meta\.json cannot be read"):
        Spool.adopt(path)
    (path / "meta.json").write_bytes(meta_file.encode(meta()))
    Spool.adopt(path).close()


def test_sweep_removes_what_died_half_made(spool_dir: Path) -> None:
    """Crashes while a directory is made or removed do not add up on the disk."""
    spool = Spool.create(spool_dir, meta())
    left = [spool_dir / "run-1" / name for name in (".new-dead", ".gone-dead", ".new-live")]
    for path in left:
        copy_of(spool.path, path)
        os.utime(path, (1, 1))
    young = copy_of(spool.path, spool_dir / "run-1" / ".new-young")
    live = DirectoryLock.take(str(left[2]), create=False)
    os.utime(left[2], (1, 1))

    assert sweep(spool_dir) == 2
    assert {path.name for path in (spool_dir / "run-1").iterdir()} == {"instance-1", ".new-live", young.name}
    live.close()
    spool.close()


# The test's own time limit runs on a thread, which Python 3.12 and later warn of at a fork.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_child_that_abandons_leaves_the_parents_spool_alone(spool_dir: Path) -> None:
    """A forked worker neither writes into its parent's spool nor frees it."""
    spool = Spool.create(spool_dir, meta())
    spool.lanes["metrics"].append(frame(1))

    def abandon() -> bool:
        spool.abandon_in_child()
        with pytest.raises(OSError, match="closed"):
            spool.lanes["metrics"].append(frame(2))
        return not spool.exists()

    assert in_child(abandon)
    with pytest.raises(SpoolLockedError):
        Spool.adopt(spool.path)
    spool.lanes["metrics"].append(frame(3))
    spool.publish()
    assert drain(spool.lanes["metrics"]) == [1, 3]
    spool.close()


# The test's own time limit runs on a thread, which Python 3.12 and later warn of at a fork.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_child_forked_inside_a_lock_can_abandon(spool_dir: Path) -> None:
    """A fork at the worst moment, while another thread is inside the spool, does not hang the worker."""
    spool = Spool.create(spool_dir, meta())
    spool.lanes["metrics"].append(frame(1))

    def abandon() -> bool:
        spool.abandon_in_child()
        return True

    with spool._making, spool.lanes["metrics"]._lock, spool.lanes["metrics"]._room.lock:
        assert in_child(abandon)
    spool.close()


def test_power_safe_spool_delivers_the_same(spool_dir: Path) -> None:
    """Durability against power cuts changes when an append returns, nothing else."""
    spool = Spool.create(spool_dir, meta(), durability="power")
    spool.lanes["metrics"].append(frame(1))
    spool.close()
    again = Spool.adopt(spool.path, durability="power")

    assert drain(again.lanes["metrics"]) == [1]
    again.close()
