"""A run in a forked child: another instance of the same run, made at its first record.

The child shares nothing with its parent: it has its own ring, spool, instance id and connections,
and threads of its own, none of which exist before the child logs. A child never ends its parent's run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from rundial.api.disabled import DisabledDelivery
from rundial.api.firstrecord import FirstRecord
from rundial.errors import RundialError
from rundial.logger import logger
from rundial.typed import TYPE_CHECKING, Any
from rundial.value import changed

if TYPE_CHECKING:
    from rundial.api.nowhere import Nowhere
    from rundial.api.pipeline import Attached
    from rundial.api.run import Run
    from rundial.api.session import Session
    from rundial.api.sink import Delivery, Sink
    from rundial.api.start import Parts
    from rundial.api.target import Target
    from rundial.diagnostics import RundialDiagnostics
    from rundial.recorder.ring import Ring


class ChildSide:
    """Stands in for a run's sink and delivery until the child's first record.

    Args:
        run: The run in this process.
        target: Where its records are to go.
        after: The parent's ring; None in a process that was not forked, but got the run by pickle.
        session: This process's.
    """

    def __init__(self, run: Run, target: Target, after: Ring | None, session: Session) -> None:
        self._run = run
        self._target = target
        self._parent_ring = after
        self._identity = run.identity
        self._session = session
        self._nowhere: Nowhere | None = None

    @classmethod
    def of(cls, run: Run, attached: Attached, parts: Parts, session: Session) -> ChildSide:
        """Return the stand-in of a parent's run."""
        return cls(run, attached.target, parts.pipeline.ring, session)

    def pair(self) -> tuple[Sink, Delivery]:
        """Return what the run is wired to meanwhile."""
        return FirstRecord(self._begin), _Nothing(self._target.key)

    def _begin(self) -> Sink:
        """Begin, or have the run go nowhere; the program never hears of it but by a warning."""
        if self._nowhere is not None:
            return self._nowhere
        try:
            return self._begun()
        except (RundialError, OSError) as error:
            return self._go_nowhere(error)

    def _go_nowhere(self, error: Exception) -> Sink:
        from rundial.api.nowhere import Losses, Nowhere, NowhereDelivery

        losses = Losses()

        def again() -> Sink:
            try:
                sink = self._begun()
            except (RundialError, OSError):
                return nowhere
            self._nowhere = None
            losses.move_to(sink.drop)
            return sink

        self._nowhere = nowhere = Nowhere(again, losses)
        why = f"a forked process cannot record, and what it logs is lost and counted: {error}"
        self._run.rewire(nowhere, NowhereDelivery(self._target.key, losses, why))
        logger.warning("run %s: %s", self._identity["run_id"], why)
        return nowhere

    def _begun(self) -> Sink:
        from rundial.api import leaving, start
        from rundial.api.delivery import RunDelivery
        from rundial.api.session import install_hooks

        session, run = self._session, self._run
        with session.lock:
            if session.parts is None:
                session.parts = start.Parts(run.settings, after=self._parent_ring)
            parts: Parts = session.parts
            identity = {**self._identity, "instance_id": os.urandom(16).hex(), "is_child": True}
            # An exporter object is the parent's: it may hold locks and threads that do not exist here.
            settings = changed(run.settings, exporters=())
            attached = start.attach(parts, identity, settings, self._target, None)
            delivery = RunDelivery(parts.pipeline, attached, run.settings, ends_run=())
            start.go(parts, attached, identity, run.settings)
            parts.live[run] = (attached, delivery)
            delivery.on_done = lambda: parts.forget(run)
            run.rewire(attached.recorder, delivery)
        if self._parent_ring is None:
            # A forked child has its parent's hooks.
            install_hooks(session)
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            # A worker of multiprocessing leaves by os._exit, which runs no atexit hook.
            util.Finalize(None, leaving.at_exit, args=(session,), exitpriority=100)
        return attached.recorder


class _Nothing(DisabledDelivery):
    """A child that has logged nothing has nothing to deliver."""

    def diagnostics(self, counts: Mapping[str, Any]) -> RundialDiagnostics:
        """Return zeros."""
        return super().diagnostics(counts)
