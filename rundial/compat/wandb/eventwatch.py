"""`sync_tensorboard=True`: what a program writes to TensorBoard is recorded too, at the event's own step.

The event writer of the package `tensorboard`, which torch and others use, is watched while the run goes on.
That is the one place where another package is changed, and it is given back when the run ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rundial.importers.eventvalues import Value, values_of
from rundial.interrupts import let_through
from rundial.logger import logger
from rundial.signals import semconv

if TYPE_CHECKING:
    from rundial.compat.wandb.wandbrun import Run
    from rundial.media.values import Media

INFO = semconv.SEVERITY["info"]


def follow(run: Run) -> Callable[[float], None]:
    """Record what is written to TensorBoard from now on; returns what ends it."""
    try:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        logger.warning("sync_tensorboard: the package tensorboard is not installed; nothing is followed")
        return lambda _timeout_s: None
    before = EventFileWriter.add_event
    roots: list[str] = []
    has_ended = False

    def add_event(self: Any, event: Any) -> None:
        before(self, event)
        if has_ended:
            return
        try:
            _record(run, event, _namespace(roots, str(self.get_logdir())))
        except Exception as error:  # noqa: BLE001 - TensorBoard itself goes on whatever becomes of ours
            let_through(error)
            _leave_out(run, "event", f"an event could not be read: {error!r}")

    EventFileWriter.add_event = add_event

    def end(timeout_s: float) -> None:
        nonlocal has_ended
        del timeout_s
        # Another run that began meanwhile may have taken the place: then ours stays below it, and is quiet.
        has_ended = True
        if EventFileWriter.add_event is add_event:
            EventFileWriter.add_event = before

    return end


def _namespace(roots: list[str], directory: str) -> str:
    """Return what tells several log directories apart; nothing where there is one."""
    path = os.path.abspath(directory)
    if path not in roots:
        roots.append(path)
    return "" if path == roots[0] else f"{os.path.basename(path)}/"


def _record(run: Run, event: Any, prefix: str) -> None:
    # One event has one time; TensorBoard's seconds are the ones that count.
    for value in values_of(event.SerializeToString()):
        _keep(run, value, f"{prefix}{value.tag}")


def _keep(run: Run, value: Value, name: str) -> None:
    recorded, content = run.recorded, value.content
    if value.kind == "scalar":
        recorded.log({name: content}, step=value.step, time_ms=value.time_ms)
        run.summary.note({name: content}, {}, value.step)
    elif value.kind == "text":
        attributes = {semconv.STEP: value.step, semconv.TEXT_KEY: name}
        for text in content:
            recorded.line(INFO, text, time_ms=value.time_ms, attributes=attributes)
    elif value.kind == "hparams":
        run.config.update(content, allow_val_change=True)
    elif value.kind in ("image", "histogram"):
        for make in content:
            _show(run, make, name, value)
    else:
        _leave_out(
            run, value.kind, f"what TensorBoard is given of the kind {value.kind!r} has no counterpart"
        )


def _show(run: Run, make: Callable[[], Media], name: str, value: Value) -> None:
    try:
        shown = make()
    except ValueError as error:
        _leave_out(run, value.kind, f"{name}: {error}")
        return
    run.recorded.log({name: shown}, step=value.step, time_ms=value.time_ms)


def _leave_out(run: Run, kind: str, why: str) -> None:
    run.recorded.keep_out(
        1, f"sync_tensorboard:{kind}", f"sync_tensorboard: {why}; not recorded, and counted"
    )
