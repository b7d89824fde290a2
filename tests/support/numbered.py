"""A program that logs numbered records and says at once which of them were accepted.

Run as `python -m tests.support.numbered PROGRESS THREADS RUN_OPTIONS_AS_JSON [LINE_CHARACTERS]`. Each
thread numbers its own points, lines and spans from 1, and after each accepted one stores the number in
a shared file with a single 8-byte store, so that whoever kills the program knows exactly what it had
been promised.

The parent's side is `Progress`.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import sys
import threading
from pathlib import Path

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


def main() -> None:
    """Log until killed."""
    import rundial as rd

    progress = Progress(Path(sys.argv[1]))
    threads = int(sys.argv[2])
    longest = int(sys.argv[4]) if len(sys.argv) > 4 else 200
    # Threads change places where they like, so that a kill finds them everywhere.
    sys.setswitchinterval(random.choice([1e-5, 1e-4, 5e-3]))
    run = rd.init(**json.loads(sys.argv[3]))
    sys.stdout.write("logging\n")
    sys.stdout.flush()

    def work(thread: int) -> None:
        numbers = dict.fromkeys(SIGNALS, 0)
        rng = random.Random(thread)
        while True:
            signal = rng.choices(SIGNALS, (6, 3, 1))[0]
            number = numbers[signal] + 1
            if signal == "points":
                accepted = run.log({f"t{thread}/a": float(number), f"t{thread}/b": -number}, step=number)
            elif signal == "lines":
                accepted = run.log_text(f"t{thread} {number} " + "x" * rng.randrange(longest))
            else:
                with run.trace(f"t{thread}", attrs={"number": number}) as span:
                    pass
                # A number that was refused is used up: the span's start alone may be stored.
                accepted = span.finish() or True
            if accepted:
                numbers[signal] = number
                progress.set(thread, signal, number)
            if rng.random() < 0.02:
                threading.Event().wait(0.001)

    for thread in range(threads):
        threading.Thread(target=work, args=(thread,), daemon=True).start()
    threading.Event().wait(60)


if __name__ == "__main__":
    main()
