"""The ring's file: locked, preallocated, private, and let go of in the right order."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

import pytest

from rundial.errors import SegmentCorruptError, SpoolLockedError
from rundial.recorder import layout, mapping
from rundial.recorder.layout import HEADER_BYTES, Kind
from rundial.recorder.mapping import RingFile
from rundial.recorder.place import Place
from rundial.recorder.ring import Ring
from tests.unit.recorder.builders import SMALL_BYTES, left_in, ring_file, small_ring
from tests.unit.spool.builders import in_child
from tests.unit.spool.test_descriptors import without_stdin


def path_of(file: RingFile) -> Path:
    """Return the path of a ring that is a file."""
    assert file.path is not None
    return file.path


def descriptors() -> int:
    """Return how many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


def test_a_ring_is_a_private_file_of_real_blocks(tmp_path: Path) -> None:
    """Mode 0600, and no hole whose page could be missing in the middle of a training step."""
    file = ring_file(tmp_path)
    status = path_of(file).stat()

    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_size == SMALL_BYTES == HEADER_BYTES + file.capacity
    assert status.st_blocks * 512 >= SMALL_BYTES


def test_a_ring_is_never_read_ahead(tmp_path: Path) -> None:
    """Nobody waits, at the start or in a call, for megabytes of zeros from the disk."""
    file = ring_file(tmp_path)
    _, _, maps = Path("/proc/self/smaps").read_text().partition(str(path_of(file)))
    flags = next(line for line in maps.splitlines() if line.startswith("VmFlags:"))

    # proc(5): "rr", random read advise provided.
    assert "rr" in flags.split()


def test_a_ring_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    """A full disk costs no file and no descriptor; init goes on in memory."""
    before = descriptors()
    with pytest.raises(OSError, match=r"\[Errno"):
        ring_file(tmp_path, size_bytes=1 << 60)

    assert list(tmp_path.iterdir()) == []
    assert descriptors() == before


def test_a_live_ring_cannot_be_adopted(tmp_path: Path) -> None:
    """Rule 10: the lock on the file says that the owner lives, in this process or another."""
    file = ring_file(tmp_path)
    before = descriptors()
    with pytest.raises(SpoolLockedError):
        RingFile.adopt(path_of(file))
    assert descriptors() == before

    file.close()
    RingFile.adopt(path_of(file)).close()


def test_an_adopted_ring_is_the_one_that_was_left(tmp_path: Path) -> None:
    """Id, size and records are those of the dead process."""
    ring = small_ring(tmp_path)
    slot = ring.open_slot()
    ring.record(Kind.TEXT, slot, b"last words", signal="lines")
    ring_id = ring.file.ring_id
    ring.file.close()

    adopted = RingFile.adopt(path_of(ring.file))

    assert adopted.ring_id == ring_id
    assert [record.body for record in left_in(adopted)] == [b"last words"]
    assert adopted.is_of_this_boot
    adopted.close()


def test_a_childs_copy_of_a_ring_does_not_free_the_parents_lock(tmp_path: Path) -> None:
    """Rule 10: after a fork the child closes its copy, and the parent is still known to live."""
    ring = small_ring(tmp_path)
    path = path_of(ring.file)

    def close_and_look() -> bool:
        ring.abandon_in_child()
        return _is_locked(path)

    assert in_child(close_and_look)
    assert _is_locked(path)
    assert ring.record(Kind.EVENT, ring.open_slot(), b"[]")


def test_a_child_that_lives_on_does_not_keep_the_parents_lock(tmp_path: Path) -> None:
    """Rule 10: a worker that outlives its killed parent must not keep the parent's ring from adoption."""
    ring = small_ring(tmp_path)
    path = path_of(ring.file)
    go, tell = os.pipe()
    ready, say = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            ring.abandon_in_child()
            os.write(say, b"x")
            os.close(tell)
            os.read(go, 1)
        finally:
            os._exit(0)
    os.read(ready, 1)
    ring.file.close()
    is_locked = _is_locked(path)
    for descriptor in (go, tell, ready, say):
        os.close(descriptor)
    os.waitpid(child, 0)

    assert not is_locked


def _is_locked(path: Path) -> bool:
    try:
        RingFile.adopt(path).close()
    except SpoolLockedError:
        return True
    return False


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        bytes(HEADER_BYTES),
        bytes(HEADER_BYTES + 8),
        bytes(HEADER_BYTES + 13),
        os.urandom(HEADER_BYTES + 64),
        b"RDRING01" + bytes(HEADER_BYTES - 8),
    ],
    ids=["empty", "short", "header only", "zeros", "odd", "noise", "no room"],
)
def test_what_is_no_ring_is_left_alone_and_unlocked(tmp_path: Path, content: bytes) -> None:
    """A half-made or foreign file is refused by name, and nothing of it is held."""
    path = tmp_path / "rundial-0.ring"
    path.write_bytes(content)
    before = descriptors()
    with pytest.raises(SegmentCorruptError, match=r"rundial-0\.ring"):
        RingFile.adopt(path)

    assert descriptors() == before
    assert path.read_bytes() == content


def test_a_ring_of_another_size_than_its_header_says_is_refused(tmp_path: Path) -> None:
    """A copy that was cut short is not read beyond its end."""
    file = ring_file(tmp_path)
    file.close()
    os.truncate(path_of(file), SMALL_BYTES - 4096)

    with pytest.raises(SegmentCorruptError):
        RingFile.adopt(path_of(file))


def test_a_ring_behind_a_link_is_not_opened(tmp_path: Path) -> None:
    """Nobody leads an adopter to a file of his choice."""
    file = ring_file(tmp_path)
    file.close()
    (tmp_path / "link.ring").symlink_to(path_of(file))

    with pytest.raises(OSError, match=r"\[Errno"):
        RingFile.adopt(tmp_path / "link.ring")


def test_a_ring_of_another_boot_is_known(tmp_path: Path) -> None:
    """Rule 9: only within one boot are its pages certain, and no boot without a name is this one."""
    file = ring_file(tmp_path)
    assert file.is_of_this_boot
    file.words[layout.WORD_BOOT] ^= 1
    assert not file.is_of_this_boot


def test_where_no_boot_has_a_name_no_ring_is_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 9: what cannot be known is read strictly."""
    monkeypatch.setattr(mapping, "boot_id", lambda: bytes(16))

    assert not ring_file(tmp_path).is_of_this_boot


def test_a_ring_knows_when_its_name_is_gone(tmp_path: Path) -> None:
    """Rule 6: the encoder sees that nobody could find the ring any more."""
    file = ring_file(tmp_path)
    assert file.is_linked
    path_of(file).unlink()
    assert not file.is_linked
    assert ring_file().is_linked


def test_close_may_be_repeated_and_remove_leaves_nothing(tmp_path: Path) -> None:
    """Letting go twice is letting go once, also of memory without a file."""
    before = descriptors()
    file = ring_file(tmp_path)
    file.remove()
    file.close()
    memory = ring_file()
    memory.remove()

    assert list(tmp_path.iterdir()) == []
    assert descriptors() == before


def test_two_rings_never_share_an_id_or_a_nonce(tmp_path: Path) -> None:
    """Rule 2: a record of one ring is none in another."""
    rings = [RingFile.create(Place(tmp_path, "disk", SMALL_BYTES), created_unix_ns=5) for _ in range(4)]

    assert len({file.ring_id for file in rings}) == len({file.nonce for file in rings}) == 4
    assert len({file.path for file in rings}) == 4


def test_the_header_says_who_and_when(tmp_path: Path) -> None:
    """A person with a hex dump can tell whose ring it was."""
    file = RingFile.create(Place(tmp_path, "disk", SMALL_BYTES), created_unix_ns=123_456)
    content = path_of(file).read_bytes()

    assert content[:8] == b"RDRING01"
    assert struct.unpack_from("<QQ", content, layout.WORD_PID * 8) == (os.getpid(), 123_456)


def test_a_fresh_ring_is_empty(tmp_path: Path) -> None:
    """A process killed right after it made its ring leaves nothing to recover."""
    ring = Ring(ring_file(tmp_path), wake=lambda: None)

    assert left_in(ring.file) == []
    assert ring.filled == 0


def test_an_adopted_ring_can_be_removed(tmp_path: Path) -> None:
    """What was recovered does not stay on the disk, and nobody minds that it went before."""
    file = ring_file(tmp_path)
    file.close()
    adopted = RingFile.adopt(path_of(file))
    path = adopted.path
    adopted.remove()
    gone = ring_file(tmp_path)
    path_of(gone).unlink()
    gone.remove()

    assert path == path_of(file)
    assert list(tmp_path.iterdir()) == []


# The test's own time limit runs on a thread, which Python 3.12 and later warn of at a fork.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_ring_with_descriptor_zero_is_locked_and_let_go(tmp_path: Path) -> None:
    """A daemon that was started without a standard input has a ring like any other program."""

    def make_and_remove() -> bool:
        file = ring_file(tmp_path)
        is_zero, is_locked = file._descriptor == 0, _is_locked(path_of(file))
        file.close()
        again = RingFile.adopt(path_of(file))
        is_zero_again = again._descriptor == 0
        again.remove()
        return is_zero and is_locked and is_zero_again and not path_of(file).exists()

    assert without_stdin(make_and_remove)
