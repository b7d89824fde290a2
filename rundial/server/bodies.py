"""Request bodies, bounded: on the wire, after decompression, and all together in memory.

A small body can unpack to a thousand times its size, so the bound on the unpacked size is enforced
while unpacking and not afterwards.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import Final

from starlette.requests import ClientDisconnect, Request

from rundial.server.problems import Problem, busy

MAX_WIRE_BYTES: Final = 16 * 2**20
MAX_PLAIN_BYTES: Final = 64 * 2**20
MAX_JSON_BYTES: Final = 16 * 2**20
MAX_HELD_BYTES: Final = 256 * 2**20
READ_TIMEOUT_S: Final = 60.0


class BodyReader:
    """Reads bodies within the bounds.

    Threads: the event loop's alone, so its count needs no lock.

    Args:
        max_wire_bytes: One body as it is sent.
        max_held_bytes: All bodies that are being read at one time.
        timeout_s: One body, from its first byte to its last.
    """

    def __init__(
        self,
        *,
        max_wire_bytes: int = MAX_WIRE_BYTES,
        max_held_bytes: int = MAX_HELD_BYTES,
        timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._max_wire_bytes = max_wire_bytes
        self._max_held_bytes = max_held_bytes
        self._timeout_s = timeout_s
        self._held_bytes = 0

    async def read(self, request: Request) -> bytes:
        """Read a request's body as it was sent.

        Raises:
            Problem: 413 too large, 408 too slow, 503 too much at once, 400 the client hung up.
        """
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_wire_bytes:
            raise self._too_large()
        try:
            return await asyncio.wait_for(self._read(request), self._timeout_s)
        except asyncio.TimeoutError as error:
            raise Problem(408, f"the body took longer than {self._timeout_s:.0f} s") from error
        except ClientDisconnect as error:
            raise Problem(400, "the client hung up before its body ended") from error

    async def _read(self, request: Request) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                self._held_bytes += len(chunk)
                if size > self._max_wire_bytes:
                    raise self._too_large()
                if self._held_bytes > self._max_held_bytes:
                    raise busy("too many large requests at once")
                chunks.append(chunk)
            return b"".join(chunks)
        finally:
            self._held_bytes -= size

    def _too_large(self) -> Problem:
        limit = f"{self._max_wire_bytes:,}"
        return Problem(413, f"the body is larger than {limit} bytes", "send it in several requests")


def unpack(body: bytes, encoding: str, *, max_bytes: int = MAX_PLAIN_BYTES) -> bytes:
    """Undo a body's content-encoding. Slow: for a worker thread.

    Args:
        body: As it was sent.
        encoding: The header's value; `gzip`, `identity` or empty.
        max_bytes: Bound on the result.

    Raises:
        Problem: 415 unknown encoding, 400 not gzip or torn, 413 the result is larger than the bound.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        if len(body) > max_bytes:
            raise _too_large_unpacked(max_bytes)
        return body
    if name != "gzip":
        raise Problem(415, f"content-encoding {name[:40]!r} is not read here", "send gzip, or no encoding")
    parts: list[bytes] = []
    room = max_bytes
    rest = body
    while rest:  # a gzip body may be several members one after the other
        part, rest = _member(rest, room)
        room -= len(part)
        if room < 0:
            raise _too_large_unpacked(max_bytes)
        parts.append(part)
    return b"".join(parts)


def _member(data: bytes, room: int) -> tuple[bytes, bytes]:
    """Unpack one gzip member to at most one byte more than there is room for."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        part = unpacker.decompress(data, room + 1)
    except zlib.error as error:
        raise Problem(400, "the body says gzip and is not", "send valid gzip, or no encoding") from error
    if not unpacker.eof and len(part) <= room:
        raise Problem(400, "the gzip body ends too early", "send the whole of it")
    return part, unpacker.unused_data


def _too_large_unpacked(limit: int) -> Problem:
    return Problem(413, f"the unpacked body is larger than {limit:,} bytes", "send it in several requests")
