"""Getting an artifact's files: several at once, resumed where they broke off, every digest verified.

Bytes go into the cache first, under the digest that they must have, and from there to their place, so that
no place ever holds a file that is not whole. What the server says of a file's size and digest, when it
named the artifact, is what counts; a file whose bytes are others is an error and is not written.

Threads: a few, made for one download; the caller waits for them.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from urllib3 import exceptions

from rundial.artifacts import places
from rundial.artifacts.cache import Cache
from rundial.artifacts.crew import Crew
from rundial.artifacts.shipment import API
from rundial.artifacts.wire import Conflict, Refused, Wire
from rundial.errors import ArtifactError, DigestMismatchError
from rundial.export.backoff import schedule
from rundial.export.outcome import Pause, Reject, Retry
from rundial.export.policy import Policy

BLOCK_BYTES = 256 * 1024
WIDTH = 4
File = tuple[list[str], Mapping[str, Any]]
POLICY = Policy(first_s=0.25, last_s=5.0, max_attempts=8)


class Download:
    """One artifact on its way into a directory.

    Args:
        wire: How.
        ids: `projectId`, `runId` and `artifactId`.
        files: `path`, `sizeBytes` and `sha256` of each.
        cache: Where bytes are kept.
        on_bytes: Told of each piece that has arrived, in bytes; must not wait.
    """

    def __init__(
        self,
        wire: Wire,
        ids: Mapping[str, Any],
        files: Sequence[Mapping[str, Any]],
        cache: Cache,
        on_bytes: Callable[[int], None] | None = None,
    ) -> None:
        self._wire = wire
        self._ids = ids
        # All names are looked at before the first byte is written.
        self._files = [(places.parts_of(each.get("path")), each) for each in files]
        self._cache = cache
        self._on_bytes = on_bytes
        self._rng = random.Random()
        self._never = threading.Event()

    def into(self, directory: Path) -> None:
        """Write every file.

        Raises:
            ArtifactError: A file cannot be had or written, or is not what it should be.
            OSError: The directory or the cache cannot be written.
        """
        place = places.Place(str(directory))
        crew = Crew[File, str](lambda file: self._one(*file, place), WIDTH, "rundial-download")
        try:
            crew.work(self._files)
        finally:
            # The crew writes below the place, so it is closed behind it.
            place.close()
            self._cache.trim()

    def _one(self, parts: list[str], file: Mapping[str, Any], place: places.Place) -> None:
        sha256 = str(file.get("sha256"))
        if self._is_there(parts, file, place):
            return
        with self._cache.alone(sha256):
            source = self._cache.find(sha256)
            if source is not None and not _has_digest(source, sha256):
                # A disk that failed, or a user that edited it: not what its name says.
                source.unlink()
                source = None
            source = source or self._fetch(file, sha256)
        place.put(parts, str(source))

    def _is_there(self, parts: list[str], file: Mapping[str, Any], place: places.Place) -> bool:
        descriptor = place.open_existing(parts)
        if descriptor is None:
            return False
        with open(descriptor, "rb", buffering=0) as there:
            if os.fstat(descriptor).st_size != file.get("sizeBytes"):
                return False
            return _digest_of(there) == file.get("sha256")

    def _fetch(self, file: Mapping[str, Any], sha256: str) -> Path:
        part = self._cache.begin(sha256)
        for attempt in range(1, (POLICY.max_attempts or 1) + 1):
            trouble = self._try(file, part)
            if trouble is None:
                size, found = part.stat().st_size, _path_digest(part)
                if found == sha256 and size == file.get("sizeBytes"):
                    return self._cache.keep(part)
                part.unlink()
                if attempt > 1:
                    raise DigestMismatchError(str(file.get("path")), sha256, found)
                # It may be that what was there before was damaged: once more from the beginning.
                continue
            if not isinstance(trouble, (Retry, Refused)) or attempt == POLICY.max_attempts:
                raise ArtifactError(f"{file.get('path')!r} could not be fetched: {trouble.why}")
            wish = trouble.after_s if isinstance(trouble, Retry) else None
            self._never.wait(min(schedule(attempt, wish, self._rng, POLICY), POLICY.last_s))
        raise ArtifactError(f"{file.get('path')!r} could not be fetched")

    def _try(self, file: Mapping[str, Any], part: Path) -> Any:
        found = self._wire.call(f"{API}/download", {**self._ids, "path": file.get("path")})
        if isinstance(found, Conflict):
            return Refused(found.status, f"answered {found.status}")
        if not isinstance(found, dict):
            return found
        size = int(file.get("sizeBytes") or 0)
        offset = min(part.stat().st_size, size) if part.exists() else 0
        if offset == size and part.exists():
            return None
        answer = self._wire.get(str(found.get("url")), offset=offset)
        if isinstance(answer, (Retry, Pause, Reject, Refused)):
            return answer
        # A store that knows no ranges answers the whole.
        mode = "r+b" if offset and answer.status == 206 else "wb"
        try:
            with open(part, mode, opener=_private) as target:
                target.seek(offset if mode == "r+b" else 0)
                for block in answer.stream(BLOCK_BYTES, decode_content=False):
                    target.write(block)
                    if self._on_bytes is not None:
                        self._on_bytes(len(block))
                    if target.tell() > size:
                        break
        except (exceptions.HTTPError, TimeoutError, ConnectionError) as error:
            return Retry(None, f"the answer broke off ({type(error).__name__})")
        finally:
            answer.close()
        if part.stat().st_size < size:
            return Retry(None, "the answer was cut short")
        return None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _digest_of(file: Any) -> str:
    found = hashlib.sha256()
    while block := file.read(1 << 20):
        found.update(block)
    return found.hexdigest()


def _path_digest(path: Path) -> str:
    with open(path, "rb", buffering=0) as file:
        return _digest_of(file)


def _has_digest(path: Path, sha256: str) -> bool:
    return _path_digest(path) == sha256
