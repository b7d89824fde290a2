"""Jobs of the artifact worker on their way to the journal: counted once, and what they hold given back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rundial.recorder import counters
from rundial.recorder.layout import SIGNAL_INDEX, Kind
from tests.unit.recorder.builders import SMALL_BYTES, Rig, RunParts, log

_ARTIFACTS = SIGNAL_INDEX["artifacts"]


class _Picture:
    """What waits in memory."""

    def write(self, directory: str) -> dict[str, Any]:
        """Nobody asks for it here."""
        raise NotImplementedError


def _blocked(run: RunParts) -> Path:
    """Let the journal be unwritable; removing what is returned mends it."""
    assert run.spool.journal.counts().added == 0
    path = run.spool.path / "journal"
    path.mkdir()
    return path


def test_a_job_that_cannot_be_read_is_lost_once_however_often_its_take_is(tmp_path: Path) -> None:
    """A disk that is full for an hour makes no loss greater than it is."""
    rig = Rig(tmp_path)
    run = rig.attach()
    assert run.recorder.job({"token": "before"})
    assert rig.work()
    rig.ring.record(Kind.JOB, run.slot, b"no JSON", signal="artifacts")
    assert run.recorder.job({"token": "behind"})
    metrics = run.fragile("metrics")
    metrics.is_broken = True
    log(run, 1)
    for _ in range(3):
        assert not rig.work()
    metrics.is_broken = False
    assert rig.work()

    assert run.encoder.failed[_ARTIFACTS] == 1
    assert run.spool.journal.counts().added == 2
    account = run.recorder.ledger().artifacts
    assert (account.recorded, account.dropped.get("internal_error")) == (2, 1)


def test_what_the_ring_gives_up_holds_no_memory(tmp_path: Path) -> None:
    """After a disk that was full for long, pictures are taken again as before."""
    rig = Rig(tmp_path, size_bytes=SMALL_BYTES)
    run = rig.attach()
    blocked = _blocked(run)
    made, size = run.recorder.made, 1 << 14
    offered = 0
    evicted = 0
    while not evicted:
        token = f"picture-{offered}"
        assert run.recorder.job({"token": token, "kind": "media", "text": "x" * 2_000}, _Picture(), size)
        offered += 1
        assert not rig.work()
        evicted = counters.evicted(rig.ring.file.words, run.slot.index)["artifacts"]
    held = [number for number in range(offered) if made.get(f"picture-{number}") is not None]
    blocked.rmdir()
    assert rig.work()

    waiting = [job["token"] for job in run.spool.journal.take_new()]
    assert waiting == [f"picture-{number}" for number in range(evicted, offered)]
    kept = [number for number in range(offered) if made.get(f"picture-{number}") is not None]
    assert kept == list(range(evicted, offered)), f"{held} were held while the disk was full"
