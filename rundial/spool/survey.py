"""What waits under a spool root, seen without touching it: nothing is adopted, recovered or removed.

Numbers are of the moment: a live process goes on meanwhile.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rundial.errors import RundialError, SpoolLockedError
from rundial.spool import meta as meta_file
from rundial.spool import segment
from rundial.spool.ack import AckFile
from rundial.spool.frame import LANES
from rundial.spool.lock import DirectoryLock
from rundial.spool.spool import find


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One instance's directory.

    Attributes:
        path: The directory.
        run_id: Its run.
        is_live: A process owns it.
        waiting_bytes: Of segments behind what was answered.
        ring_path: The ring's file that is still to be read, None where there is none.
        trouble: Why it cannot be understood, or empty.
    """

    path: Path
    run_id: str
    is_live: bool
    waiting_bytes: int
    ring_path: str | None
    trouble: str


def survey(root: Path) -> list[Surveyed]:
    """Return what lies under a spool root, the oldest first; nothing where there is none."""
    return [_look(path) for path in find(root)]


def _look(path: Path) -> Surveyed:
    run_id, ring, trouble = path.parent.name, None, ""
    try:
        meta = meta_file.load(str(path))
        run_id = meta.run_id
        ring = meta.ring_path if meta.state == "open" else None
    except (RundialError, OSError) as error:
        trouble = str(error)
    waiting = 0
    for lane in LANES:
        try:
            waiting += _waiting(f"{path}/{lane}")
        except OSError as error:  # noqa: PERF203 - each lane on its own
            # Gone meanwhile is delivered meanwhile.
            trouble = trouble if isinstance(error, FileNotFoundError) else str(error)
    return Surveyed(path, run_id, _is_live(path), waiting, ring, trouble)


def _is_live(path: Path) -> bool:
    try:
        DirectoryLock.take(str(path), create=False).close()
    except SpoolLockedError:
        return True
    except (RundialError, OSError):
        return False
    return False


def _waiting(lane: str) -> int:
    ack, _ = AckFile(lane).load()
    total = 0
    for number in segment.numbers(lane):
        if ack is not None and number < ack.cursor.segment:
            continue
        begin = (
            ack.cursor.offset if ack is not None and number == ack.cursor.segment else segment.HEADER_BYTES
        )
        total += max(0, _used(f"{lane}/{segment.file_name(number)}") - max(begin, segment.HEADER_BYTES))
    return total


def _used(path: str) -> int:
    return os.stat(path).st_size
