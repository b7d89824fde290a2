"""The parts of one process, wired together: one ring, one encoder, a sender for each origin.

Made by the first run of a process and kept for its life; a forked child makes its own, at its first
record. Everything here runs on the caller of `init` and `finish`; the threads are the parts' own.
"""

from __future__ import annotations

import os
import time
from binascii import b2a_base64
from collections.abc import Callable
from threading import Lock

from rundial.api.quiet import Quiet
from rundial.api.target import RunSource, Target
from rundial.clock import SystemClock
from rundial.logger import logger
from rundial.recorder import place
from rundial.recorder.encoder import Encoder
from rundial.recorder.form import Form
from rundial.recorder.keysets import KeySets
from rundial.recorder.mapping import RingFile
from rundial.recorder.place import Place
from rundial.recorder.ring import Ring
from rundial.recorder.runencoder import RunEncoder
from rundial.recorder.runrecorder import RunRecorder
from rundial.settings import Settings
from rundial.signals.resource import Identity, encode_resource, run_resource
from rundial.spool.meta import Meta
from rundial.spool.spool import Spool
from rundial.typed import TYPE_CHECKING, Any
from rundial.value import changed

if TYPE_CHECKING:
    from rundial.api.branches import Branch
    from rundial.api.hook import Hook
    from rundial.artifacts.uploads import Uploads
    from rundial.export.outcome import Outcome
    from rundial.export.policy import Policy
    from rundial.export.sender import Sender
    from rundial.system.watch import Watch


CHILD_RING_BYTES = 2 << 20
RING_CHECK_S = 1.0
# The runs' finishes have had their time: a request that a server still holds is cut, and sent again
# by whoever adopts the spool.
SENDER_STOP_S = 0.1
# How full the ring may be for the encoder's thread to import something that can wait.
CALM = 0.02
# The last comes first: for the process's end, the ledger, and what we may have to say.
LATER = ("logging", "rundial.diagnostics", "rundial.api.leaving")


class Attached:
    """One run in this process: its recorder, its spool, and who sends it.

    Attributes:
        recorder: Where its records go.
        spool: Where they wait.
        target: Where they are to go.
        run_encoder: The encoder's side.
        source: The sender's side; None offline.
        sender: Who sends it; None offline.
        watch: The run's system metrics; None where none are wanted.
        policy: How its requests are tried again; None offline.
        hook: The user's `event_hook`; None where there is none.
        id_generator: Makes the ids of its spans; None makes random ones.
        uploads: The way of its files; None before the first.
        branches: Further places that get it.
    """

    __slots__ = (
        "branches",
        "hook",
        "id_generator",
        "policy",
        "recorder",
        "run_encoder",
        "sender",
        "source",
        "spool",
        "target",
        "uploads",
        "watch",
    )

    def __init__(self, recorder: RunRecorder, spool: Spool, target: Target, run_encoder: RunEncoder) -> None:
        self.recorder = recorder
        self.spool = spool
        self.target = target
        self.run_encoder = run_encoder
        self.source: RunSource | None = None
        self.sender: Sender | None = None
        self.watch: Watch | None = None
        self.id_generator: Any = None
        self.policy: Policy | None = None
        self.hook: Hook | None = None
        self.uploads: Uploads | None = None
        self.branches: list[Branch] = []


class Pipeline:
    """The recorder, encoder and senders of this process.

    Args:
        settings: Of the run that is the first in the process; its ring size and interval count.
        on_pass: Called on the encoder's thread after each pass.
        after: The ring of the parent process, in a forked child.
    """

    def __init__(self, settings: Settings, *, on_pass: Callable[[], None], after: Ring | None = None) -> None:
        self._root = settings.spool_directory
        size = settings.ring_bytes if after is None else min(settings.ring_bytes, CHILD_RING_BYTES)
        self._ring_bytes = size
        self.place, file = _make_ring(self._root, size)
        self._on_pass = on_pass
        self.ring = Ring(file, wake=self._wake, after=after)
        self.keysets = KeySets()
        # Held while modules are imported on the encoder's thread.
        self.quiet = Quiet()
        self.encoder = Encoder(
            self.ring,
            on_pass=self._upkeep,
            prepare=self._prepare,
            interval_s=settings.flush_interval_seconds,
        )
        self.pid = os.getpid()
        self.attached: list[Attached] = []
        # The files that earlier processes left, while they are on their way.
        self.adopted: list[Uploads] = []
        # Held while what a dead process left is read from its ring.
        self.adopting = Lock()
        self._senders: dict[str, Sender] = {}
        # Guards the list of runs and senders.
        self._lock = Lock()
        self._next_check_s = 0.0
        self._later = list(LATER)
        self._has_begun = False

    @property
    def durability(self) -> str:
        """What the ring survives."""
        return self.place.durability

    def attach(
        self,
        settings: Settings,
        identity: Identity,
        meta: Meta,
        target: Target,
    ) -> Attached:
        """Let a run's records in; nothing is written or sent before `begin`.

        Raises:
            SpoolError: The spool directory cannot be used.
            OSError: As above.
            RundialError: Too many runs are open in this process.
        """
        resource = encode_resource(run_resource(identity))
        slot = self.ring.open_slot()
        try:
            spool = Spool.create(
                settings.spool_directory,
                self._described(meta, slot.index, resource),
                max_bytes=settings.spool_max_bytes,
                max_age_s=settings.spool_max_age_seconds,
                durability=settings.durability,
                clock=SystemClock(),
            )
        except BaseException:
            self.ring.close_slot(slot)
            raise
        form = Form(settings.max_batch_points, settings.gzip_enabled, settings.gzip_min_bytes)
        run_encoder = RunEncoder(slot.index, spool, resource, form)
        run_encoder.keeps_open = True
        recorder = RunRecorder(
            self.ring,
            slot,
            self.keysets,
            encoder=self.encoder,
            run_encoder=run_encoder,
            capacity=settings.queue_capacity,
        )
        attached = Attached(recorder, spool, target, run_encoder)
        if settings.exporters or len(settings.otlp_endpoint) > settings.is_plain_otlp:
            self._branch_off(attached, settings)
        self.encoder.add(run_encoder)
        if settings.event_hook is not None:
            from rundial.api.hook import Hook

            attached.hook = Hook(settings.event_hook, identity.run_id)
        with self._lock:
            self.attached.append(attached)
        return attached

    def _branch_off(self, attached: Attached, settings: Settings) -> None:
        from rundial.api import branches

        try:
            attached.branches = branches.open_all(attached, settings)
        except BaseException:
            self.ring.close_slot(attached.recorder.slot)
            attached.spool.remove()
            raise

    def start(self) -> None:
        """Start the encoder, once."""
        with self._lock:
            if not self._has_begun:
                self._has_begun = True
                self.encoder.start()

    def begin(
        self, attached: Attached, settings: Settings, on_attempt: Callable[[int], None] | None = None
    ) -> None:
        """Have a run's records written and sent; starts the threads that are not there yet.

        Args:
            attached: The run.
            settings: Its settings.
            on_attempt: Told the attempt, should the server count it differently.
        """
        attached.run_encoder.on_job = lambda: self.see_to_files(attached, settings)
        self.start()
        if settings.mode == "online":
            self._connect(attached, settings, on_attempt)

    def see_to_files(self, attached: Attached, settings: Settings) -> None:
        """Have a run's files seen to; the first time makes what sees to them."""
        if attached.uploads is None:
            with self.quiet:
                from rundial.api import uploading

                uploading.prepare()
                # The encoder and a flush may both have come here.
                if attached.uploads is None:
                    attached.uploads = uploading.of_run(attached, settings)
        attached.uploads.wake()

    def _connect(
        self, attached: Attached, settings: Settings, on_attempt: Callable[[int], None] | None
    ) -> None:
        """Have a run's spool sent from now on."""
        from rundial.export.policy import Policy

        spool, target = attached.spool, attached.target
        timeout_s = settings.request_timeout_seconds
        announce = None
        if spool.meta.extra["announced"] is False:
            from rundial.api.late import LateAnnouncement

            late = LateAnnouncement(spool.meta, target, timeout_s=timeout_s, on_attempt=on_attempt)
            announce = late.tell
        attached.source = RunSource(
            spool.lanes,
            target,
            label=f"run {spool.meta.run_id}",
            on_outcome=_teller(attached),
            announce=announce,
        )
        first_s = settings.retry_base_delay_seconds
        attached.policy = Policy(
            first_s,
            max(first_s, settings.retry_max_delay_seconds),
            settings.retry_jitter_ratio,
            settings.retry_max_attempts,
        )
        attached.sender = self.sender(target, settings)
        attached.sender.add(attached.source, policy=attached.policy)
        target.key.on_change = attached.sender.wake
        attached.run_encoder.on_publish = attached.sender.wake
        for branch in attached.branches:
            branch.begin(self, settings, attached.policy)

    def release(self, attached: Attached) -> None:
        """Forget a run whose records are all in its spool; its spool may go on being sent. Idempotent."""
        attached.recorder.freeze()
        self.encoder.remove(attached.run_encoder)
        with self._lock:
            if attached in self.attached:
                self.attached.remove(attached)
        self.ring.close_slot(attached.recorder.slot)

    def sender(self, target: Target, settings: Settings) -> Sender:
        """Return the sender of a target's origin."""
        with self._lock:
            sender = self._senders.get(target.origin)
            if sender is None:
                sender = make_sender(settings.request_timeout_seconds)
                self._senders[target.origin] = sender
            return sender

    def stop(self, deadline_s: float) -> None:
        """End the threads; what is not sent stays in the spool, and an empty ring leaves no file."""
        has_sealed = self._has_begun and self.encoder.stop(max(0.1, deadline_s))
        for sender in list(self._senders.values()):
            sender.stop(SENDER_STOP_S)
        for uploads in list(self.adopted):
            uploads.stop(SENDER_STOP_S)
        for attached in self.attached:
            if attached.uploads is not None:
                attached.uploads.stop(SENDER_STOP_S)
            for branch in attached.branches:
                branch.close()
            attached.spool.close()
        if has_sealed and not self.attached and self.ring.filled == 0:
            self.ring.file.remove()

    def abandon_in_child(self) -> None:
        """Let go of everything of the parent's after a fork; its threads do not exist here."""
        self.ring.abandon_in_child()
        for attached in self.attached:
            attached.spool.abandon_in_child()
            for branch in attached.branches:
                branch.mirror.spool.abandon_in_child()

    def _wake(self) -> None:
        self.encoder.wake()

    def _described(self, meta: Meta, slot: int, resource: bytes) -> Meta:
        return changed(
            meta,
            ring_path=self.ring.file.name,
            ring_id=self.ring.file.ring_id.hex(),
            run_index=slot,
            resource_b64=b2a_base64(resource, newline=False).decode(),
            host_id=place.host_id(),
            boot_id=self.ring.file.boot_id.hex(),
            pid=self.pid,
        )

    def _prepare(self) -> None:
        """Import what the first pass needs: nothing else, for the ring fills up meanwhile."""
        with self.quiet:
            import json  # noqa: F401 - to have them

            from rundial.recorder import batches, scan  # noqa: F401 - as above
            from rundial.signals import otlp  # noqa: F401 - as above
            from rundial.spool import openlanes  # noqa: F401 - as above

    def _import_later(self) -> None:
        """Import one more of what a run needs at its end, while there is little to encode.

        Early: whoever needs it finds it, whatever has become of the installation meanwhile, and no
        import of ours is under way when a program forks.
        """
        from importlib import import_module

        with self.quiet:
            import_module(self._later.pop())

    def _upkeep(self) -> None:
        """After each pass: keep the ring adoptable, and let the runs send their heartbeats."""
        # An import beside a busy loop takes a long time, in which a small ring would fill up.
        # And while somebody waits, such as a run's end, which would wait for it too.
        if self._later and self.ring.filled < CALM and not self.encoder.is_awaited:
            self._import_later()
        now = time.monotonic()
        if now >= self._next_check_s:
            self._next_check_s = now + RING_CHECK_S
            # Spools first: what is left of a ring that lost its name goes into them.
            for attached in list(self.attached):
                if not attached.spool.exists():
                    self._remake_spool(attached)
                for branch in attached.branches:
                    branch.remake(self.encoder.pass_lock)
            if not self.ring.file.is_linked:
                self._move_ring()
        self._on_pass()

    def _remake_spool(self, attached: Attached) -> None:
        """Go on in a new spool, because somebody deleted the directory; what waited in it is counted lost."""
        old = attached.spool
        meta, limits = old.meta, old.limits
        fresh = Spool.create(
            self._root,
            meta,
            max_bytes=limits.max_bytes,
            max_age_s=limits.max_age_s,
            durability=limits.durability,
        )
        if attached.sender is not None and attached.source is not None:
            attached.sender.remove(attached.source)
        if attached.uploads is not None:
            attached.uploads.stop(SENDER_STOP_S)
            attached.uploads = None
        with self.encoder.pass_lock:
            attached.recorder.carry()
            attached.run_encoder.move_to(fresh)
        attached.spool = fresh
        old.close()
        if attached.sender is not None and attached.source is not None:
            attached.source = RunSource(
                fresh.lanes,
                attached.target,
                label=attached.source.label,
                on_outcome=_teller(attached),
                announce=attached.source.announce,
            )
            attached.sender.add(attached.source, policy=attached.policy)
        logger.warning(
            "the spool directory %s was removed while run %s goes on; it was made again, and what had not "
            "been sent from it is counted as lost",
            old.directory,
            meta.run_id,
        )

    def _move_ring(self) -> None:
        """Make a new ring, because somebody deleted the file: nobody could adopt it after a kill."""
        os.makedirs(self._root, mode=0o700, exist_ok=True)
        self.place, file = _make_ring(self._root, self._ring_bytes)
        # Before the move: from its first record on, the new ring must be found after a kill. The old
        # one has no name any more, so nobody loses it.
        for attached in self.attached:
            attached.spool.update_meta(ring_path=file.name, ring_id=file.ring_id.hex())
        self.encoder.move_ring(file)


def _teller(attached: Attached) -> Callable[[str, Outcome], None] | None:
    """Return what passes outcomes on to the run's hook, None where it has none."""
    hook = attached.hook
    if hook is None:
        return None

    def tell(lane: str, outcome: Outcome) -> None:
        sender, source = attached.sender, attached.source
        report = sender.report(source).get(lane) if sender and source else None
        hook.on_outcome(lane, outcome, is_spent=report is not None and report.is_paused)

    return tell


def make_sender(timeout_s: float) -> Sender:
    """Return a sender with a transport of its own; imports HTTP only now, which offline runs never need."""
    from rundial.export.http import HttpTransport, Tls
    from rundial.export.sender import Sender
    from rundial.signals.split import split_request

    tls = Tls(
        ca_file=os.environ.get("OTEL_EXPORTER_OTLP_CERTIFICATE") or None,
        client_certificate=os.environ.get("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE") or None,
        client_key=os.environ.get("OTEL_EXPORTER_OTLP_CLIENT_KEY") or None,
    )
    return Sender(HttpTransport(tls), split_request, timeout_s=timeout_s)


def _make_ring(root: str, size_bytes: int) -> tuple[Place, RingFile]:
    """A ring where the rules allow one; in memory when even that fails."""
    chosen = place.choose(root, size_bytes)
    try:
        return chosen, RingFile.create(chosen, created_unix_ns=time.time_ns())
    except OSError:
        fallback = Place(None, "memory", size_bytes)
        return fallback, RingFile.create(fallback, created_unix_ns=time.time_ns())
