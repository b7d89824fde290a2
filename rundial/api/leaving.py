"""How a process leaves: exit without `finish`, SIGTERM, fork.

No thread is started here, nothing waits longer than the run's finish timeout, and the last line says
what is left and how to send it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from rundial.api.child import ChildSide
from rundial.api.ending import MAX_REASON_CHARS, Ending
from rundial.logger import logger
from rundial.typed import TYPE_CHECKING
from rundial.value import changed

if TYPE_CHECKING:
    from rundial.api.run import Run
    from rundial.api.session import Session
    from rundial.api.start import Left, Parts


STOP_S = 0.3
# The process goes on, and would keep the ring's file of threads that were not waited for.
LET_GO_S = 1.0


def at_exit(session: Session, *, tells: bool = True) -> None:
    """End what is still open, bring it to disk, send for a bounded time. Idempotent.

    Args:
        session: Whose runs.
        tells: Say what is left and how to send it.
    """
    parts: Parts | None = session.parts
    if parts is None:
        return
    from rundial.api.start import Left

    ending = _ending(session)
    open_runs = [run for run in parts.live if not run.has_finished]
    limits = [run.settings.finish_timeout_seconds for run in parts.live]
    end = time.monotonic() + max(limits, default=0.0)
    for run in open_runs:
        left_s = max(0.0, end - time.monotonic())
        if run.outlives_process:
            run.leave(left_s)
        else:
            run.end(_end_of(run, ending), left_s)
    for run, (attached, delivery) in list(parts.live.items()):
        # What a finish could not wait for may have been answered since. One inside a signal handler
        # could not wait at all.
        if not delivery.is_done:
            run.close(max(0.0, end - time.monotonic()) if delivery.is_cut_short else 0.0)
        if tells and not delivery.is_done:
            _say(Left.of(run, attached, delivery))
    for left in parts.left:
        if tells and (left.waiting or left.files):
            _say(left)
    session.exits.restore()
    parts.watching.stop(STOP_S)
    parts.pipeline.stop(STOP_S)
    parts.close(STOP_S)
    session.parts = None
    _stay_interrupted()


def let_go(session: Session, runs: Sequence[Run]) -> None:
    """Leave to others what ended runs have on disk, and end this process's threads if no run needs them.

    The next run of the process makes parts of its own.
    """
    parts: Parts | None = session.parts
    if parts is None:
        return
    from rundial.api.start import Left

    end = time.monotonic() + LET_GO_S
    for run in runs:
        known = parts.live.get(run)
        if known is None or not run.has_finished:
            continue
        if not known[1].let_go():
            # Its deadline was too short for the disk; the encoder has had time since.
            run.close(max(0.0, end - time.monotonic()))
            if not known[1].let_go():
                continue
        _say(Left.of(run, *known))
        del parts.live[run]
    with session.lock:
        if session.parts is not parts or parts.live or parts.beginning:
            return
        session.parts = None
    parts.watching.stop(LET_GO_S)
    parts.pipeline.stop(LET_GO_S)
    for thread in parts.adopters:
        # It has nothing more to wait for: its sender has stopped.
        thread.join(LET_GO_S)
    for left in parts.left:
        if left.waiting or left.files:
            _say(left)
    parts.remove_volatile()


def in_child(session: Session) -> None:
    """After a fork: let go of the parent's parts; each run gets parts of its own at its first record."""
    parts: Parts | None = session.parts
    session.parts = None
    if parts is None:
        return
    parts.pipeline.abandon_in_child()
    for run, (attached, _) in parts.live.items():
        run.leave_spans_to_parent()
        if not run.has_finished:
            run.rewire(*ChildSide.of(run, attached, parts, session).pair())


def _ending(session: Session) -> Ending:
    """How the process ends, as far as the interpreter tells."""
    if session.was_terminated:
        return Ending("aborted", "SIGTERM")
    return session.exits.ending()


def _stay_interrupted() -> None:
    """Have a program that Ctrl-C ended leave by that signal, as a shell's loop needs it to."""
    if not isinstance(getattr(sys, "last_value", None), KeyboardInterrupt):
        return
    # The interpreter notes at each text of code that it runs whether that was interrupted, and classes
    # that we import at the exit are made from such texts. So it is shown once more.
    with suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")


def _end_of(run: Run, ending: Ending) -> Ending:
    """How a run ends that nobody has finished; one whose machine was taken away did not complete."""
    if not run.is_preempting:
        return ending
    said = "preempted" if ending.reason is None else f"preempted; {ending.reason}"[:MAX_REASON_CHARS]
    status = "aborted" if ending.status == "completed" else ending.status
    return changed(ending, status=status, reason=said)


def _say(left: Left) -> None:
    if left.is_volatile and (left.waiting or left.files):
        logger.warning(
            "run %s: %s were not sent in time and are lost: spool_enabled=False keeps nothing "
            "beyond the process",
            left.run_id,
            _amount(left),
        )
    elif os.path.exists(left.directory) and not left.is_volatile:
        logger.warning(
            "run %s: %s wait in %s; send them with: rundial sync %s",
            left.run_id,
            _amount(left),
            left.directory,
            left.root,
        )


def _amount(left: Left) -> str:
    records = f"{left.waiting:,} records"
    return records if not left.files else f"{records} and {left.files:,} artifacts"
