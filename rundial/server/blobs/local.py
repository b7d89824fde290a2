"""Blobs in a directory of the server's own.

    blobs/staging/<upload>/<number>                      arrived whole, judged on the way
    blobs/staging/<upload>/<number>.data                 arrives in parts, each written at its offset
    blobs/staging/<upload>/<number>.parts/<part>-<etag>  empty: the part is there
    blobs/staging/<upload>/<number>.parts/try-<part>-…   empty: it was begun once
    blobs/<project>/<2 hex>/<sha256>-<upload>            kept

Modes are 0700 and 0600. A file has its name only once its bytes are whole: temporary file, fsync, rename,
fsync of the directory. `keep` does the fsync, once for all files of an artifact: until it has answered, the
client still has them.

Threads: any, and several server processes over one directory: who writes a file holds a shared lock of it,
who judges it an exclusive one.
After a crash: what was kept is whole. What arrived and was not yet kept is read again and judged anew;
temporary files that nobody holds are removed at the next start.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from rundial.clock import Clock
from rundial.server.blobs.ahead import Ahead
from rundial.server.blobs.receiving import TRY, OnePart, Receiving, WholeBlob, lock
from rundial.server.blobs.store import Arrived, Download, Part, Reason, Signed, Staged, store_full
from rundial.server.blobs.tokens import PATH, Signer
from rundial.server.problems import Problem

FOLDER: Final = "blobs"
STAGING: Final = "staging"
_PLACE: Final = re.compile(r"\w[\w-]*(/\w[\w-]*)+", re.ASCII)
_READ_BYTES: Final = 2**20
# A disk takes several fsyncs at the cost of one.
_JUDGES: Final = 16
# What artifacts leave free for the database beside them: a twentieth of the disk, at most this.
_RESERVE_BYTES: Final = 2**30
_RESERVE_SHARE: Final = 20


class LocalStore:
    """Content-addressed files.

    Args:
        data_dir: The server's data directory.
        signer: Makes the URLs' tokens.
        clock: Decides when they end.
    """

    def __init__(self, data_dir: Path, signer: Signer, clock: Clock) -> None:
        self._root: Final = data_dir / FOLDER
        self._signer: Final = signer
        self._clock: Final = clock
        self.elsewhere: Final = None
        # What this process has hashed on its way in: after a power cut nobody has, and it is read again.
        # A set's own operations are atomic.
        self._judged: set[str] = set()
        self._ahead: Final = Ahead()
        # One by one: parents that are made on the way get no mode.
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._root / STAGING).mkdir(mode=0o700, exist_ok=True)
        self._clear_torn()

    def begin(self, staged: Staged) -> str:
        """Make the directory that its bytes arrive in."""
        path = self._path(staged.place)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if staged.part_bytes:
            _parts(path).mkdir(mode=0o700, exist_ok=True)
            os.close(os.open(_data(path), os.O_WRONLY | os.O_CREAT, 0o600))
        return ""

    def sign_put(self, staged: Staged, *, base_url: str, life_s: int) -> Signed:
        """A URL of this server's own for the whole blob."""
        claims = {"do": "put", "at": staged.place, "size": staged.size_bytes, "sha": staged.sha256}
        return self._signed(claims, base_url, life_s)

    def sign_part(self, staged: Staged, part: Part, *, base_url: str, life_s: int) -> Signed:
        """A URL of this server's own for one part."""
        claims = {
            "do": "part",
            "at": staged.place,
            "size": part.size_bytes,
            "from": part.offset_bytes,
            "part": part.number,
        }
        return self._signed(claims, base_url, life_s)

    def sign_get(self, download: Download, *, base_url: str, life_s: int) -> Signed:
        """A URL of this server's own for a kept blob."""
        claims = {"do": "get", "at": download.place, "type": download.content_type, "name": download.name}
        return self._signed(claims, base_url, life_s)

    def claims(self, token: str) -> Mapping[str, object] | None:
        """What a token allows, None when nothing."""
        return self._signer.read(token, now_unix_s=self._clock.time_unix_ns() / 1e9)

    def file(self, place: str) -> Path:
        """The file of a kept blob."""
        return self._path(place)

    def receive(self, claims: Mapping[str, object]) -> Receiving:
        """Take the bytes that a token of `sign_put` or `sign_part` allows.

        Raises:
            Problem: 409, the upload is over; 507, the disk is too full.
        """
        place, size = str(claims["at"]), int(str(claims["size"]))
        path = self._path(place)
        self.check_room(size)
        number = int(str(claims.get("part", 0)))
        try:
            if number:
                return self._receive_part(place, number, int(str(claims["from"])), size)
            return WholeBlob(path, size, str(claims["sha"]), lambda: self._judged.add(place))
        except (FileNotFoundError, BlockingIOError) as error:
            raise Problem(
                409,
                "this upload is over, or its bytes are being judged",
                "POST /api/v1/artifacts/upload tells what is still wanted",
            ) from error
        except OSError as error:
            raise disk_problem(error, "these bytes") from error

    def _receive_part(self, place: str, number: int, offset_bytes: int, size_bytes: int) -> Receiving:
        path = self._path(place)
        data = _data(path)

        def there() -> None:
            self._ahead.arrived(place, data, offset_bytes, size_bytes)

        found = OnePart(data, _parts(path), number, offset_bytes, size_bytes, there)
        self._ahead.begun(place)
        return found

    def arrived(self, staged: Staged) -> list[Arrived] | None:
        """What is there of a blob."""
        path = self._path(staged.place)
        if _size(self._path(staged.lasting)) == staged.size_bytes:
            return None
        if not staged.part_bytes:
            size = _size(path)
            return [] if size is None else [Arrived(1, size, f'"{staged.sha256}"')]
        sizes = {part.number: part.size_bytes for part in staged.parts()}
        found = {}
        for name in _names(_parts(path)):
            number, _, etag = name.partition("-")
            if number.isdecimal() and int(number) in sizes:
                found[int(number)] = Arrived(int(number), sizes[int(number)], f'"{etag}"')
        return [found[number] for number in sorted(found)]

    def keep(self, wanted: Sequence[Staged]) -> list[Reason | None]:
        """Judge, fsync, rename; several at a time, because hashing and fsync both wait elsewhere."""
        try:
            with ThreadPoolExecutor(_JUDGES, "rundial-judge") as judges:
                reasons = list(judges.map(self._keep, wanted))
                kept = [each for each, why in zip(wanted, reasons, strict=True) if why is None]
                parents = {self._path(each.lasting).parent for each in kept}
                # A name is there after a power cut once the directory that holds it is.
                list(judges.map(_sync, parents | {each.parent for each in parents} | {self._root}))
        except OSError as error:
            raise disk_problem(error, "the uploaded files") from error
        return reasons

    def discard(self, staged: Sequence[Staged]) -> None:
        """Remove the directories of uploads that are over."""
        for parent in {self._path(each.place).parent for each in staged}:
            shutil.rmtree(parent, ignore_errors=True)
        for each in staged:
            self._judged.discard(each.place)
            self._ahead.forget(each.place)

    def delete(self, place: str) -> None:
        """Unlink a kept blob."""
        with contextlib.suppress(FileNotFoundError):
            self._path(place).unlink()

    def digest(self, place: str) -> tuple[int, str] | None:
        """Read a kept blob."""
        path = self._path(place)
        try:
            return path.stat().st_size, _sha256(path)
        except FileNotFoundError:
            return None

    def check_room(self, wanted_bytes: int) -> None:
        """Refuse what would leave the database no room."""
        usage = shutil.disk_usage(self._root)
        if usage.free - wanted_bytes < min(_RESERVE_BYTES, usage.total // _RESERVE_SHARE):
            raise store_full(f"{wanted_bytes:,} bytes")

    def _keep(self, staged: Staged) -> Reason | None:
        path, lasting = self._path(staged.place), self._path(staged.lasting)
        if _size(lasting) == staged.size_bytes:
            return None  # an earlier `keep` got that far
        source = _data(path) if staged.part_bytes else path
        try:
            descriptor = os.open(source, os.O_RDONLY)
        except FileNotFoundError:
            return "missing"
        try:
            # From here on nobody writes to it: a part that came late would change what was judged.
            if not lock(descriptor, is_exclusive=True):
                return "missing"  # it is still arriving
            reason = self._judge(staged, source)
            if reason is None:
                os.fsync(descriptor)
                lasting.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                lasting.parent.mkdir(mode=0o700, exist_ok=True)
                os.replace(source, lasting)
            elif reason != "missing":
                self._drop(staged, path)
        finally:
            os.close(descriptor)
        return reason

    def _judge(self, staged: Staged, source: Path) -> Reason | None:
        if staged.part_bytes and len(self.arrived(staged) or ()) < len(staged.parts()):
            return "missing"
        if _size(source) != staged.size_bytes:
            return "size"
        if staged.place in self._judged:
            return None
        found = self._taken_ahead(staged, source) or _sha256(source)
        return None if found == staged.sha256 else "sha256"

    def _taken_ahead(self, staged: Staged, source: Path) -> str | None:
        if not staged.part_bytes:
            return None
        tries = sum(name.startswith(TRY) for name in _names(_parts(self._path(staged.place))))
        parts, size = len(staged.parts()), staged.size_bytes
        return self._ahead.digest(staged.place, source, parts=parts, size_bytes=size, tries=tries)

    def _drop(self, staged: Staged, path: Path) -> None:
        """Forget bytes that are wrong: which of the parts is to blame nobody knows."""
        if not staged.part_bytes:
            path.unlink()
        for name in _names(_parts(path)):
            (_parts(path) / name).unlink()
        self._ahead.forget(staged.place)

    def _signed(self, claims: Mapping[str, object], base_url: str, life_s: int) -> Signed:
        expires_s = int(self._clock.time_unix_ns() / 1e9) + life_s
        return Signed(f"{base_url}{PATH}{self._signer.sign(dict(claims), expires_unix_s=expires_s)}")

    def _path(self, place: str) -> Path:
        # Places are the server's own words. Should one ever not be, it still leads nowhere else.
        if _PLACE.fullmatch(place) is None:
            raise ValueError(f"{place!r} is no place of a blob")
        return self._root / place

    def _clear_torn(self) -> None:
        for torn in (self._root / STAGING).glob("*/.*"):
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(torn, os.O_RDONLY | os.O_NOFOLLOW)
                if lock(descriptor, is_exclusive=True):
                    torn.unlink()
                os.close(descriptor)


def _data(path: Path) -> Path:
    return path.with_name(f"{path.name}.data")


def _parts(path: Path) -> Path:
    return path.with_name(f"{path.name}.parts")


def _names(folder: Path) -> Iterable[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return ()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _chunks(path: Path) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(_READ_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            yield buffer[:count]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_problem(error: OSError, what: str) -> Problem:
    """What a failure of the disk is to a client."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return store_full(what)
    return Problem(
        503,
        f"the server's disk failed: {error.strerror}",
        "nothing was lost that was answered for; see the server's log",
        retry_after_s=5,
    )
