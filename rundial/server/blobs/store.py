"""What the server asks of a place for bytes. Local disk and S3 answer it alike.

A blob arrives at a staging place, whole by one PUT or in parts; `keep` judges it by its size and
sha256 and gives it its lasting place, which no client can ever write to. Places are made by the server from
random and hex digits alone.

Threads: every method may be called from any thread and may take long; none runs on the event loop
but the `sign_*` of the local store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from rundial.server.problems import Problem

# A blob of this size or more arrives in parts, so that a broken connection costs one part.
PART_BYTES: Final = 32 * 2**20
# S3's own bound on parts of one object.
MAX_PARTS: Final = 10_000
MAX_BLOB_BYTES: Final = 5 * 2**40

Reason = Literal["missing", "size", "sha256"]


@dataclass(frozen=True, slots=True)
class Staged:
    """A blob on its way.

    Attributes:
        place: Where its bytes arrive.
        size_bytes: As announced.
        sha256: As announced, 64 hex digits.
        part_bytes: Size of each part but the last; 0 for one PUT.
        handle: The store's own name of a multipart upload; empty for one PUT, and before `begin`.
        lasting: Where `keep` puts it.
    """

    place: str
    size_bytes: int
    sha256: str
    part_bytes: int
    handle: str
    lasting: str

    def parts(self) -> list[Part]:
        """The parts that it arrives in, none for one PUT."""
        if not self.part_bytes:
            return []
        offsets = range(0, self.size_bytes, self.part_bytes)
        return [
            Part(number, offset, min(self.part_bytes, self.size_bytes - offset))
            for number, offset in enumerate(offsets, start=1)
        ]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a blob: its number from 1, its offset and size in bytes."""

    number: int
    offset_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """A part that the store has."""

    number: int
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A URL that carries its own right, and the headers that belong to it."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Download:
    """How a blob is handed out.

    Attributes:
        place: Its lasting place.
        content_type: As its uploader said; what a browser could run is handed out as plain bytes.
        name: What a browser saves it as.
    """

    place: str
    content_type: str
    name: str


class BlobStore(Protocol):
    """Bytes by place."""

    @property
    def elsewhere(self) -> str | None:
        """What all URLs of `sign_get` begin with; None where they are the server's own."""
        ...

    def begin(self, staged: Staged) -> str:
        """Get ready for the bytes and return the handle of a multipart upload, empty for one PUT."""
        ...

    def sign_put(self, staged: Staged, *, base_url: str, life_s: int) -> Signed:
        """A URL to PUT the whole blob to."""
        ...

    def sign_part(self, staged: Staged, part: Part, *, base_url: str, life_s: int) -> Signed:
        """A URL to PUT one part to."""
        ...

    def sign_get(self, download: Download, *, base_url: str, life_s: int) -> Signed:
        """A URL to GET a kept blob from; Range requests work."""
        ...

    def arrived(self, staged: Staged) -> list[Arrived] | None:
        """The parts that are there, by number; for one PUT one of them when all is there; None when kept."""
        ...

    def keep(self, wanted: Sequence[Staged]) -> list[Reason | None]:
        """Judge blobs and give the good ones their lasting places.

        Repeating it is harmless. What is refused is dropped, so that it can be sent again.

        Returns:
            None for each that is kept, else why not.
        """
        ...

    def discard(self, staged: Sequence[Staged]) -> None:
        """Drop what arrived; kept blobs stay."""
        ...

    def delete(self, place: str) -> None:
        """Drop a kept blob; dropping nothing is no error."""
        ...

    def digest(self, place: str) -> tuple[int, str] | None:
        """Read a kept blob and return its size and sha256; None when it is gone."""
        ...

    def check_room(self, wanted_bytes: int) -> None:
        """Refuse what cannot fit.

        Raises:
            Problem: 507.
        """
        ...


def part_size(size_bytes: int) -> int:
    """The size of a blob's parts, a multiple of 1 MiB; 0 when it arrives by one PUT."""
    if size_bytes < PART_BYTES:
        return 0
    least = -(-size_bytes // MAX_PARTS)
    return max(PART_BYTES, -(-least // 2**20) * 2**20)


def store_full(what: str) -> Problem:
    """There is no room for bytes."""
    return Problem(
        507,
        f"the server's disk has no room for {what}",
        "nothing of it was kept; free disk space at the server, or delete artifacts and run "
        "`rundial artifact gc`, then send it again",
        retry_after_s=60,
    )
