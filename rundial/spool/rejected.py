"""What the server refused, kept for a person to look at.

Beside a lane's segments lies `rejected/<lane>.seg`, frames without a header, whose `first` and
`end` name the segment and offset of the frame that the body was part of. Bounded: at its limit
the file becomes `<lane>.older.seg` and the former one goes. Nothing here is ever sent again or
counted: the count is the ack's, and the copy is made before it, so a crash in between costs at
most a second copy. When the rest of the spool is delivered and goes, this stays, in
`<root>/.rejected/<run id>.<instance id>/`, for as long as undelivered records would.

Threads: the lane's sender.
"""

from __future__ import annotations

import os

from rundial.spool import durable
from rundial.spool.ack import Cursor
from rundial.spool.frame import LANES, NO_RING, NO_TOTALS, Frame, pack_head

NAME = "rejected"
# No run's directory: a run id never begins with a dot.
KEPT = ".rejected"
MAX_BYTES = 16 * 1024 * 1024
_FILES_PER_LANE = 2
_GZIP_MAGIC = b"\x1f\x8b"


class Rejected:
    """The refused bodies of one lane.

    Attributes:
        limit_bytes: Bound of one of its two files, so that all lanes' together stay within 16 MiB.
    """

    def __init__(self, directory: str, lane: str, *, max_bytes: int = MAX_BYTES) -> None:
        self.limit_bytes = max_bytes // (len(LANES) * _FILES_PER_LANE)
        self._directory = directory
        self._path = f"{directory}/{lane}.seg"
        self._older = f"{directory}/{lane}.older.seg"

    def keep(self, cursor: Cursor, body: bytes, units: int) -> bool:
        """Append one refused body; False when it alone is over the bound and is not kept.

        Raises:
            OSError: It could not be kept; nothing of it is left in the file.
        """
        is_gzip = body.startswith(_GZIP_MAGIC)
        frame = Frame(units, units, NO_RING, cursor.segment, cursor.offset, NO_TOTALS, body, is_gzip)
        parts = (pack_head(frame), body)
        needed = sum(map(len, parts))
        if needed > self.limit_bytes:
            return False
        os.makedirs(self._directory, durable.DIRECTORY_MODE, exist_ok=True)
        descriptor = self._open()
        try:
            size = os.fstat(descriptor).st_size
            if size + needed > self.limit_bytes:
                os.replace(self._path, self._older)
                os.close(descriptor)
                descriptor, size = self._open(), 0
            self._append(descriptor, size, parts)
        finally:
            os.close(descriptor)
        return True

    def _open(self) -> int:
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._path, flags, durable.FILE_MODE)

    @staticmethod
    def _append(descriptor: int, size: int, parts: tuple[bytes, ...]) -> None:
        try:
            durable.write_whole(descriptor, parts)
        except OSError:
            os.ftruncate(descriptor, size)
            raise


def keep_aside(spool: str, *, max_age_s: float, now_unix_ns: int) -> str | None:
    """Move the copies out of a spool that is about to go; also remove those that are too old.

    Args:
        spool: `<root>/<run id>/<instance id>`.
        max_age_s: How long copies are kept.
        now_unix_ns: The time.

    Returns:
        Where they are now, None when there are none.

    Raises:
        OSError: They cannot be moved.
    """
    above, instance_id = os.path.split(spool)
    root, run_id = os.path.split(above)
    copies, kept = f"{spool}/{NAME}", f"{root}/{KEPT}"
    _remove_old(kept, now_unix_ns - int(max_age_s * 1e9))
    if not os.path.isdir(copies):
        return None
    durable.make_directory(kept)
    target = f"{kept}/{run_id}.{instance_id}"
    import shutil

    # A copy of a spool that was delivered before: what it refused is the same.
    shutil.rmtree(target, ignore_errors=True)
    os.rename(copies, target)
    return target


def _remove_old(kept: str, before_unix_ns: int) -> None:
    try:
        old = [entry for entry in os.scandir(kept) if entry.stat().st_mtime_ns < before_unix_ns]
    except OSError:
        # None are kept, or another process is about the same.
        return
    if old:
        import shutil
    for entry in old:
        shutil.rmtree(entry, ignore_errors=True)
