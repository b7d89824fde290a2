"""The spare block: made once, used up once, and made again."""

from __future__ import annotations

import os
from pathlib import Path

from rundial.spool.spare import NAME, SIZE_BYTES, Spare


def test_a_spare_is_a_block_of_the_disk(tmp_path: Path) -> None:
    """What is kept ready is real room, for its owner's eyes only."""
    Spare(str(tmp_path)).keep()

    state = (tmp_path / NAME).stat()
    assert state.st_size == SIZE_BYTES
    assert state.st_blocks * 512 >= SIZE_BYTES
    assert state.st_mode & 0o777 == 0o600


def test_a_spare_becomes_the_file_that_is_wanted(tmp_path: Path) -> None:
    """The file has the content, nothing behind it, and takes more at its end."""
    spare = Spare(str(tmp_path))
    spare.keep()
    descriptor = spare.become(str(tmp_path / "wanted"), b"header")
    assert descriptor is not None
    os.write(descriptor, b" and more")
    os.close(descriptor)

    assert (tmp_path / "wanted").read_bytes() == b"header and more"
    assert os.listdir(tmp_path) == ["wanted"]


def test_a_spare_is_used_once_and_made_again(tmp_path: Path) -> None:
    """A second file finds none until the next was made; what a dead process left is found."""
    spare = Spare(str(tmp_path))
    assert spare.become(str(tmp_path / "none"), b"x") is None
    spare.keep()
    descriptor = spare.become(str(tmp_path / "first"), b"x")
    assert descriptor is not None
    os.close(descriptor)
    assert spare.become(str(tmp_path / "second"), b"x") is None
    spare.keep()

    again = Spare(str(tmp_path)).become(str(tmp_path / "second"), b"y")
    assert again is not None
    os.close(again)
    assert sorted(os.listdir(tmp_path)) == ["first", "second"]


def test_a_spare_that_cannot_be_made_costs_nothing(tmp_path: Path) -> None:
    """Where its directory is gone a spool goes on without it."""
    gone = Spare(str(tmp_path / "gone"))
    gone.keep()

    assert gone.become(str(tmp_path / "wanted"), b"x") is None
