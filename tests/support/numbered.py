"""A program that logs numbered records and says at once which of them were accepted.

Run as `python -m tests.support.numbered` it forks such programs, one after another, which therefore start
at once. Each thread numbers its own points, lines and spans from 1, and after each accepted one stores the
number in a shared file with a single 8-byte store, so that whoever kills the program knows exactly what it
had been promised.

The parent's side is `Progress` and `Victims`.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIGNALS = ("points", "lines", "spans")
_WORDS = 8
_SIZE = 4096


class Progress:
    """What each thread was told is accepted, in a file that outlives the program.

    Args:
        path: The file; made when missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(descriptor, _SIZE)
        self._words = memoryview(mmap.mmap(descriptor, _SIZE)).cast("Q")
        os.close(descriptor)

    def set(self, thread: int, signal: str, number: int) -> None:
        """Say that a thread's records up to a number are accepted."""
        self._words[thread * _WORDS + SIGNALS.index(signal)] = number

    def get(self, thread: int, signal: str) -> int:
        """Return the last number that a thread was told is accepted; 0 before the first."""
        return self._words[thread * _WORDS + SIGNALS.index(signal)]


class Victims:
    """Numbered programs, one after another, each of which ends by SIGKILL.

    Entering starts the process that they are forked from.
    """

    def __enter__(self) -> Victims:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.numbered"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._server.kill()
        self._server.communicate()

    def kill_one(
        self,
        place: Path,
        threads: int,
        options: dict[str, Any],
        *,
        until: Callable[[Progress], None],
        line_characters: int = 200,
    ) -> Progress:
        """Let a program log, kill it, and return what it was promised.

        Args:
            place: Where to put the file of its progress.
            threads: How many threads log.
            options: Arguments of `rundial.init`.
            until: Returns when it is to be killed, given its progress so far.
            line_characters: Length of the longest line.
        """
        progress = Progress(place / "progress")
        orders, answers = self._server.stdin, self._server.stdout
        assert orders is not None
        assert answers is not None
        orders.write(json.dumps([str(progress.path), threads, options, line_characters]) + "\n")
        orders.flush()
        child = int(answers.readline())
        try:
            until(progress)
        finally:
            os.kill(child, signal.SIGKILL)
        assert int(answers.readline()) == signal.SIGKILL
        return progress


def main() -> None:
    """Fork a program for each line of stdin, which gives its arguments; say its status once it has ended."""
    # What takes most of a program's start. Nothing of Rundial has begun in here, so that each child is
    # as good as a process of its own.
    import opentelemetry.sdk.trace

    import rundial

    assert rundial, opentelemetry
    for line in sys.stdin:
        progress, threads, options, longest = json.loads(line)
        child = os.fork()
        if child == 0:
            log_until_killed(Path(progress), threads, options, longest)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


def log_until_killed(path: Path, threads: int, options: dict[str, object], longest: int) -> None:
    """Log in some threads, after a line on stdout that says which process it is."""
    import rundial as rd

    progress = Progress(path)
    # Threads change places where they like, so that a kill finds them everywhere.
    sys.setswitchinterval(random.choice([1e-5, 1e-4, 5e-3]))
    run = rd.init(**options)  # type: ignore[arg-type]  # as a test gives them
    sys.stdout.write(f"{os.getpid()}\n")
    sys.stdout.flush()

    def work(thread: int) -> None:
        numbers = dict.fromkeys(SIGNALS, 0)
        rng = random.Random(thread)
        while True:
            kind = rng.choices(SIGNALS, (6, 3, 1))[0]
            number = numbers[kind] + 1
            if kind == "points":
                accepted = run.log({f"t{thread}/a": float(number), f"t{thread}/b": -number}, step=number)
            elif kind == "lines":
                accepted = run.log_text(f"t{thread} {number} " + "x" * rng.randrange(longest))
            else:
                with run.trace(f"t{thread}", attrs={"number": number}) as span:
                    pass
                # A number that was refused is used up: the span's start alone may be stored.
                accepted = span.finish() or True
            if accepted:
                numbers[kind] = number
                progress.set(thread, kind, number)
            if rng.random() < 0.02:
                threading.Event().wait(0.001)

    for thread in range(threads):
        threading.Thread(target=work, args=(thread,), daemon=True).start()
    threading.Event().wait(60)


if __name__ == "__main__":
    main()
