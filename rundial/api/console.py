"""Console capture: what a program writes to stdout and stderr becomes text lines of its run.

The streams stay the very objects that they were: only their `write` is wrapped, so `isatty`,
`encoding`, `fileno`, `buffer` and who holds a reference see no difference, and `writelines` and
`print` pass through. (In a notebook a stand-in takes their place in `sys`.) What is written goes to
the original first; its exceptions are the caller's.
Text below Python (`os.write`, a C library, a child process) is not seen; `rundial.api.descriptors` sees it.

Each thread's output is cut into lines of its own, so that lines never mix. Output of our own threads
is left alone: a line about sending a line would never end. What is written while a line is being
recorded (a warning of ours, a finaliser) is recorded after it.

Threads: any thread that writes; no lock, for a signal handler may write in the midst of anything.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any

from rundial.interrupts import let_through
from rundial.signals import semconv
from rundial.signals.consoleline import ConsoleLine, ConsoleLines
from rundial.signals.redaction import redact_shapes

if TYPE_CHECKING:
    from rundial.api.run import Run

SEVERITIES = {"stdout": semconv.SEVERITY["info"], "stderr": semconv.SEVERITY["error"]}
# Of what is written while a line is being recorded; each would be recorded in its turn.
MAX_LATER = 256
# Threads that are remembered before those that hold nothing back are forgotten.
MAX_IDLE_THREADS = 64


class _Side:
    """One thread's half-written lines on one stream; used by that thread alone, until the end."""

    def __init__(self, numbers: Callable[[], int]) -> None:
        self.lines = ConsoleLines(numbers, time.monotonic)
        self.is_ours = threading.current_thread().name.startswith("rundial-")
        self.is_busy = False
        self.later: deque[str] = deque()


def _is_notebook() -> bool:
    """Whether an IPython shell runs this program; it may also have been imported for something else."""
    current: Callable[[], object] = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    return current() is not None


class Tap:
    """Stands in for one stream's `write`.

    Args:
        stream: Whose.
        name: `stdout` or `stderr`.
        run: Whose text it becomes.

    Attributes:
        is_open: Whether anything is recorded; a closed tap passes everything through.
    """

    def __init__(self, stream: Any, name: str, run: Run) -> None:
        self.is_open = True
        self._stream = stream
        self._name = name
        self._run = run
        self._write: Callable[[str], int] = stream.write
        self._forget()

    def __call__(self, text: str) -> int:
        """Write to the original, then record."""
        written = self._write(text)
        self.record(text)
        return written

    def record(self, text: str) -> None:
        """Record what was written."""
        if self.is_open:
            self._take(text)

    @classmethod
    def on(cls, name: str, run: Run) -> Tap | None:
        """Tap a standard stream; None where there is none."""
        stream = getattr(sys, name)
        if stream is None:
            return None
        tap = cls(stream, name, run)
        if _is_notebook() or type(stream) is StandIn:
            # A notebook wraps its streams' `write` for each cell and puts back what it found at the
            # cell's start, which for the cell that starts the run is not yet ours.
            setattr(sys, name, StandIn(stream, tap))
            return tap
        try:
            stream.write = tap
        except (AttributeError, TypeError):
            setattr(sys, name, StandIn(stream, tap))
        return tap

    def close(self) -> None:
        """Record what is held back, and give back what is still ours."""
        self.is_open = False
        for side in list(self._sides.values()):
            self._finish(side)
        # What somebody put there after us is theirs.
        current = getattr(sys, self._name)
        if type(current) is StandIn and current.__dict__["_tap"] is self:
            setattr(sys, self._name, _open_one(self._stream))
        elif getattr(self._stream, "write", None) is self:
            self._restore()

    def _finish(self, side: _Side) -> None:
        try:
            self._offer(side.lines.rest())
        except BaseException:
            # A signal handler has raised in the midst: what is not held back any more may be nowhere.
            if side.lines.is_idle:
                self._run.console_failed(None)
            raise

    def _restore(self) -> None:
        before = self._write
        # Runs end in any order: what a run before us had put there may be closed by now.
        while isinstance(before, Tap) and not before.is_open:
            before = before._write
        try:
            del self._stream.write
        except AttributeError:
            # A stream that hands attributes on to another one: it takes them, and cannot lose them.
            self._stream.write = before
        if self._stream.write != before:
            self._stream.write = before

    def _forget(self) -> None:
        # A line's number is unique among all processes of a run, as far as chance goes.
        numbers = itertools.count(random.getrandbits(48))
        self._numbers = numbers.__next__
        self._sides: dict[int, _Side] = {}
        self._pid = os.getpid()

    def _side(self) -> _Side:
        if os.getpid() != self._pid:
            # What the parent had half written is the parent's.
            self._forget()
        side = self._sides.get(threading.get_ident())
        if side is None:
            if len(self._sides) >= MAX_IDLE_THREADS:
                self._forget_idle()
            side = self._sides[threading.get_ident()] = _Side(self._numbers)
        return side

    def _forget_idle(self) -> None:
        for ident, side in list(self._sides.items()):
            if not side.is_busy and side.lines.is_idle:
                self._sides.pop(ident, None)

    def _take(self, text: str) -> None:
        side = self._side()
        if side.is_ours:
            return
        if side.is_busy:
            if len(side.later) < MAX_LATER:
                side.later.append(text)
            else:
                self._run.console_failed(None)
            return
        try:
            side.is_busy = True
            self._feed(side, text)
            for _ in range(MAX_LATER):
                if not side.later:
                    break
                self._feed(side, side.later.popleft())
        finally:
            side.is_busy = False

    def _feed(self, side: _Side, text: str) -> None:
        try:
            # A subclass of str may have a `split` of its own.
            self._offer(side.lines.feed(text if type(text) is str else str.__str__(text)))
        except Exception as error:  # noqa: BLE001 - a failure of ours must not come out of somebody's print
            let_through(error)
            self._run.console_failed(error)

    def _offer(self, lines: list[ConsoleLine]) -> None:
        record_lines(self._run, self._name, lines)


def record_lines(run: Run, name: str, lines: list[ConsoleLine]) -> None:
    """Record lines of `stdout` or `stderr`, without the secrets that have a known shape."""
    if not lines:
        return
    joined = lines[0].text if len(lines) == 1 else "\n".join(line.text for line in lines)
    if redact_shapes(joined) is not joined:
        lines = [ConsoleLine(redact_shapes(line.text), line.beyond_bytes, line.number) for line in lines]
    run.lines.add_console(lines, name, SEVERITIES[name])


class StandIn:
    """Takes a stream's place in `sys` where its `write` cannot be wrapped for good.

    It is the original in everything but `write`, and says so when asked for its class.
    """

    def __init__(self, stream: Any, tap: Tap) -> None:
        self.__dict__.update(_stream=stream, _tap=tap)

    @property  # type: ignore[misc]  # isinstance must answer as for the original
    def __class__(self) -> Any:
        return self._stream.__class__

    def write(self, text: str) -> int:
        """Write to the original as it is now, then record."""
        written: int = self._stream.write(text)
        self._tap.record(text)
        return written

    def writelines(self, lines: Iterable[str]) -> None:
        """Write lines, each by `write`."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("write", "writelines"):
            self.__dict__[name] = value
        else:
            setattr(self._stream, name, value)

    def __repr__(self) -> str:
        return repr(self._stream)


def _open_one(stream: Any) -> Any:
    """Return the stream behind stand-ins of runs that have ended."""
    while type(stream) is StandIn and not stream.__dict__["_tap"].is_open:
        stream = stream.__dict__["_stream"]
    return stream


class Console:
    """Both standard streams of a run that captures its console.

    Args:
        run: Whose text it becomes.
        without: Streams whose text comes another way.
    """

    def __init__(self, run: Run, *, without: Container[str] = ()) -> None:
        names = [name for name in SEVERITIES if name not in without]
        if len(names) > 1 and sys.stdout is sys.stderr:
            names.pop()
        self._taps = [tap for tap in (Tap.on(name, run) for name in names) if tap is not None]

    def close(self, timeout_s: float = 0.0) -> None:
        """Stop capturing; what is half written is recorded. Idempotent, and waits for nothing."""
        del timeout_s
        while self._taps:
            self._taps[-1].close()
            self._taps.pop()
