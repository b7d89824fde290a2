"""Console capture at the file descriptors, `capture_console="fd"`: C libraries and child processes too.

Descriptors 1 and 2 lead through pipes, or pseudo-terminals where they were terminals, to a small program,
`rundial.api.passer`, which passes everything on to where they led before and gives us a copy. It is no child
of this process, so that nobody who waits for children meets it; it outlives a kill of this process, so that
nothing in a pipe is lost to the console, and ends with the last writer.

Should it be killed itself, we put the old descriptors back and pass on what is in the pipes.

Threads: one of our own cuts the copies into lines. `capture` and what it returns are for any thread.
After a fork: the child writes through the same pipes, and its text is its parent's. It restores nothing.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import itertools
import os
import random
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rundial.api import passer
from rundial.api.console import Console, record_lines
from rundial.api.consolecount import ConsoleCount
from rundial.interrupts import let_through
from rundial.logger import logger
from rundial.signals.consoleline import ConsoleLine, ConsoleLines

if TYPE_CHECKING:
    from rundial.api.run import Run
    from rundial.api.start import Parts

NAMES = ("stdout", "stderr")
# How long the end of a run waits for the next of what was written before; a console that stands still
# keeps it.
MAX_WAIT_S = 2.0
# Away from the numbers that programs like to use.
LOW_FD = 20
START_TIMEOUT_S = 10.0
# The program is started by a shell that leaves at once, and is then nobody's child.
_START = ("/bin/sh", "-c", '"$@" &', "sh")


def capture(run: Run, parts: Parts, directory: str) -> Callable[[float], None]:
    """Begin to record what is written to descriptors 1 and 2; return what ends it.

    Where that cannot be done, the streams are captured as with `capture_console=True`, with a warning.

    Args:
        run: Whose text it becomes.
        parts: The process's.
        directory: The run's spool, where is counted what a kill would cost.
    """
    listener = Listener(run, directory)
    try:
        with parts.descriptors_lock:
            if parts.descriptors is None or not parts.descriptors.join(listener):
                parts.descriptors = Descriptors(listener)
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning(
            "run %s: file descriptors cannot be captured (%s); what Python writes is captured",
            run.run_id,
            error,
        )
        return Console(run).close
    descriptors = parts.descriptors
    # A notebook's streams, or a test's, do not come by here.
    other = Console(run, without=[name for name in NAMES if descriptors.is_behind(name)])

    def close(timeout_s: float) -> None:
        other.close()
        descriptors.leave(listener, timeout_s)

    return close


class Listener:
    """One run's lines of both streams; used by the one thread, and at the end by who ends the run.

    Attributes:
        run: Whose.
        directory: Its spool.
    """

    def __init__(self, run: Run, directory: str) -> None:
        # A line's number is unique among all processes of a run, as far as chance goes.
        numbers = itertools.count(random.getrandbits(48))
        self._lines = [ConsoleLines(numbers.__next__, time.monotonic) for _ in NAMES]
        self._decoders = [codecs.getincrementaldecoder("utf-8")("replace") for _ in NAMES]
        self.run = run
        self.directory = directory

    def feed(self, stream: int, data: bytes) -> None:
        """Take what was written."""
        self._offer(stream, partial(self._lines[stream].feed, self._decoders[stream].decode(data)))

    def lost(self, stream: int, lines: int) -> None:
        """Count lines that the other program had no room for; the line before the gap ends there."""
        self.run.lines.lose(lines)
        self._offer(stream, self._lines[stream].rest)

    def rest(self) -> None:
        """Record what is half written."""
        for stream, lines in enumerate(self._lines):
            self._offer(stream, lines.rest)

    def _offer(self, stream: int, take: Callable[[], list[ConsoleLine]]) -> None:
        try:
            record_lines(self.run, NAMES[stream], take())
        except Exception as error:  # noqa: BLE001 - the others are recorded all the same
            let_through(error)
            self.run.console_failed(error)


class _Turned:
    """One descriptor that leads elsewhere.

    Attributes:
        saved: Where it led before.
        source: Where what is written comes out.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._sink = self.source = -1
        self.saved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, LOW_FD)
        try:
            low, self._sink = _terminal(fd) if os.isatty(fd) else os.pipe()
            try:
                self.source = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, LOW_FD)
            finally:
                os.close(low)
            self._identity = _identity(self._sink)
        except BaseException:
            self.close()
            raise

    def turn(self) -> None:
        """Lead what is written from now on to the source."""
        os.dup2(self._sink, self._fd)
        self._close_sink()

    def restore(self) -> None:
        """Lead it where it led before, unless somebody has turned it since. Idempotent."""
        with contextlib.suppress(OSError):
            if _identity(self._fd) == self._identity:
                os.dup2(self.saved, self._fd)

    def pass_some(self) -> bool:
        """Pass on what is in the pipe, in the other program's place; whether a writer is left."""
        with contextlib.suppress(OSError):
            data = os.read(self.source, passer.READ_BYTES)
            left = memoryview(data)
            while left:
                left = left[os.write(self.saved, left) :]
            return bool(data)
        return False

    def close_source(self) -> None:
        """Nobody reads where this led: writers are to learn of it."""
        if self.source >= 0:
            os.close(self.source)
            self.source = -1

    def close(self) -> None:
        """Let go of it."""
        self.close_source()
        self._close_sink()
        os.close(self.saved)

    def _close_sink(self) -> None:
        if self._sink >= 0:
            os.close(self._sink)
            self._sink = -1


class Descriptors:
    """Descriptors 1 and 2 of this process while runs capture them.

    Args:
        first: The run that captures them first.

    Attributes:
        listeners: The runs; a tuple of them is taken for each frame.
        is_open: Whether anything is captured.

    Raises:
        OSError, subprocess.SubprocessError: It cannot be done here; nothing has changed.
    """

    def __init__(self, first: Listener) -> None:
        self.listeners = [first]
        self.is_open = True
        self._pid = os.getpid()
        self._turned: list[_Turned] = []
        self._passed = threading.Event()
        self._heard = 0
        # Guards who listens, and the end: runs may end together, or one in a signal's handler.
        self._lock = threading.RLock()
        _flush()
        ours, theirs = socket.socketpair()
        self._count = ConsoleCount.of(first.directory)
        try:
            for fd in (1, 2):
                self._turned.append(_Turned(fd))
            _start_passer(theirs, self._count, self._turned)
        except BaseException:
            ours.close()
            self._close_count()
            ConsoleCount.leave(first.directory)
            for turned in self._turned:
                turned.close()
            raise
        finally:
            theirs.close()
        self._channel = ours
        self._thread = threading.Thread(target=self._work, name="rundial-console", daemon=True)
        self._thread.start()
        for turned in self._turned:
            turned.turn()

    def join(self, listener: Listener) -> bool:
        """Let one more run listen; False when the last one is leaving, or has left."""
        with self._lock:
            if not self.is_open:
                return False
            ConsoleCount.share(self.listeners[0].directory, listener.directory)
            self.listeners.append(listener)
            return True

    def is_behind(self, name: str) -> bool:
        """Whether a stream of `sys` writes to the descriptor of its name."""
        try:
            return bool(getattr(sys, name).fileno() == NAMES.index(name) + 1)
        except (AttributeError, OSError, ValueError):
            return False

    def leave(self, listener: Listener, timeout_s: float) -> None:
        """Record a run's last words; put the descriptors back when nobody else listens. Idempotent."""
        if os.getpid() != self._pid or listener not in self.listeners:
            return
        _flush()
        with self._lock:
            is_last = self.listeners == [listener]
            if is_last:
                self.is_open = False
                for turned in self._turned:
                    turned.restore()
            if not self._has_passed(timeout_s / 2):
                logger.warning(
                    "run %s: the console takes no more; what was written to it last is not recorded",
                    listener.run.run_id,
                )
                listener.run.lines.lose(self._behind())
            if is_last:
                self._close_channel()
                # Nobody else uses the listener then.
                self._thread.join(MAX_WAIT_S)
            if listener in self.listeners:  # a handler's finish may have been here
                self.listeners.remove(listener)
        listener.rest()
        ConsoleCount.leave(listener.directory)

    def _has_passed(self, timeout_s: float) -> bool:
        self._passed.clear()
        if not self._thread.is_alive():
            return True
        try:
            self._channel.send(b"?")
        except OSError:
            return True
        end = time.monotonic() + timeout_s
        heard = -1
        # A slow console, or a machine that has much else to do, is waited for as long as something comes.
        while (left_s := end - time.monotonic()) > 0 and heard != self._heard:
            heard = self._heard
            if self._passed.wait(min(left_s, MAX_WAIT_S)):
                return True
        return False

    def _close_channel(self) -> None:
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)

    def _work(self) -> None:
        try:
            with self._channel.makefile("rb") as frames:
                while len(head := frames.read(passer.FRAME.size)) == passer.FRAME.size:
                    stream, kind, size = passer.FRAME.unpack(head)
                    self._heard += 1
                    if kind == passer.DATA:
                        self._feed(stream, frames.read(size))
                    else:
                        self._hear(stream, kind, size)
        except OSError:
            # The other program is no more, as below.
            pass
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Put everything back; and while runs still listen, the other program is no more: do its work."""
        is_cut = self.is_open
        self.is_open = False
        self._passed.set()
        for turned in self._turned:
            turned.restore()
        self._channel.close()
        if is_cut:
            logger.warning("what passed the console on has ended; file descriptors are captured no more")
            lines = self._behind()
            for listener in tuple(self.listeners):
                listener.run.lines.lose(lines)
            self._taken(lines)
            by_source = {turned.source: turned for turned in self._turned if turned.source >= 0}
            while by_source:
                for source in select.select(list(by_source), [], [])[0]:
                    if not by_source[source].pass_some():
                        del by_source[source]
        for turned in self._turned:
            turned.close()
        self._close_count()

    def _feed(self, stream: int, data: bytes) -> None:
        # Line by line, so that what is counted as taken is behind by one at most.
        *whole, rest = data.split(b"\n")
        for line in whole:
            for listener in tuple(self.listeners):
                listener.feed(stream, line + b"\n")
            self._taken(1)
        if rest:
            for listener in tuple(self.listeners):
                listener.feed(stream, rest)

    def _hear(self, stream: int, kind: int, size: int) -> None:
        if kind == passer.PASSED:
            self._passed.set()
        elif kind == passer.GONE:
            self._turned[stream].close_source()
        elif kind == passer.LOST:
            for listener in tuple(self.listeners):
                listener.lost(stream, size)
            self._taken(size)

    def _taken(self, lines: int) -> None:
        if self._count is not None:
            self._count.take(lines)

    def _behind(self) -> int:
        return 0 if self._count is None else self._count.behind()

    def _close_count(self) -> None:
        if self._count is not None:
            self._count.close()


def _start_passer(channel: socket.socket, count: ConsoleCount | None, turned: list[_Turned]) -> None:
    program = Path(passer.__file__)
    if not sys.executable or getattr(sys, "frozen", False) or not program.is_file():
        raise OSError("there is no Python program to start")
    counted = -1 if count is None else count.fd
    ends = [end for each in turned for end in (each.source, each.saved)]
    command = [sys.executable, "-I", "-S", str(program), *map(str, (channel.fileno(), counted, *ends))]
    subprocess.run(
        [*_START, *command],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[fd for fd in (channel.fileno(), counted, *ends) if fd >= 0],
        cwd="/",
        # Not to be told of a Ctrl-C, nor of the terminal's end.
        start_new_session=True,
        timeout=START_TIMEOUT_S,
    )


def _terminal(like: int) -> tuple[int, int]:
    """Return both sides of a terminal of the same size that changes nothing of what passes through."""
    import termios
    import tty

    source, sink = os.openpty()
    tty.setraw(sink)
    fcntl.ioctl(sink, termios.TIOCSWINSZ, fcntl.ioctl(like, termios.TIOCGWINSZ, bytes(8)))
    return source, sink


def _identity(fd: int) -> tuple[int, int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino, found.st_rdev


def _flush() -> None:
    """Send on what Python holds back of what was written."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
