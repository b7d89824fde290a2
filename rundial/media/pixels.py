"""Arrays of pixels → 8-bit images, and a small PNG writer for machines without Pillow. Pure.

An array-like has `shape`, `dtype` and `tobytes`. Two snapshots exist: the bytes of 8-bit pixels, taken at
the call, and a copy of anything else, which the artifact worker converts. Nothing here imports numpy: what
needs arithmetic uses the array's own module, which is there because the array is.
"""

from __future__ import annotations

import struct
import sys
import zlib
from typing import Any, NamedTuple

# PNG, "Color type": greyscale, truecolour, truecolour with alpha; by channels.
_COLOURS = {1: 0, 3: 2, 4: 6}
CHANNELS = (1, 3, 4)


class Pixels(NamedTuple):
    """An image as bytes, row by row.

    Attributes:
        width: Columns.
        height: Rows.
        channels: 1, 3 or 4.
        data: height · width · channels bytes.
    """

    width: int
    height: int
    channels: int
    data: bytes


class Layout(NamedTuple):
    """How an array holds an image.

    Attributes:
        height: Rows.
        width: Columns.
        channels: 1, 3 or 4.
        is_channels_first: Shape is (channels, height, width), as torch has it.
    """

    height: int
    width: int
    channels: int
    is_channels_first: bool = False


def layout_of(shape: tuple[int, ...], *, prefers_channels_first: bool) -> Layout:
    """Return how an array of this shape holds an image.

    Args:
        shape: (h, w), (h, w, c) or (c, h, w) with c of 1, 3 or 4.
        prefers_channels_first: What counts where both could be meant.

    Raises:
        TypeError: It is no image.
    """
    sizes = tuple(int(size) for size in shape)
    if min(sizes, default=0) < 1:
        raise TypeError(f"an array of shape {sizes} holds no pixels")
    if len(sizes) == 2:
        return Layout(sizes[0], sizes[1], 1)
    if len(sizes) == 3:
        last, first = sizes[2] in CHANNELS, sizes[0] in CHANNELS
        if first and (prefers_channels_first or not last):
            return Layout(sizes[1], sizes[2], sizes[0], is_channels_first=True)
        if last:
            return Layout(sizes[0], sizes[1], sizes[2])
    raise TypeError(f"an array of shape {sizes} is no image: (h, w), (h, w, 1 | 3 | 4) or (1 | 3 | 4, h, w)")


def converted(array: Any, layout: Layout) -> Pixels:
    """Return the pixels of a numpy array of any number type.

    Floats are taken from 0 to 1, booleans as black and white; 16-bit integers lose their lower half. NaN is
    black, and what lies outside is cut to the nearest.
    """
    numpy = sys.modules["numpy"]
    if layout.is_channels_first:
        array = array.transpose(1, 2, 0)
    kind = array.dtype.kind
    if kind == "f":
        array = numpy.nan_to_num(array.astype("float64"), nan=0.0, posinf=1.0, neginf=0.0)
        array = numpy.rint(numpy.clip(array, 0.0, 1.0) * 255.0)
    elif kind == "b":
        array = array.astype("uint8") * 255
    elif array.dtype.itemsize == 2 and kind == "u":
        array = array >> 8
    elif kind in "iu":
        array = numpy.clip(array, 0, 255)
    else:
        raise TypeError(f"an array of {array.dtype} is no image")
    data = numpy.ascontiguousarray(array.astype("uint8")).tobytes()
    return Pixels(layout.width, layout.height, layout.channels, data)


def png(pixels: Pixels) -> bytes:
    """Return a PNG file, without any filter.

    Source:
        Portable Network Graphics (PNG) Specification, third edition, chunks IHDR, IDAT and IEND.
    """
    row_bytes = pixels.width * pixels.channels
    starts = range(0, row_bytes * pixels.height, row_bytes)
    rows = b"".join(b"\0" + pixels.data[start : start + row_bytes] for start in starts)
    head = struct.pack(">IIBBBBB", pixels.width, pixels.height, 8, _COLOURS[pixels.channels], 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def png_size(head: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG file that begins so, None of anything else."""
    if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 24:
        return None
    width, height = struct.unpack_from(">II", head, 16)
    return int(width), int(height)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
