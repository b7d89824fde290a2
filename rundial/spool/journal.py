"""The journal of artifacts: what files a run wants delivered, and what became of each. Append-only.

    u32 length · u32 checksum (crc32 over length and body) · body, JSON

A body is one of

    {"job": token, "end": ring position, "at": ns, …}     accepted; the rest is the job itself
    {"note": token, …}                                     further facts of a job
    {"fate": token, "is": delivered | rejected | lost, "reason": …, "why": …}
    {"counts": {…}, "end": …}                              what a shortened journal held before

Nothing is ever changed in place, so a crash at any byte costs at most the entry that was being written:
the first one that is not whole ends the scan, and is cut off by whoever writes next. Jobs come in the
order of the ring, and `end` says how far the ring is done, so a take that is read twice adds a job once.

Threads: any; one lock, held for a write to the page cache.
After a crash: whoever owns the directory's lock reads on where the last whole entry ends.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from threading import RLock

from rundial.spool import durable
from rundial.typed import Any, Literal
from rundial.value import value

NAME = "journal"
# A journal of settled jobs alone says nothing but their number.
SHORTEN_BYTES = 8 << 20
MAX_ENTRY_BYTES = 16 << 20
MAX_FAILURES = 20

Fate = Literal["delivered", "rejected", "lost"]
_PREFIX = struct.Struct("<II")


@value
class JobCounts:
    """What became of the jobs so far.

    Attributes:
        added: Jobs accepted.
        delivered: Jobs that a server has finalized.
        rejected: Jobs that a server refused for good.
        lost: Jobs lost on this machine, by reason.
    """

    added: int
    delivered: int
    rejected: int
    lost: Mapping[str, int]

    @property
    def waiting(self) -> int:
        """Jobs without a fate."""
        return self.added - self.delivered - self.rejected - sum(self.lost.values())


def pack(body: Mapping[str, Any]) -> bytes:
    """Return an entry as it stands on disk."""
    encoded = json.dumps(body, separators=(",", ":")).encode()
    return _PREFIX.pack(len(encoded), _checksum(encoded)) + encoded


def scan(data: bytes | memoryview) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each whole entry and the offset behind it; stops at the first that is torn or damaged."""
    view, start = memoryview(data), 0
    while start + _PREFIX.size <= len(view):
        length, checksum = _PREFIX.unpack_from(view, start)
        end = start + _PREFIX.size + length
        if not 0 < length <= MAX_ENTRY_BYTES or end > len(view):
            return
        encoded = bytes(view[start + _PREFIX.size : end])
        if _checksum(encoded) != checksum:
            return
        yield json.loads(encoded), end
        start = end


class Journal:
    """The jobs of one instance; nothing is on disk before the first.

    Args:
        directory: The instance's spool directory, whose lock the caller holds.
        is_power_safe: Whether each entry is synced.

    Attributes:
        end: Ring position behind the last job.
        failures: What was lost or refused lately, in words.
    """

    def __init__(self, directory: str, *, is_power_safe: bool = False) -> None:
        self._path = f"{directory}/{NAME}"
        self._is_power_safe = is_power_safe
        # Guards the file and all that is known of it.
        self._lock = RLock()
        self._descriptor = -1
        self._size = 0
        self.end = 0
        self.failures: list[str] = []
        self._waiting: dict[str, dict[str, Any]] = {}
        self._fresh: list[str] = []
        self._added = self._delivered = self._rejected = 0
        self._lost: dict[str, int] = {}
        self._read()

    def add(self, job: Mapping[str, Any], *, end: int, time_unix_ns: int) -> bool:
        """Take a job in; False for one that is here already.

        Args:
            job: With a `token` of its own; JSON.
            end: Ring position behind it.
            time_unix_ns: When it was logged.

        Raises:
            OSError: It could not be written; nothing is left of it.
        """
        with self._lock:
            if end <= self.end:
                return False
            token = str(job["token"])
            body = {"job": token, "end": end, "at": time_unix_ns, **job}
            self._append(body)
            self._fold(body)
            return True

    def note(self, tokens: list[str], **facts: Any) -> None:
        """Keep further facts of waiting jobs.

        Raises:
            OSError: They could not be written, and are not known.
        """
        with self._lock:
            bodies = [{"note": token, **facts} for token in tokens if token in self._waiting]
            self._append(*bodies)
            for body in bodies:
                self._fold(body)

    def settle(self, tokens: list[str], fate: Fate, *, reason: str = "", why: str = "") -> None:
        """Say what became of jobs; the first fate stands.

        Raises:
            OSError: It could not be written; the jobs are waiting still.
        """
        with self._lock:
            known = [token for token in tokens if token in self._waiting]
            facts = {"is": fate, **({"reason": reason} if reason else {}), **({"why": why} if why else {})}
            bodies = [{"fate": token, **facts} for token in known]
            self._append(*bodies)
            for body in bodies:
                self._fold(body)
            if self._size > SHORTEN_BYTES and len(self._waiting) * 8 < self._added:
                self._shorten()

    def take_new(self) -> list[dict[str, Any]]:
        """Return the waiting jobs that were not returned before, oldest first."""
        with self._lock:
            fresh, self._fresh = self._fresh, []
            return [self._waiting[token] for token in fresh if token in self._waiting]

    def job(self, token: str) -> dict[str, Any] | None:
        """Return a waiting job, None for one that is settled or unknown."""
        return self._waiting.get(token)

    @property
    def waiting(self) -> int:
        """How many jobs have no fate; waits for nothing."""
        return len(self._waiting)

    def counts(self) -> JobCounts:
        """Return what became of the jobs so far."""
        with self._lock:
            return JobCounts(self._added, self._delivered, self._rejected, dict(self._lost))

    def close(self) -> None:
        """Close the file; may be called again."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)

    def abandon_in_child(self) -> None:
        """Let go of the file in a forked child, whatever thread held the lock."""
        self._lock = RLock()
        self.close()

    def _read(self) -> None:
        try:
            with open(self._path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return
        for body, end in scan(data):
            self._fold(body)
            self._size = end

    def _append(self, *bodies: Mapping[str, Any]) -> None:
        if not bodies:
            return
        if self._descriptor < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, durable.FILE_MODE)
            # What a crash has left half written goes before the next entry is set behind it.
            os.ftruncate(self._descriptor, self._size)
        data = b"".join(pack(body) for body in bodies)
        try:
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
            durable.write_whole(self._descriptor, (data,))
            if self._is_power_safe:
                durable.sync_data(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)

    def _fold(self, body: dict[str, Any]) -> None:
        if "job" in body:
            token = body["job"]
            self.end = max(self.end, body["end"])
            self._added += 1
            self._waiting[token] = dict(body)
            self._fresh.append(token)
        elif "note" in body:
            job = self._waiting.get(body["note"])
            if job is not None:
                job.update((name, fact) for name, fact in body.items() if name != "note")
        elif "fate" in body and self._waiting.pop(body["fate"], None) is not None:
            self._count(body["is"], body.get("reason", "internal_error"), body.get("why", ""))
        elif "counts" in body:
            counts = body["counts"]
            self.end = max(self.end, body["end"])
            self._added, self._delivered = counts["added"], counts["delivered"]
            self._rejected, self._lost = counts["rejected"], dict(counts["lost"])

    def _count(self, fate: str, reason: str, why: str) -> None:
        if fate == "delivered":
            self._delivered += 1
            return
        if fate == "rejected":
            self._rejected += 1
        else:
            self._lost[reason] = self._lost.get(reason, 0) + 1
        if why:
            self.failures = [*self.failures[1 - MAX_FAILURES :], why]

    def _shorten(self) -> None:
        """Write the journal anew without the jobs that are settled."""
        counts = {
            "added": self._added - len(self._waiting),
            "delivered": self._delivered,
            "rejected": self._rejected,
            "lost": self._lost,
        }
        jobs = list(self._waiting.values())
        data = b"".join(map(pack, [{"counts": counts, "end": self.end}, *jobs]))
        try:
            durable.replace(self._path, data, sync=self._is_power_safe)
        except OSError:
            # No room for it now; the long one says the same.
            return
        self.close()
        self._size = len(data)


def _checksum(body: bytes) -> int:
    # The length is summed too: a flip in it must not move the borders of what is checked.
    return zlib.crc32(body, zlib.crc32(len(body).to_bytes(4, "little")))
