"""What copies are booked for: given back with their job, whatever became of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rundial.artifacts.preparation import Preparation
from rundial.artifacts.snapshot import Budget

SIZE = 3_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory of two files; skips where the file system clones, which takes no room."""
    place = tmp_path / "data"
    place.mkdir()
    for name in "ab":
        (place / name).write_bytes(os.urandom(SIZE))
    return place


@pytest.fixture
def budget() -> Budget:
    """Room for a few copies."""
    return Budget(10 * SIZE)


def _job(token: str, source: Path) -> dict[str, object]:
    return {"token": token, "path": str(source), "at": 0}


def test_what_a_job_has_copied_is_given_back_with_it(tmp_path: Path, source: Path, budget: Budget) -> None:
    """A run that logs a checkpoint after the other never fills its budget."""
    preparation = Preparation(tmp_path, budget)
    preparation.prepare(_job("one", source), None)
    preparation.prepare(_job("two", source), None)
    if budget.used == 0:
        pytest.skip("this file system clones, which takes no room")

    assert budget.used == 4 * SIZE
    preparation.remove("one")
    assert budget.used == 2 * SIZE
    preparation.remove("two")
    assert budget.used == 0


def test_a_job_that_is_prepared_anew_is_booked_once(tmp_path: Path, source: Path, budget: Budget) -> None:
    """A file that changed while it was sent takes no more room than one that did not."""
    preparation = Preparation(tmp_path, budget)
    preparation.prepare(_job("one", source), None)
    booked = budget.used
    preparation.again(_job("one", source))
    preparation.prepare(_job("one", source), None)
    assert budget.used == booked
    preparation.remove("one")

    assert budget.used == 0


def test_a_job_that_could_not_be_prepared_keeps_no_room(tmp_path: Path, source: Path, budget: Budget) -> None:
    """What was copied before a failure is given back when the job is removed."""
    preparation = Preparation(tmp_path, budget)
    # A directory in its place: the manifest cannot be written, as on a disk that has just become full.
    (preparation.directory("one") / "manifest" / "in the way").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        preparation.prepare(_job("one", source), None)
    preparation.remove("one")

    assert budget.used == 0


def test_copies_of_an_earlier_process_are_counted(tmp_path: Path, source: Path, budget: Budget) -> None:
    """Whoever adopts a spool knows what lies in it already."""
    Preparation(tmp_path, budget).prepare(_job("one", source), None)
    if budget.used == 0:
        pytest.skip("this file system clones, which takes no room")
    mine = Budget(10 * SIZE)
    adopted = Preparation(tmp_path, mine)
    adopted.prepare(_job("one", source), None)

    assert mine.used == 2 * SIZE
    adopted.remove("one")
    assert mine.used == 0


def test_a_file_that_grows_without_a_pause_is_taken_as_long_as_it_was(tmp_path: Path, budget: Budget) -> None:
    """A log that somebody writes to faster than we read holds up nothing, and fills no disk."""
    path = tmp_path / "log"
    path.write_bytes(b"x" * SIZE)
    preparation = Preparation(tmp_path, budget)
    real, read = os.pread, os.preadv

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b"y" * SIZE)

    # A mock: no writer is faster than the reader for certain.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pread", lambda *given: (grow(), real(*given))[1])
        patch.setattr(os, "preadv", lambda *given: (grow(), read(*given))[1])
        manifest = preparation.prepare(_job("one", path), None)

    (entry,) = manifest.files
    assert entry.size < path.stat().st_size
    assert manifest.facts == {"changed_before_snapshot": True}
    assert budget.used in (0, entry.size)
