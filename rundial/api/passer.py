"""The program that stands behind a run's file descriptors 1 and 2 with `capture_console="fd"`.

A program of its own, so that nothing which befalls the run's process holds up or loses what is written:
a C library that prints while it holds the interpreter's lock, kill -9, a child that lives on. Whatever it
reads goes to the original first, byte by byte as it came; a copy is offered to the run. A run that
is slow costs a copy, which is counted, and never makes a writer wait.

It ends when the last writer has. Standard library alone, and nothing of Rundial's: run by its path.

Frames to the run: stream (u8), kind (u8: data, lost lines, all passed, gone), length or count (u32), data.
From the run: one byte asks that all that was written so far be passed on, and answered.
Into a file of the run's: how many lines were written so far (u64, little-endian), until the run is gone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import struct
import sys

FRAME = struct.Struct("<BBI")
COUNT = struct.Struct("<Q")
DATA, LOST, PASSED, GONE = range(4)
# Less than a pipe holds, so that the run sees a slow console move.
READ_BYTES = 1 << 14
# Of copies that the run has not taken yet.
MAX_HELD_BYTES = 1 << 20


class Copies:
    """The way to the run; bounded, and never waited for.

    Args:
        channel: Leads there.
        count: The file of lines written; -1 where there is none.
    """

    def __init__(self, channel: socket.socket, count: int = -1) -> None:
        self._channel: socket.socket | None = channel
        self._count = count
        self._written = 0
        self._held = bytearray()
        self._lost: dict[int, int] = {}
        channel.setblocking(False)

    @property
    def fd(self) -> int | None:
        """Its descriptor; None once the run is gone."""
        return None if self._channel is None else self._channel.fileno()

    @property
    def has_more(self) -> bool:
        """Whether the run has not taken everything."""
        return bool(self._held) and self._channel is not None

    def offer(self, stream: int, data: bytes) -> None:
        """Copy what was written, or count its lines."""
        if self._channel is None:
            return
        has_room = len(self._held) + len(data) <= MAX_HELD_BYTES
        lines = data.count(b"\n")
        if not has_room:
            lines = max(1, lines)
        # First, so that it is never behind what the run has taken.
        self._note(lines)
        if not has_room:
            self._lost[stream] = self._lost.get(stream, 0) + lines
        else:
            self._tell_lost(stream)
            self._held += FRAME.pack(stream, DATA, len(data)) + data
        self.send()

    def answer(self) -> None:
        """Say that everything which was written before is passed on."""
        for stream in list(self._lost):
            self._tell_lost(stream)
        self._held += FRAME.pack(0, PASSED, 0)
        self.send()

    def gone(self, stream: int) -> None:
        """Say that nobody reads the original any more."""
        self._held += FRAME.pack(stream, GONE, 0)
        self.send()

    def send(self) -> None:
        """Give the run what it takes at once."""
        try:
            while self._held and self._channel is not None:
                del self._held[: self._channel.send(self._held)]
        except BlockingIOError:
            pass
        except OSError:
            # The run is gone, which `asked` will see; what was written until then is still counted.
            self._held.clear()

    def asked(self) -> bool | None:
        """Whether the run asks for an answer; None when it is gone."""
        try:
            asked = self._channel.recv(64) if self._channel is not None else b""
        except BlockingIOError:
            return False
        except OSError:
            asked = b""
        return True if asked else None

    def close(self) -> None:
        """Pass on only, from now on."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _note(self, lines: int) -> None:
        self._written += lines
        if lines and self._count >= 0:
            with contextlib.suppress(OSError):
                os.pwrite(self._count, COUNT.pack(self._written), 0)

    def _tell_lost(self, stream: int) -> None:
        if stream in self._lost:
            self._held += FRAME.pack(stream, LOST, self._lost.pop(stream))


class Stream:
    """One of the two: what is written to `source` goes to `target`."""

    def __init__(self, number: int, source: int, target: int) -> None:
        self.number = number
        self.source = source
        self._target = target
        self._size = b""

    def take(self, copies: Copies) -> bool:
        """Pass on what is there; whether there is no more to come."""
        try:
            data = os.read(self.source, READ_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            # How a terminal says that nobody holds its other side.
            if error.errno != errno.EIO:
                raise
            data = b""
        if not data:
            return True
        copies.offer(self.number, data)
        try:
            self._pass(data)
        except BrokenPipeError:
            # The writers are to learn of it as they would without us.
            os.close(self.source)
            copies.gone(self.number)
            return True
        except OSError:
            # A disk that is full, or a terminal that is gone: the writer cannot be told.
            return False
        return False

    def fit(self) -> None:
        """Give the program the size of the real terminal, which may have changed."""
        import fcntl
        import termios

        with contextlib.suppress(OSError):
            size = fcntl.ioctl(self._target, termios.TIOCGWINSZ, bytes(8))
            if size != self._size:
                fcntl.ioctl(self.source, termios.TIOCSWINSZ, size)
                self._size = size

    def _pass(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            # Whoever shares the console with us may have made it one that does not wait.
            select.select([], [self._target], [])
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(self._target, view) :]


def pass_on(streams: list[Stream], copies: Copies, *, terminals: bool) -> None:
    """Pass on until the last writer is gone, and give the run the copies that it still takes."""
    open_streams = list(streams)
    while open_streams:
        sources = [stream.source for stream in open_streams]
        fd = copies.fd
        ready, writable, _ = select.select(
            [*sources, *([] if fd is None else [fd])],
            [] if fd is None or not copies.has_more else [fd],
            [],
            1.0 if terminals else None,
        )
        for stream in list(open_streams):
            if terminals:
                stream.fit()
            if stream.source in ready and stream.take(copies):
                open_streams.remove(stream)
        if fd is not None and fd in writable:
            copies.send()
        if fd is not None and fd in ready and (is_asked := copies.asked()) is not False:
            _drain(open_streams, copies)
            if is_asked:
                copies.answer()
            else:
                copies.close()
    copies.answer()
    while copies.has_more:
        fd = copies.fd
        if fd is None or not select.select([], [fd], [], 5.0)[1]:
            return
        copies.send()


def _drain(streams: list[Stream], copies: Copies) -> None:
    for stream in list(streams):
        while select.select([stream.source], [], [], 0)[0]:
            if stream.take(copies):
                streams.remove(stream)
                break


def main() -> None:
    """Run with descriptors as arguments: the channel, the count, then source and target of each stream."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGQUIT):
        # They are meant for the program, and what it writes of them is still to come.
        signal.signal(number, signal.SIG_IGN)
    channel, count, *rest = [int(text) for text in sys.argv[1:]]
    streams = [Stream(number, *rest[2 * number : 2 * number + 2]) for number in range(len(rest) // 2)]
    for stream in streams:
        os.set_blocking(stream.source, False)
    terminals = any(os.isatty(stream.source) for stream in streams)
    pass_on(streams, Copies(socket.socket(fileno=channel), count), terminals=terminals)


if __name__ == "__main__":
    main()
