"""Files that were downloaded once, by digest, so that they need not be again; bounded in bytes.

    <cache>/ab/abcdef…            a whole file, verified, mode 0600
    <cache>/ab/abcdef….part       one on its way, which a later download goes on with

The files longest unused go first. Several processes may use one cache: a file appears whole, by a rename.
`RUNDIAL_CACHE_DIR` says where, `RUNDIAL_CACHE_MAX_BYTES` how much; 10 GiB below `~/.cache/rundial`.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rundial.spool import durable

MAX_BYTES = 10 << 30
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Cache:
    """A directory of files by digest.

    Args:
        root: The directory; the user's own when None.
        max_bytes: Bound over its files.
    """

    def __init__(self, root: Path | None = None, max_bytes: int | None = None) -> None:
        self._root = root or default_root()
        self._max_bytes = _bound() if max_bytes is None else max_bytes

    def path(self, sha256: str) -> Path:
        """Return where a file is, or would be.

        Raises:
            ValueError: This is no digest.
        """
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"{sha256[:80]!r} is no sha256")
        return self._root / sha256[:2] / sha256

    def find(self, sha256: str) -> Path | None:
        """Return a whole file, marked as used, None where there is none."""
        path = self.path(sha256)
        try:
            os.utime(path)
        except OSError:
            return None
        return path

    def begin(self, sha256: str) -> Path:
        """Return where the bytes of a file that is on its way go; its directory is there."""
        path = self.path(sha256)
        durable.make_directory(str(path.parent))
        return path.with_name(path.name + ".part")

    def keep(self, part: Path) -> Path:
        """Take over a file whose digest was verified."""
        path = part.with_name(part.name.removesuffix(".part"))
        os.replace(part, path)
        return path

    @contextmanager
    def alone(self, sha256: str) -> Iterator[None]:
        """Keep other threads and processes from this file, which so is fetched once, by one rank of many."""
        folder = self.path(sha256).parent
        durable.make_directory(str(folder))
        lock = os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.FILE_MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def trim(self) -> None:
        """Remove the files longest unused beyond the bound."""
        found = []
        for path in self._root.glob("??/*"):
            with suppress(OSError):
                state = path.stat()
                found.append((state.st_mtime_ns, state.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._max_bytes:
                return
            with suppress(OSError):
                path.unlink()
                total -= size


def default_root() -> Path:
    """Return the user's own cache directory."""
    chosen = os.environ.get("RUNDIAL_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rundial" / "artifacts"


def _bound() -> int:
    text = os.environ.get("RUNDIAL_CACHE_MAX_BYTES", "")
    return int(text) if text.isdigit() else MAX_BYTES
