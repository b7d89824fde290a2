"""`sync_tensorboard=True`: what a program writes to TensorBoard is recorded too, at the event's own step.

The event writer of the package `tensorboard`, which torch and others use, is watched while the run goes on.
That is the one place where another package is changed, and it is given back when the run ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rundial.interrupts import let_through
from rundial.logger import logger
from rundial.media.values import Histogram, Image

if TYPE_CHECKING:
    from rundial.compat.wandb.wandbrun import Run


def follow(run: Run) -> Callable[[float], None]:
    """Record what is written to TensorBoard from now on; returns what ends it."""
    try:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        logger.warning("sync_tensorboard: the package tensorboard is not installed; nothing is followed")
        return lambda _timeout_s: None
    before = EventFileWriter.add_event
    roots: list[str] = []

    def add_event(self: Any, event: Any) -> None:
        before(self, event)
        try:
            _record(run, event, _namespace(roots, str(self.get_logdir())))
        except Exception as error:  # noqa: BLE001 - TensorBoard itself goes on whatever becomes of ours
            let_through(error)
            logger.warning("an event of TensorBoard could not be recorded", exc_info=error)

    EventFileWriter.add_event = add_event

    def end(timeout_s: float) -> None:
        del timeout_s
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
    if not event.HasField("summary"):
        return
    step = int(event.step)
    # One event has one time; TensorBoard's seconds are the ones that count.
    time_ms = int(event.wall_time * 1000)
    for value in event.summary.value:
        name, found = f"{prefix}{value.tag}", _value(value)
        if found is not None:
            run.recorded.log({name: found}, step=step, time_ms=time_ms)
            run.summary.note({name: found} if isinstance(found, (int, float)) else {}, {}, step)


def _value(value: Any) -> Any:
    """Return the value of a summary as Rundial has it; None for what has no counterpart."""
    which = value.WhichOneof("value")
    if which == "simple_value":
        return float(value.simple_value)
    if which == "image":
        return _image(value.image.encoded_image_string)
    if which == "histo":
        return _histogram(value.histo)
    if which == "tensor":
        numbers = value.tensor.float_val or value.tensor.double_val
        return float(numbers[0]) if len(numbers) == 1 else None
    return None


class _Encoded:
    """An encoded picture as something that is saved as a picture is."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def save(self, target: Any, format: str = "png") -> None:
        del format
        target.write(self._content)


def _image(content: bytes) -> Image | None:
    return Image(_Encoded(content)) if content.startswith(b"\x89PNG") else None


def _histogram(histogram: Any) -> Histogram | None:
    limits, counts = list(histogram.bucket_limit), list(histogram.bucket)
    if not counts or len(limits) != len(counts):
        return None
    first = min(histogram.min, limits[0])
    edges = [
        first,
        *limits[:-1],
        max(min(limits[-1], histogram.max), limits[-2] if len(limits) > 1 else first),
    ]
    return Histogram(counts=counts, edges=edges) if len(counts) <= 512 else None
