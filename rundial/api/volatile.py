"""Where a run with `spool_enabled=False` keeps what it has not sent: in memory, gone with the process.

A directory of the machine's memory file system where there is one, else of the temporary directory, so
that such a run goes the one way that every run goes. Nothing of it survives the process: what was not
sent by then is lost, which is what such a run asks for.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_MEMORY = Path("/dev/shm")
_PREFIX = "rundial-volatile-"


def make() -> str:
    """Return a new directory of this process, mode 0700; also removes those of dead processes.

    Raises:
        OSError: None can be made.
    """
    # Ordinary runs never need it.
    import tempfile

    root = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    _sweep(root)
    return tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=root)


def remove(path: str | Path) -> None:
    """Remove such a directory with all that is in it."""
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def _sweep(root: Path) -> None:
    for path in root.glob(f"{_PREFIX}*"):
        found = re.match(rf"{_PREFIX}(\d+)-", path.name)
        if found and not _lives(int(found[1])):
            remove(path)


def _lives(pid: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
