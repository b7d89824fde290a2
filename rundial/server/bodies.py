"""Request bodies, bounded: on the wire, after decompression, and all together in memory.

A small body can unpack to a thousand times its size, so the bound on the unpacked size is enforced
while unpacking and not afterwards.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from typing import Final, Protocol

import zstandard
from starlette.requests import ClientDisconnect, Request

from rundial.server.problems import Problem, busy

MAX_WIRE_BYTES: Final = 16 * 2**20
MAX_PLAIN_BYTES: Final = 32 * 2**20
MAX_JSON_BYTES: Final = 16 * 2**20
MAX_HELD_BYTES: Final = 64 * 2**20
READ_TIMEOUT_S: Final = 60.0
MAX_STREAMS: Final = 1_000
# What is given to an unpacker at once can grow a thousandfold with gzip, and with zstd 32,000-fold: so much
# may be in memory beyond the bound.
_GZIP_CHUNK_BYTES: Final = 4096
_ZSTD_CHUNK_BYTES: Final = 256
# What RFC 8878 asks every decoder to support, and no more.
_ZSTD_WINDOW_BYTES: Final = 8 * 2**20


class _Unpacker(Protocol):
    """One compressed stream."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def unused_data(self) -> bytes:
        """What stood behind its end."""

    def decompress(self, data: bytes, /) -> bytes:
        """Unpack further bytes."""


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

    @property
    def max_wire_bytes(self) -> int:
        """The bound on one body as it is sent."""
        return self._max_wire_bytes

    @property
    def timeout_s(self) -> float:
        """How long one body may take, seconds."""
        return self._timeout_s

    @property
    def held_bytes(self) -> int:
        """What is in memory of bodies that are being read."""
        return self._held_bytes

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
        encoding: The header's value; `gzip`, `zstd`, `deflate` (also as `zlib`), `identity` or empty.
        max_bytes: Bound on the result.

    Raises:
        Problem: 415 unknown encoding, 400 not what it says or torn, 413 the result is larger than the bound.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        if len(body) > max_bytes:
            raise _too_large_unpacked(max_bytes)
        return body
    if name == "gzip":
        return _unpacked(body, name, lambda: zlib.decompressobj(wbits=31), _GZIP_CHUNK_BYTES, max_bytes)
    if name == "zstd":
        return _unpacked(body, name, _zstd, _ZSTD_CHUNK_BYTES, max_bytes)
    if name in ("deflate", "zlib"):
        return _unpacked(body, name, _inflater(body), _GZIP_CHUNK_BYTES, max_bytes)
    raise Problem(
        415, f"content-encoding {name[:40]!r} is not read here", "send gzip, zstd, deflate, or no encoding"
    )


def _inflater(body: bytes) -> Callable[[], _Unpacker]:
    """What reads a body that says deflate: zlib's form, as HTTP has it, or bare, as some programs send it."""
    is_zlib = len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and (body[0] << 8 | body[1]) % 31 == 0
    wbits = zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS
    return lambda: zlib.decompressobj(wbits=wbits)


def _zstd() -> _Unpacker:
    return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()


def _unpacked(
    body: bytes, name: str, make: Callable[[], _Unpacker], chunk_bytes: int, max_bytes: int
) -> bytes:
    """Unpack streams that stand one after the other, a little at a time."""
    parts: list[bytes] = []
    size = streams = 0
    unpacker: _Unpacker | None = None
    for start in range(0, len(body), chunk_bytes):
        rest = body[start : start + chunk_bytes]
        while rest:
            if unpacker is None:
                unpacker = make()
                streams += 1
            part, rest, unpacker = _step(unpacker, rest, name)
            size += len(part)
            if size > max_bytes:
                raise _too_large_unpacked(max_bytes)
            if streams > MAX_STREAMS:
                raise Problem(413, f"the body is more than {MAX_STREAMS:,} {name} streams", "send one")
            parts.append(part)
    if unpacker is not None:
        raise Problem(400, f"the {name} body ends too early", "send the whole of it")
    return b"".join(parts)


def _step(unpacker: _Unpacker, data: bytes, name: str) -> tuple[bytes, bytes, _Unpacker | None]:
    """Unpack some bytes: what came out, what is left, and what goes on with it; None at a stream's end."""
    try:
        part = unpacker.decompress(data)
    except (zlib.error, zstandard.ZstdError) as error:
        raise Problem(
            400, f"the body says {name} and is not", f"send valid {name}, or no encoding"
        ) from error
    return (part, unpacker.unused_data, None) if unpacker.eof else (part, b"", unpacker)


def _too_large_unpacked(limit: int) -> Problem:
    return Problem(413, f"the unpacked body is larger than {limit:,} bytes", "send it in several requests")
