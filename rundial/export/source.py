"""The seams of the sender: where frames come from, how they leave, how they are halved.

Protocols owned by this stage; the session hands in the spool's lanes, the transport and
the signals' splitter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from rundial.export.outcome import Outcome
    from rundial.spool.ack import Cursor
    from rundial.spool.frame import Frame

Halves: TypeAlias = tuple[tuple[bytes, int], tuple[bytes, int]]
# (lane name, plain request body) -> two plain bodies with their item counts, None for a single item.
Splitter: TypeAlias = Callable[[str, bytes], Halves | None]


class FrameSource(Protocol):
    """A lane of a spool, as the sender sees it."""

    @property
    def waiting_frames(self) -> int:
        """Frames without an answer yet."""
        ...

    def peek(self) -> tuple[Cursor, Frame] | None:
        """Return the oldest visible frame without an answer; None when there is none."""
        ...

    def ack(self, cursor: Cursor, *, delivered: int, rejected: int = 0) -> None:
        """Move past a frame and count its units."""
        ...

    def reject(self, cursor: Cursor, body: bytes, units: int) -> None:
        """File a refused part of a frame; the count comes with the ack."""
        ...


class Source(Protocol):
    """One spool to deliver: its lanes, where they go and with which key."""

    @property
    def lanes(self) -> Mapping[str, FrameSource]:
        """The lanes by name, in the order they are visited."""
        ...

    @property
    def label(self) -> str:
        """What messages call it, such as `run abc`; no secrets."""
        ...

    def url(self, lane: str) -> str:
        """Return where a lane's requests go; read at every request."""
        ...

    def headers(self, lane: str) -> Mapping[str, str]:
        """Return the headers of a lane's request; read at every request, so a new key takes effect."""
        ...

    def on_outcome(self, lane: str, outcome: Outcome) -> None:
        """Hear what became of a request; sender thread, must not wait."""
        ...


class Transport(Protocol):
    """How one request leaves; see `rundial.export.http`."""

    def post(
        self, url: str, body: bytes, *, is_gzip: bool, headers: Mapping[str, str], timeout_s: float
    ) -> Outcome:
        """Send one request and say what became of it; never raises for the network."""
        ...

    def abort(self) -> None:
        """End the request under way at once; any thread."""
        ...

    def close(self) -> None:
        """Close the kept connections."""
        ...
