"""The files of one run in this process: a worker that takes snapshots, and senders that upload them.

    journal ─► worker: snapshot, digest, manifest, media row ─► ready ─► senders: initiate, PUT, finalize

Nothing here is on a logging call's way: the first job starts the threads. Every failure is tried again
for ever, as the telemetry sender does; what cannot ever be is settled in the journal with its reason and
said once. Offline the worker alone works, and whoever adopts the spool sends.

Threads: `rundial-artifacts` and `rundial-uploads`, daemons all; `drain` and `prepared` on any.
After a crash: the journal says what waits, a job's manifest that it is prepared, the server what arrived.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Condition, Thread
from typing import Any, NamedTuple

from rundial.artifacts import shipment
from rundial.artifacts.manifest import FileEntry, Manifest, digest
from rundial.artifacts.preparation import Preparation
from rundial.artifacts.rows import media_row
from rundial.artifacts.shipment import Changed, Delivered
from rundial.artifacts.snapshot import Budget, Gone
from rundial.artifacts.wire import Stopped, Wire
from rundial.export.backoff import pause_s, schedule
from rundial.export.outcome import Pause, Reject, Retry
from rundial.interrupts import let_through
from rundial.logger import logger
from rundial.recorder.made import MadeStore
from rundial.signals import semconv
from rundial.spool.spool import Spool

# Media and evidence that are ready together go in one upload.
MAX_TOGETHER = 1_000
LINGER_S = 0.5
PAUSE_S = 0.0005
# How often a file that is sent from where it is may change before it is given up.
MAX_CHANGES = 5
RETRY_DISK_S = 5.0
WARN_AGAIN_S = 60.0
# How long whoever waits for files does so without a word.
QUIET_S = 3.0

Row = tuple[str, str, Mapping[str, Any]]


class Options(NamedTuple):
    """How a run's files go.

    Attributes:
        copy_bytes: How much copies may take on disk at a time.
        senders: How many artifacts are uploaded at once.
        width: How many parts of each.
    """

    copy_bytes: int = 4 << 30
    senders: int = 2
    width: int = 4


class Server(NamedTuple):
    """Whom the files go to.

    Attributes:
        wire: How.
        project_id: Returns the project's id, or why it is not known.
        run_id: The run.
    """

    wire: Wire
    project_id: Callable[[], str | Retry | Pause]
    run_id: str


class _Ready:
    """Jobs that go in one upload."""

    def __init__(self, jobs: list[tuple[dict[str, Any], Manifest]]) -> None:
        self.jobs = jobs
        self.not_before_s = 0.0
        self.attempts = 0
        self.is_paused = False

    @property
    def tokens(self) -> list[str]:
        return [str(job["token"]) for job, _ in self.jobs]


class Uploads:
    """Delivers what a journal holds.

    Args:
        spool: The instance's.
        made: What waits in memory to be written.
        server: Where it goes; None keeps it for whoever adopts the spool.
        tell: Sends rows of media by the telemetry path: token, event name, body; False when it could not.
        options: Bounds.
        is_adopted: Another process has begun this.
    """

    def __init__(
        self,
        spool: Spool,
        made: MadeStore,
        server: Server | None,
        *,
        tell: Callable[[Sequence[Row]], bool],
        options: Options | None = None,
        is_adopted: bool = False,
    ) -> None:
        self._options = options or Options()
        self._journal = spool.journal
        self._run_id = spool.meta.run_id
        self._preparation = Preparation(spool.path, Budget(self._options.copy_bytes))
        self._made = made
        self._server = server
        self._tell = tell
        self._is_adopted = is_adopted
        # Guards the queues, and is notified of each change.
        self._changed = Condition()
        self._todo: list[dict[str, Any]] = []
        self._small: list[tuple[dict[str, Any], Manifest]] = []
        self._small_since_s = 0.0
        self._ready: list[_Ready] = []
        self._is_preparing = False
        # Senders at work; also once a job is settled, its files are still being removed.
        self._busy = 0
        self._is_stopping = False
        self._threads: list[Thread] = []
        self._rng = random.Random()
        self._warned: dict[str, float] = {}
        self.last_error: str | None = None

    @property
    def sent(self) -> int:
        """Bytes uploaded so far."""
        return 0 if self._server is None else self._server.wire.sent

    def wake(self) -> None:
        """Look at the journal; starts the threads the first time. Must not wait."""
        with self._changed:
            if self._is_stopping:
                return
            self._todo += self._journal.take_new()
            if not self._threads and self._todo:
                self._start()
            self._changed.notify_all()

    def prepared(self, deadline_s: float) -> bool:
        """Wait until everything in the journal is snapshotted, and its rows are told."""
        self.wake()
        return self._wait(lambda: not self._todo and not self._is_preparing, deadline_s)

    def delivered(self, deadline_s: float) -> bool:
        """Wait until everything is answered, and hurry nothing."""
        return self._wait(self._is_through, deadline_s)

    def drain(self, deadline_s: float) -> bool:
        """Wait until everything is answered; without a server: until it is snapshotted."""
        if self._server is None:
            return self.prepared(deadline_s)
        self.wake()
        self.hurry()
        if self.delivered(min(deadline_s, QUIET_S)):
            return True
        if deadline_s > QUIET_S and not self._is_adopted:
            # A script that stands still for minutes should say what for; once a minute at most.
            count, sent = self._journal.waiting, self.sent / (1 << 20)
            words = (
                f"run {self._run_id}: waiting for {count:,} artifacts to be uploaded; {sent:,.0f} MiB sent"
            )
            self._warn("waiting", words)
        return self.delivered(max(0.0, deadline_s - QUIET_S))

    def _is_through(self) -> bool:
        return not (self._journal.waiting or self._busy or self._is_preparing)

    def hurry(self) -> None:
        """Try again at once what waits for a person's help."""
        with self._changed:
            for each in self._ready:
                if each.is_paused:
                    each.not_before_s = 0.0
            self._changed.notify_all()

    def stop(self, timeout_s: float) -> None:
        """End the threads; what is under way is cut, and goes on in whoever has the spool next."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._server is not None:
            self._server.wire.stop()
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if self._server is not None:
            self._server.wire.close()

    def _start(self) -> None:
        senders = 0 if self._server is None else self._options.senders
        self._threads = [
            Thread(target=self._prepare_all, name="rundial-artifacts", daemon=True),
            *(Thread(target=self._send_all, name="rundial-uploads", daemon=True) for _ in range(senders)),
        ]
        for thread in self._threads:
            thread.start()

    def _wait(self, is_done: Callable[[], bool], deadline_s: float) -> bool:
        end = time.monotonic() + deadline_s
        with self._changed:
            while not is_done():
                left_s = end - time.monotonic()
                if left_s <= 0 or self._is_stopping:
                    return is_done()
                self._changed.wait(min(left_s, 1.0))
            return True

    # The worker.

    def _prepare_all(self) -> None:
        while True:
            with self._changed:
                while not self._todo and not self._is_stopping:
                    self._flush_small(is_idle=True)
                    self._changed.wait()
                if self._is_stopping:
                    return
                job = self._todo.pop(0)
                self._is_preparing = True
            is_done = self._prepare(job)
            with self._changed:
                self._is_preparing = False
                if not is_done:
                    self._todo.insert(0, job)
                    self._changed.wait(RETRY_DISK_S)
                elif self._todo:
                    # So that a loop which logs one file after another keeps the interpreter.
                    self._changed.wait(PAUSE_S)
                self._flush_small(is_idle=not self._todo)
                self._changed.notify_all()

    def _prepare(self, job: dict[str, Any]) -> bool:
        """Prepare one job; False when it is to be tried again."""
        token = str(job["token"])
        try:
            manifest = self._preparation.prepare(job, self._made.get(token))
            self._made.take(token)
            if not self._told(job, manifest):
                return self._is_stopping
        except Gone as error:
            self._lose(job, "invalid" if not job.get("made") else "internal_error", str(error))
            return True
        except OSError as error:
            self._failing(f"a file of run {self._run_id} cannot be kept ({error.strerror}); tried again")
            return False
        except Exception as error:  # noqa: BLE001 - counted; one poison job must not hold up the rest
            let_through(error)
            self._lose(job, "internal_error", f"{type(error).__name__}: {error}")
            return True
        if manifest.facts.get("left_out_count"):
            logger.warning(
                "artifact %s: %s entries were left out: %s",
                job.get("name"),
                manifest.facts["left_out_count"],
                "; ".join(manifest.facts["left_out"][:3]),
            )
        self._queue(job, manifest)
        return True

    def _told(self, job: dict[str, Any], manifest: Manifest) -> bool:
        """Tell a media row, once."""
        if job.get("kind") != "media" or job.get("told"):
            return True
        if not self._tell([(str(job["token"]), semconv.EVENT_MEDIA, media_row(job, manifest))]):
            return False
        self._journal.note([str(job["token"])], told=True)
        return True

    def _queue(self, job: dict[str, Any], manifest: Manifest) -> None:
        if self._server is None:
            return
        with self._changed:
            if job.get("kind", "artifact") == "artifact":
                self._ready.append(_Ready([(job, manifest)]))
            else:
                if not self._small:
                    self._small_since_s = time.monotonic()
                self._small.append((job, manifest))
            self._changed.notify_all()

    def _flush_small(self, *, is_idle: bool) -> None:
        """Let media go when there is no more of it, when it is much, or when it has waited."""
        if not self._small:
            return
        has_lingered = time.monotonic() - self._small_since_s >= LINGER_S
        if not (is_idle or has_lingered or len(self._small) >= MAX_TOGETHER):
            return
        groups: dict[tuple[str, str], list[tuple[dict[str, Any], Manifest]]] = {}
        for job, manifest in self._small:
            # What was together when its process died stays together, so that it is the same upload.
            groups.setdefault((job["kind"], job.get("group", "")), []).append((job, manifest))
        self._small = []
        for group in groups.values():
            for first in range(0, len(group), MAX_TOGETHER):
                self._ready.append(_Ready(group[first : first + MAX_TOGETHER]))

    # The senders.

    def _send_all(self) -> None:
        while True:
            with self._changed:
                ready = self._next()
                if ready is None:
                    return
                self._busy += 1
            try:
                self._send(ready)
            except Stopped:
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                let_through(error)
                self._again(ready, Retry(None, f"{type(error).__name__}: {error}"))
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()

    def _next(self) -> _Ready | None:
        """Return what may go now, None at the end; with the lock held."""
        while not self._is_stopping:
            now = time.monotonic()
            due = next((each for each in self._ready if each.not_before_s <= now), None)
            if due is not None:
                self._ready.remove(due)
                return due
            wakes = [each.not_before_s - now for each in self._ready]
            self._changed.wait(min(wakes) if wakes else None)
        return None

    def _send(self, ready: _Ready) -> None:
        assert self._server is not None
        project_id = self._server.project_id()
        if not isinstance(project_id, str):
            self._again(ready, project_id)
            return
        manifest, request = self._request(ready, project_id)
        result = shipment.send(
            self._server.wire,
            request,
            manifest,
            is_resumed=self._is_adopted or ready.attempts > 0,
            width=self._options.width,
        )
        if isinstance(result, Delivered):
            self.last_error = None
            version = result.artifact.get("versionName") or result.artifact.get("version")
            logger.debug("run %s: %s %s is uploaded", self._run_id, request.facts.get("name"), version)
            self._settle(ready.tokens, "delivered")
        elif isinstance(result, Changed):
            self._anew(ready)
        elif isinstance(result, Reject):
            self._reject(ready, result)
        else:
            self._again(ready, result)

    def _request(self, ready: _Ready, project_id: str) -> tuple[Manifest, shipment.Request]:
        job, manifest = ready.jobs[0]
        kind = job.get("kind", "artifact")
        assert self._server is not None
        if kind == "artifact":
            facts = facts_of(job, manifest)
            key = f"{job['token']}-{digest(manifest.files)[:16]}"
        else:
            manifest = _together([each for _, each in ready.jobs], [each for each, _ in ready.jobs])
            facts = {"name": kind, "artifactType": kind, "kind": kind}
            key = hashlib.sha256("\n".join(ready.tokens).encode()).hexdigest()[:32]
            self._journal.note(
                [
                    token
                    for token, (each, _) in zip(ready.tokens, ready.jobs, strict=True)
                    if "group" not in each
                ],
                group=key,
            )
        return manifest, shipment.Request(project_id, self._server.run_id, key, facts)

    def _anew(self, ready: _Ready) -> None:
        """Hash once more what has changed since; what never stands still cannot be recorded."""
        if self._split(ready):
            return
        job, _ = ready.jobs[0]
        job["changes"] = job.get("changes", 0) + 1
        if job["changes"] > MAX_CHANGES:
            self._lose(job, "invalid", "it kept changing while it was sent, and is too large for a copy")
            return
        self._preparation.again(job)
        job["seen"] = [-1, -1]
        with self._changed:
            self._todo.append(job)
            self._changed.notify_all()

    def _split(self, ready: _Ready) -> bool:
        """Let each job of a group go alone: one of them is the reason, and only that one is lost."""
        if len(ready.jobs) == 1:
            return False
        for job, _ in ready.jobs:
            job["group"] = job["token"]
        with self._changed:
            self._ready += [_Ready([each]) for each in ready.jobs]
        return True

    def _reject(self, ready: _Ready, result: Reject) -> None:
        if self._split(ready):
            return
        job, _ = ready.jobs[0]
        why = f"artifact {_shown(job)}: the server refused it: {result.why}"
        self._warn(f"refused {job['token']}", f"run {self._run_id}: {why}; it is counted as rejected")
        self._settle(ready.tokens, "rejected", reason="rejected", why=why)

    def _again(self, ready: _Ready, result: Retry | Pause) -> None:
        ready.attempts += 1
        if isinstance(result, Retry):
            wait_s = schedule(ready.attempts, result.after_s, self._rng)
        else:
            wait_s = pause_s(ready.attempts)
        ready.is_paused = isinstance(result, Pause)
        ready.not_before_s = time.monotonic() + wait_s
        self._failing(f"artifacts of run {self._run_id} wait: {result.why}")
        with self._changed:
            self._ready.append(ready)

    def _lose(self, job: Mapping[str, Any], reason: str, why: str) -> None:
        words = f"artifact {_shown(job)}: {why}"
        self._warn(f"lost {job['token']}", f"run {self._run_id}: {words}; it is lost and counted {reason}")
        self._settle([str(job["token"])], "lost", reason=reason, why=words)

    def _settle(self, tokens: list[str], fate: Any, *, reason: str = "", why: str = "") -> None:
        try:
            self._journal.settle(tokens, fate, reason=reason, why=why)
        except OSError as error:
            # It is told again by whoever adopts the spool; the server answers that it has it.
            self._failing(f"the journal of run {self._run_id} cannot be written ({error.strerror})")
            return
        for token in tokens:
            self._made.take(token)
            self._preparation.remove(token)
        with self._changed:
            self._changed.notify_all()

    def _failing(self, words: str) -> None:
        self.last_error = words
        self._warn("failing", words)

    def _warn(self, key: str, words: str) -> None:
        now = time.monotonic()
        if now - self._warned.get(key, -WARN_AGAIN_S) >= WARN_AGAIN_S:
            self._warned[key] = now
            logger.warning("%s", words)


def facts_of(job: Mapping[str, Any], manifest: Manifest) -> dict[str, Any]:
    """Return the further fields of `initiate` for a job of kind `artifact`."""
    metadata = {**(job.get("metadata") or {}), **{f"rundial.{k}": v for k, v in manifest.facts.items()}}
    facts = {
        "name": job["name"],
        "artifactType": job.get("type"),
        "aliases": job.get("aliases"),
        "metadata": metadata or None,
        "retentionPolicy": job.get("retention"),
        "step": job.get("step"),
        "kind": "artifact",
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _together(manifests: list[Manifest], jobs: list[dict[str, Any]]) -> Manifest:
    files: dict[str, FileEntry] = {}
    for job, manifest in zip(jobs, manifests, strict=True):
        for entry in manifest.files:
            path = f"{job['place']}{entry.path}"
            files[path] = entry._replace(path=path)
    return Manifest(tuple(files.values()), {})


def _shown(job: Mapping[str, Any]) -> str:
    return f"{job.get('key') or job.get('name') or job.get('kind')!s}"[:200]
