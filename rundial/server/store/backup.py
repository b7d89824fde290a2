"""A consistent copy of an SQLite store while a server writes to it."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from rundial.errors import ConfigError
from rundial.server.store.clickhouse.mark import FACT
from rundial.server.store.engine import FILE_NAME

_PAGES_AT_ONCE: Final = 4_096
Progress = Callable[[int, int], None]


def back_up(data_dir: Path, target: Path, *, on_progress: Progress | None = None) -> Path:
    """Copy the database of a data directory as it is at this moment.

    The server goes on meanwhile: the copy reads one state of the database, which holds up no writer; only
    the write-ahead log grows until it is done. The copy is checked, and has its name only once it is whole.

    Args:
        data_dir: A server's data directory, in use or not.
        target: A directory, made with mode 0700 when it is missing.
        on_progress: Called with the pages that are copied and those that there are.

    Returns:
        The copy, a file of mode 0600 that a server opens as its own.

    Raises:
        ConfigError: There is no database, it is not all of the store, there is a copy already, or the copy
            could not be written.
    """
    source = data_dir / FILE_NAME
    if not source.is_file():
        raise ConfigError(f"there is no database {source}; name the server's data directory with --data")
    copy = target / FILE_NAME
    if copy.exists():
        raise ConfigError(f"{copy} exists already and was left alone; name another directory")
    partial = target / f".{FILE_NAME}.{secrets.token_hex(4)}"
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        _copy(source, partial, on_progress or _ignore)
        os.link(partial, copy)  # unlike a rename, never replaces a file that is there
        _make_durable(target)
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"the backup to {target} failed: {error}; nothing of it was kept") from error
    finally:
        for left in (
            partial,
            *(partial.with_name(partial.name + end) for end in ("-journal", "-wal", "-shm")),
        ):
            with suppress(FileNotFoundError):
                left.unlink()
    return copy


def _copy(source: Path, partial: Path, on_progress: Progress) -> None:
    with closing(_opened(source, "ro")) as reading, closing(_opened(partial, "rw")) as writing:
        # Inside a transaction the source stays as it is for us, and the copy never has to begin again.
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
        _check_whole(reading, source)
        reading.backup(
            writing,
            pages=_PAGES_AT_ONCE,
            progress=lambda _status, left, total: on_progress(total - left, total),
            sleep=0,
        )
        (verdict,) = writing.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged: {verdict}")
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_whole(reading: sqlite3.Connection, source: Path) -> None:
    # A database from before there were facts, or none of ours, says nothing here and is copied as it is.
    if not reading.execute("SELECT 1 FROM sqlite_master WHERE name = 'facts'").fetchone():
        return
    if reading.execute("SELECT 1 FROM facts WHERE name = ?", (FACT,)).fetchone():
        raise ConfigError(
            f"the points, lines and spans of {source} are in ClickHouse and would not be in the backup; "
            "nothing was copied; `rundial server copy` with --from-events copies all of it into one SQLite "
            "file; or stop the server, copy its data directory, and use ClickHouse's BACKUP DATABASE"
        )


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None)


def _make_durable(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _ignore(_done: int, _total: int) -> None:
    return None
