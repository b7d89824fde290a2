"""The spool directory of one instance: `<root>/<run id>/<instance id>/`, mode 0700.

    lock           held by the owner as long as it lives
    meta.json      what another process must know to deliver it; never a key
    events/ metrics/ logs/ traces/     the lanes, each with its segments and its `ack`
    open-spans     spans whose starts have left the ring, see `rundial.recorder.openspans`
    journal        the files that the run wants delivered, see `rundial.spool.journal`
    artifacts/     what is kept of them until they are
    spare          one block of disk, for the moment that there is no other
    rejected/      refused request bodies, for a person to look at; they outlive the directory

A directory is made under a name that nobody looks for, locked, and renamed, and goes the other
way round, so whoever finds one by its name finds it whole: owned by a live process, or left by
a dead one and free to adopt.

Threads: any for `meta` and the bounds; see `Lane` for the lanes.
After a crash: `adopt` goes on where the lanes' acks stand; nothing has to be repaired first.
After a fork: the child calls `abandon_in_child` and makes a spool of its own.
"""

from __future__ import annotations

import os
import threading

from rundial.clock import Clock, SystemClock
from rundial.errors import SpoolError
from rundial.spool import durable
from rundial.spool import meta as meta_file
from rundial.spool.frame import LANES
from rundial.spool.limits import MAX_AGE_S, MAX_BYTES, SEGMENT_BYTES, Durability, Limits
from rundial.spool.lock import NAME as LOCK_NAME
from rundial.spool.lock import DirectoryLock
from rundial.typed import TYPE_CHECKING, Any
from rundial.value import changed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from rundial.spool.bounds import Bounds
    from rundial.spool.journal import Journal
    from rundial.spool.lane import Lane
    from rundial.spool.meta import Meta

_MAX_ID_CHARS = 128
_PUNCTUATION = str.maketrans("_-.", "aaa")
_NEW = ".new-"
_GONE = ".gone-"
# Between the two steps of making a directory its lock is not held yet: leave young ones alone.
_STALE_NS = 600 * 10**9


class Spool:
    """The frames of one instance on disk.

    Attributes:
        directory: Where they are.
    """

    def __init__(
        self, directory: str, lock: DirectoryLock, meta: Meta, limits: Limits, clock: Clock, *, is_new: bool
    ) -> None:
        self.directory = directory
        # Made by this process, with lanes that were empty.
        self._is_new = is_new
        self._lock = lock
        self._meta = meta
        self._meta_lock = threading.Lock()  # guards _meta and its file
        self._limits = limits
        self._clock = clock
        self._lanes: Mapping[str, Lane] | None = None
        self._journal: Journal | None = None
        # Guards the making of lanes and journal.
        self._making = threading.RLock()

    @classmethod
    def create(  # noqa: PLR0913 - each bound is a setting of its own
        cls,
        root: str | os.PathLike[str],
        meta: Meta,
        *,
        max_bytes: int = MAX_BYTES,
        max_age_s: float = MAX_AGE_S,
        segment_bytes: int = SEGMENT_BYTES,
        durability: Durability = "process",
        clock: Clock | None = None,
    ) -> Spool:
        """Make the spool of a new instance and own it.

        Args:
            root: The spool directory of all runs; made when missing.
            meta: What names it; a `created_unix_ns` of 0 is filled in.
            max_bytes: Bound over its segments.
            max_age_s: Age at which a sealed segment is evicted, seconds.
            segment_bytes: Size at which a segment is sealed.
            durability: What an append survives: the end of the process, or a power cut.
            clock: Dates segments.

        Raises:
            SpoolError: An id is no plain name.
            OSError: The directory cannot be made, or the instance has one already.
        """
        limits = Limits(max_bytes, max_age_s, segment_bytes, durability)
        clock = clock or SystemClock()
        meta = changed(meta, created_unix_ns=meta.created_unix_ns or clock.time_unix_ns())
        for each in (meta.run_id, meta.instance_id):
            if not _is_plain(each):
                raise SpoolError(
                    f"{each!r} cannot name a spool directory: letters, digits, '_', '-', '.' only"
                )
        run_directory = os.path.join(root, meta.run_id)
        fresh = _make_fresh(run_directory, meta.instance_id)
        directory = f"{run_directory}/{meta.instance_id}"
        lock = None
        try:
            lock = DirectoryLock.take(fresh, create=True)
            for name in LANES:
                durable.make_directory(f"{fresh}/{name}")
            meta_file.save(fresh, meta, sync=limits.is_power_safe)
            os.rename(fresh, directory)
            if limits.is_power_safe:
                durable.sync_directory(run_directory)
            lock.directory = directory
            return cls(directory, lock, meta, limits, clock, is_new=True)
        except BaseException:
            if lock is not None:
                lock.close()
            import shutil

            shutil.rmtree(fresh, ignore_errors=True)
            raise

    @classmethod
    def adopt(
        cls,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = MAX_BYTES,
        max_age_s: float = MAX_AGE_S,
        segment_bytes: int = SEGMENT_BYTES,
        durability: Durability = "process",
        clock: Clock | None = None,
    ) -> Spool:
        """Own the spool that a dead process left; every whole frame in it is published.

        Args:
            path: The instance's directory.
            max_bytes: Bound over its segments.
            max_age_s: Age at which a segment is evicted, seconds; checked now.
            segment_bytes: Size at which a new segment is sealed.
            durability: What an append survives: the end of the process, or a power cut.
            clock: Dates segments.

        Raises:
            SpoolLockedError: A live process owns it.
            SpoolError: It is gone, or its meta cannot be understood.
            OSError: It cannot be read or written.
        """
        limits = Limits(max_bytes, max_age_s, segment_bytes, durability)
        directory = os.fspath(path)
        lock = DirectoryLock.take(directory, create=False)
        try:
            meta = meta_file.load(directory)
            spool = cls(directory, lock, meta, limits, clock or SystemClock(), is_new=False)
            spool._lanes, bounds = spool._opened()
            bounds.evict_expired(with_last=True)
        except BaseException:
            lock.close()
            raise
        return spool

    @property
    def path(self) -> Path:
        """The directory, for who looks into it."""
        # No run needs it before it ends, and its import costs as much as all else that `create` does.
        from pathlib import Path

        return Path(self.directory)

    @property
    def meta(self) -> Meta:
        """What the directory says about the instance."""
        return self._meta

    @property
    def limits(self) -> Limits:
        """What it was made with."""
        return self._limits

    @property
    def lanes(self) -> Mapping[str, Lane]:
        """The lanes by name, in the order of `LANES`; a new spool's are opened when first asked for.

        Nothing is read for that, so a directory that is gone is met by the first append.
        """
        lanes = self._lanes
        if lanes is None:
            with self._making:
                made, _ = self._opened()
                # A signal handler may have opened them while we did.
                lanes = self._lanes = self._lanes or made
        return lanes

    @property
    def is_untouched(self) -> bool:
        """Whether it is new and its lanes are as they were made."""
        return self._lanes is None

    def _opened(self) -> tuple[Mapping[str, Lane], Bounds]:
        # The encoder's first pass imports them, not `init`.
        from rundial.spool.openlanes import open_lanes

        return open_lanes(self.directory, self._limits, self._clock, is_new=self._is_new)

    @property
    def journal(self) -> Journal:
        """The files that the run wants delivered; read when it is first asked for."""
        journal = self._journal
        if journal is not None:
            return journal
        from rundial.spool.journal import Journal

        with self._making:
            made = Journal(self.directory, is_power_safe=self._limits.is_power_safe)
            # A signal handler may have made one while we did.
            self._journal = self._journal or made
            return self._journal

    @property
    def waiting_jobs(self) -> int:
        """Files of this process's own that wait; looks at no disk and waits for nothing."""
        return 0 if self._journal is None else self._journal.waiting

    @property
    def has_journal(self) -> bool:
        """Whether there is, or was, any such file."""
        return self._journal is not None or os.path.exists(f"{self.directory}/journal")

    def update_meta(self, **changes: Any) -> Meta:
        """Change facts of the meta, on disk first.

        Raises:
            TypeError: There is no such fact.
            OSError: The former meta stands.
        """
        with self._meta_lock:
            fresh = changed(self._meta, **changes)
            meta_file.save(self.directory, fresh, sync=self._limits.is_power_safe)
            self._meta = fresh
        return fresh

    def publish(self) -> None:
        """Show the sender everything appended so far, in all lanes."""
        for lane in self._open_lanes():
            lane.publish()

    def is_empty(self) -> bool:
        """Whether no frame waits for an answer, published or not, and no file."""
        is_sent = all(lane.waiting_frames == 0 for lane in self._open_lanes())
        return is_sent and (not self.has_journal or self.journal.counts().waiting == 0)

    def exists(self) -> bool:
        """Whether the directory is still there under its name; if not, the owner makes a new spool."""
        return self._lock.is_held_at(self.directory)

    def close(self) -> None:
        """Release files and lock; the directory stays, free to adopt. May be called again."""
        for lane in self._open_lanes():
            lane.close()
        if self._journal is not None:
            self._journal.close()
        self._lock.close()

    def remove(self) -> None:
        """Remove the directory with all that is in it but copies of what was refused, and close.

        Raises:
            SpoolError: The directory under this name is not, or no longer, ours.
            OSError: It cannot be removed; it stays, free to adopt, or under a name that nobody looks for.
        """
        for lane in self._open_lanes():
            lane.close()
        if self._journal is not None:
            self._journal.close()
        try:
            if not self.exists():
                raise SpoolError(f"spool at {self.directory} is not ours; nothing was removed")
            self._keep_rejected()
            # Renamed first and unlocked last: at no moment can a half-removed one be adopted.
            above, name = os.path.split(self.directory)
            gone = f"{above}/{_GONE}{name}-{os.urandom(4).hex()}"
            os.rename(self.directory, gone)
            import shutil

            shutil.rmtree(gone)
        finally:
            self._lock.close()
        try:
            os.rmdir(above)
        except OSError:
            # Other instances of the run still live in it.
            return

    def _keep_rejected(self) -> None:
        from rundial.spool import rejected

        try:
            rejected.keep_aside(
                self.directory, max_age_s=self._limits.max_age_s, now_unix_ns=self._clock.time_unix_ns()
            )
        except OSError:
            # They are counted, and the count is told: copies that find no room go with the spool.
            return

    def abandon_in_child(self) -> None:
        """Let go of everything in a forked child; the parent's hold and files stay as they are."""
        # Another thread may have held it, which does not exist here.
        self._making = threading.RLock()
        for lane in self._open_lanes():
            lane.abandon_in_child()
        if self._journal is not None:
            self._journal.abandon_in_child()
        self._lock.close()

    def _open_lanes(self) -> Collection[Lane]:
        return () if self._lanes is None else self._lanes.values()


def find(root: Path) -> list[Path]:
    """Return the instance directories under a spool root, oldest first; other names are left alone."""
    found = [path for run in _children(root) for path in _children(run) if _is_instance(path)]
    return sorted(found, key=lambda path: (_created_unix_ns(path), str(path)))


def sweep(root: Path, clock: Clock | None = None) -> int:
    """Remove what died while it was made or removed; return how many directories went.

    Safe at any time and beside any other process: a directory that someone holds stays.
    """
    before = (clock or SystemClock()).time_unix_ns() - _STALE_NS
    swept = 0
    for path in [path for run in _children(root) for path in _children(run)]:
        if not path.name.startswith((_NEW, _GONE)):
            continue
        try:
            # What was being removed was owned until its remover died; only what is being made may not be yet.
            if path.name.startswith(_NEW) and path.stat().st_mtime_ns > before:
                continue
            lock = DirectoryLock.take(str(path), create=False) if (path / LOCK_NAME).exists() else None
        except (OSError, SpoolError):
            # Held, or gone meanwhile: someone else sees to it.
            continue
        import shutil

        shutil.rmtree(path, ignore_errors=True)
        if lock is not None:
            lock.close()
        swept += not path.exists()
    return swept


def _make_fresh(run_directory: str, instance_id: str) -> str:
    fresh = f"{run_directory}/{_NEW}{instance_id}-{os.urandom(4).hex()}"
    try:
        durable.make_directory(fresh)
    except FileNotFoundError:
        # The last instance of this run was removed between our two steps, and the run's directory with it.
        durable.make_directory(fresh)
    return fresh


def _children(directory: Path) -> list[Path]:
    try:
        return [directory / name for name in os.listdir(directory)]
    except OSError:
        # A file, or a directory that another process removed meanwhile.
        return []


def _is_instance(path: Path) -> bool:
    return _is_plain(path.name) and _is_plain(path.parent.name) and (path / LOCK_NAME).is_file()


def _is_plain(name: str) -> bool:
    """Whether a name is letters, digits, `_`, `-` and `.` only, and is not hidden."""
    # Not a pattern: compiling one takes as long as everything else that `create` does in memory.
    is_short = 0 < len(name) <= _MAX_ID_CHARS and name.isascii()
    return is_short and name[0] != "." and name.translate(_PUNCTUATION).isalnum()


def _created_unix_ns(path: Path) -> int:
    try:
        return meta_file.load(str(path)).created_unix_ns
    except (OSError, SpoolError):
        # Whoever adopts it will say what is wrong with it; here it only needs a place.
        return 0
