"""A run in a forked child: another instance of the same run, made at its first record.

The child shares nothing with its parent: it has its own ring, spool, instance id and connections,
and threads of its own, none of which exist before the child logs. A child never ends its parent's run.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rundial.api.disabled import DisabledDelivery
from rundial.diagnostics import Ledger, Reason, RundialDiagnostics, Signal

if TYPE_CHECKING:
    from rundial.api.pipeline import Attached
    from rundial.api.run import Run
    from rundial.api.session import Session
    from rundial.api.sink import Delivery, Sink
    from rundial.api.start import Parts


class ChildSide:
    """Stands in for a run's sink and delivery until the child's first record."""

    def __init__(self, run: Run, attached: Attached, parts: Parts, session: Session) -> None:
        self._run = run
        self._parent = attached
        self._parent_ring = parts.pipeline.ring
        self._identity = run.identity
        self._session = session

    @classmethod
    def of(cls, run: Run, attached: Attached, parts: Parts, session: Session) -> ChildSide:
        """Return the stand-in of a parent's run."""
        return cls(run, attached, parts, session)

    def pair(self) -> tuple[Sink, Delivery]:
        """Return what the run is wired to meanwhile."""
        return self, _Nothing(self._parent.target.key)

    def _begin(self) -> Sink:
        from rundial.api import leaving, start
        from rundial.api.delivery import RunDelivery

        session, run = self._session, self._run
        with session.lock:
            if session.parts is None:
                session.parts = start.Parts(run.settings, after=self._parent_ring)
            parts: Parts = session.parts
            identity = {**self._identity, "instance_id": uuid.uuid4().hex, "is_child": True}
            attached = start.attach(parts, identity, run.settings, self._parent.target, None)
            delivery = RunDelivery(parts.pipeline, attached, run.settings, ends_run=())
            parts.live[run] = (attached, delivery)
            delivery.on_done = lambda: parts.forget(run)
            run.rewire(attached.recorder, delivery, make_tracer=start.tracer_maker(attached))
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            # A worker of multiprocessing leaves by os._exit, which runs no atexit hook.
            util.Finalize(None, leaving.at_exit, args=(session,), exitpriority=100)
        return attached.recorder

    def key_set(self, names: Sequence[str], attributes: tuple[tuple[str, str], ...]) -> Any:
        """Begin, and return a key set."""
        return self._begin().key_set(names, attributes)

    def row(self, keys: Any, body: bytes, step: int, explicit_ns: int = 0) -> bool:
        """Begin, and offer a row."""
        return self._begin().row(keys, body, step, explicit_ns)

    def explicit_unix_ns(self, time_ms: int) -> int:
        """Return a unique time."""
        return self._begin().explicit_unix_ns(time_ms)

    def text(self, body: bytes, time_ms: int | None = None) -> bool:
        """Begin, and offer a line."""
        return self._begin().text(body, time_ms)

    def event(self, name: str, body: Mapping[str, object]) -> bool:
        """Begin, and offer an event."""
        return self._begin().event(name, body)

    def drop(self, signal: Signal, reason: Reason, units: int) -> None:
        """Begin, and count a loss."""
        self._begin().drop(signal, reason, units)

    def ledger(self) -> Ledger:
        """Return an empty account: the parent's is the parent's."""
        return Ledger()


class _Nothing(DisabledDelivery):
    """A child that has logged nothing has nothing to deliver."""

    def diagnostics(self, counts: Mapping[str, Any]) -> RundialDiagnostics:
        """Return zeros."""
        return super().diagnostics(counts)
