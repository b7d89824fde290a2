"""One upload: a manifest on its way to the server, until it is finalized or something is in the way.

    initiate ─► PUT each file or part that the server lacks ─► finalize
                    403: ask for fresh URLs, of what is still missing     409: send again what is wrong

The server's own list of what has arrived is what counts, so an upload goes on where any process left it:
the same key for the same job and content makes the server answer with the same upload.

Threads: one drives a shipment; `Crew` sends several parts at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rundial.artifacts.announcement import packed
from rundial.artifacts.crew import Crew
from rundial.artifacts.manifest import FileEntry, Manifest
from rundial.artifacts.snapshot import hashed
from rundial.artifacts.wire import BLOCK_BYTES, Conflict, Failure, Refused, Wire
from rundial.export.outcome import Retry

API = "/api/v1/artifacts"
# Rounds in which the server may ask for parts again before the upload is put aside for a while.
MAX_ROUNDS = 5


class Request(NamedTuple):
    """What an artifact is called and to whom it belongs.

    Attributes:
        project_id: The project.
        run_id: The run; empty for an artifact that no run has made.
        client_key: The same for the same job and content.
        facts: The further fields of `initiate`.
    """

    project_id: str
    run_id: str
    client_key: str
    facts: Mapping[str, Any]


class Delivered(NamedTuple):
    """The server has it."""

    artifact: Mapping[str, Any]


class Changed(NamedTuple):
    """A file that was to be sent from where it is, is no longer what was hashed."""

    path: str


Result = Delivered | Changed | Failure
Piece = tuple[FileEntry, Mapping[str, Any], int, int]


def _foreign(call: str, lacks: str) -> Retry:
    """What a 200 is that no server of ours sends: a proxy's page, another service; nothing was taken."""
    return Retry(None, f"{call} was answered without {lacks}: this is no Rundial server; the files are kept")


def send(wire: Wire, request: Request, manifest: Manifest, *, is_resumed: bool, width: int) -> Result:
    """Upload a manifest.

    Args:
        wire: How.
        request: As what.
        manifest: What.
        is_resumed: Another try, or another process, may have sent parts of it.
        width: How many parts at once.

    Raises:
        Stopped: The process ends.
    """
    return _Shipment(wire, request, manifest, width).run(is_resumed=is_resumed)


class _Shipment:
    def __init__(self, wire: Wire, request: Request, manifest: Manifest, width: int) -> None:
        self._wire = wire
        self._request = request
        self._manifest = manifest
        self._width = width
        self._files = {entry.path: entry for entry in manifest.files}
        self._ids: dict[str, Any] = {}

    def run(self, *, is_resumed: bool) -> Result:
        found = self._initiate()
        if not isinstance(found, dict):
            return found
        if is_resumed and found.get("files"):
            found = self._missing()
        why = ""
        for _ in range(MAX_ROUNDS):
            if not isinstance(found, dict):
                return found
            trouble = self._send_pages(found)
            if isinstance(trouble, Refused):
                why = trouble.why
                found = self._missing()
                continue
            if trouble is not None:
                return trouble
            done = self._finalize()
            if not isinstance(done, Conflict):
                return done
            damaged = self._damaged(done)
            if damaged is not None:
                return damaged
            why = f"finalize answered {done.status}"
            # 410: the upload is over on the server's side; the same key makes a new one.
            found = self._initiate() if done.status == 410 else self._missing()
        name = self._request.facts.get("name")
        return Retry(None, f"the server kept asking for parts of {name} again ({why})")

    def _initiate(self) -> dict[str, Any] | Failure:
        request = self._request
        whose = {"projectId": request.project_id, **({"runId": request.run_id} if request.run_id else {})}
        facts = {**whose, "clientKey": request.client_key, **request.facts}
        if self._manifest.references:
            facts["references"] = list(self._manifest.references)
        found = self._api("/initiate", packed(facts, self._manifest.files))
        if isinstance(found, dict):
            names = {name: found.get(name) for name in ("artifactId", "uploadId")}
            if not all(isinstance(each, str) and each for each in names.values()):
                return _foreign("initiate", "uploadId")
            self._ids = {**whose, **names}
        return found

    def _missing(self, cursor: str | None = None) -> dict[str, Any] | Failure:
        more = {"cursor": cursor} if cursor else {}
        return self._api("/upload", {**self._ids, **more})

    def _finalize(self) -> Result | Conflict:
        # Parts need no list here: the server knows what has arrived.
        done = self._wire.call(f"{API}/finalize", self._ids)
        if isinstance(done, dict):
            artifact = done.get("artifact")
            if isinstance(artifact, dict) and artifact.get("artifactId"):
                return Delivered(artifact)
            return _foreign("finalize", "artifact")
        return done

    def _damaged(self, conflict: Conflict) -> Changed | None:
        """Say which file that the server found wrong is so on this side; the others are sent once more."""
        try:
            wrong = [each["path"] for each in conflict.body["error"]["details"]["files"]]
        except (KeyError, TypeError):
            return None
        entries = (self._files.get(str(path)) for path in wrong)
        return next((Changed(each.path) for each in entries if each and not _is_whole(each)), None)

    def _api(self, path: str, body: Mapping[str, Any] | bytes) -> dict[str, Any] | Failure:
        found = self._wire.call(API + path, body)
        if isinstance(found, Conflict):
            return Retry(None, f"answered {found.status}")
        return found

    def _send_pages(self, found: dict[str, Any]) -> Changed | Failure | Refused | None:
        page: Any = found
        while True:
            if not isinstance(page, dict):
                return page  # type: ignore[no-any-return]  # a failure of the call for the next page
            crew = Crew[Piece, Changed | Failure | Refused](self._put, self._width, "rundial-parts")
            trouble = crew.work(self._pieces(page.get("files") or []))
            if trouble is not None:
                return trouble
            more = page.get("page") or {}
            if not more.get("hasMore"):
                return None
            page = self._missing(more.get("nextCursor"))

    def _pieces(self, files: list[Mapping[str, Any]]) -> Iterator[Piece]:
        for asked in files:
            entry = self._files.get(str(asked.get("path")))
            if entry is None:
                continue
            if asked.get("uploadStrategy") != "multipart":
                yield entry, asked, 0, entry.size
                continue
            there = {each.get("partNumber") for each in asked.get("have") or ()}
            for part in asked.get("parts") or ():
                if part.get("partNumber") not in there:
                    yield entry, part, int(part["offsetBytes"]), int(part["sizeBytes"])

    def _put(self, piece: Piece) -> Changed | Failure | Refused | None:
        entry, asked, offset, size = piece
        try:
            descriptor = os.open(entry.source, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return Changed(entry.path)
        try:
            if not _is_same(descriptor, entry):
                return Changed(entry.path)
            answer = self._wire.put(
                str(asked.get("url")),
                lambda: _blocks(descriptor, offset, size),
                size,
                asked.get("requiredHeaders") or {},
            )
            if not _is_same(descriptor, entry):
                return Changed(entry.path)
        finally:
            os.close(descriptor)
        if isinstance(answer, Refused) and answer.status == 400 and not _is_whole(entry):
            return Changed(entry.path)
        return None if isinstance(answer, str) else answer


def _is_same(descriptor: int, entry: FileEntry) -> bool:
    found = os.fstat(descriptor)
    # A snapshot is ours: its size alone is looked at.
    return found.st_size == entry.size and (not entry.mtime_ns or found.st_mtime_ns == entry.mtime_ns)


def _is_whole(entry: FileEntry) -> bool:
    """Whether a file still is what was hashed, by its content: a power cut, a disk or a hand may change it.

    What is not would be refused for ever.
    """
    try:
        return hashed(entry.source) == (entry.size, entry.sha256)
    except OSError:
        return False


def _blocks(descriptor: int, offset: int, size: int) -> Iterator[bytes]:
    end = offset + size
    while offset < end:
        block = os.pread(descriptor, min(BLOCK_BYTES, end - offset), offset)
        if not block:
            # Cut short meanwhile: the request ends unfinished, and the file is looked at again.
            raise OSError("the file became shorter while it was sent")
        yield block
        offset += len(block)
