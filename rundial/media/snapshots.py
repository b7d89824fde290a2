"""What is written when its turn comes: snapshots of media that nobody can change any more.

Each knows its size in memory and writes itself into a directory. The call that logs makes them, the artifact
worker writes them.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rundial.media import pixels
from rundial.media.pixels import Layout, Pixels

PNG = "image/png"
JSON = "application/json"
PLOTLY = "application/vnd.plotly.v1+json"


class Part(NamedTuple):
    """One file of a snapshot.

    Attributes:
        name: Its file's name.
        content_type: What it is.
        content: Returns its bytes, in the worker.
        size: Bytes that it holds in memory until then.
        facts: What is known of it: width and height, rows and columns.
    """

    name: str
    content_type: str
    content: Callable[[], bytes]
    size: int
    facts: Mapping[str, Any]


class Snapshot:
    """One piece of media with what belongs to it.

    Args:
        parts: The first one is the media itself.
    """

    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts

    @property
    def size(self) -> int:
        """Bytes that it holds in memory."""
        return sum(part.size for part in self._parts)

    def write(self, directory: str) -> dict[str, Any]:
        """Write its files; see `rundial.recorder.made.Made`."""
        files = []
        for part in self._parts:
            path = os.path.join(directory, part.name)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(part.content())
            files.append({"name": part.name, "content_type": part.content_type})
        return {"files": files, **self._parts[0].facts}


def image_of(array: Any, name: str) -> Part:
    """Take a snapshot of an array of pixels.

    Args:
        array: A numpy array, a torch tensor on any device, or whatever has `shape`, `dtype` and `tobytes`.
        name: Of the file.

    Raises:
        TypeError: It is no image.
    """
    is_tensor = hasattr(array, "detach")
    if is_tensor:
        # On a GPU this waits for what is computed there: a snapshot cannot do otherwise.
        array = array.detach().cpu()
        if str(array.dtype) in ("torch.bfloat16", "torch.float16"):
            array = array.float()
        array = array.numpy()
    layout = pixels.layout_of(tuple(array.shape), prefers_channels_first=is_tensor)
    facts = {"width": layout.width, "height": layout.height}
    # numpy says so in one character at once, and takes longer over the name than all else here does.
    is_bytes = getattr(array.dtype, "char", "") == "B" or str(array.dtype) == "uint8"
    if is_bytes and not layout.is_channels_first:
        taken = Pixels(layout.width, layout.height, layout.channels, array.tobytes())
        return Part(name, PNG, lambda: _encoded(taken), len(taken.data), facts)
    if not hasattr(array, "astype"):
        raise TypeError(f"pixels of {array.dtype} need a numpy array")
    copy = array.copy()
    return Part(name, PNG, lambda: _encoded(_converted(copy, layout)), int(copy.nbytes), facts)


def picture_of(picture: Any, name: str) -> Part:
    """Take a snapshot of a PIL image, or of whatever has `save(target, format="PNG")`."""
    width, height = getattr(picture, "width", None), getattr(picture, "height", None)
    facts = {"width": width, "height": height} if isinstance(width, int) and isinstance(height, int) else {}
    copy = getattr(picture, "copy", None)
    if callable(copy) and type(picture).__module__.startswith("PIL."):
        mine = copy()
        size = (width or 0) * (height or 0) * len(mine.getbands())
        return Part(name, PNG, lambda: _saved(mine), size, facts)
    # Nobody knows what it will be later: it is written now.
    content = _saved(picture)
    return Part(name, PNG, lambda: content, len(content), facts)


def json_part(name: str, value: Any, size: int, facts: Mapping[str, Any] | None = None) -> Part:
    """Return a file of JSON, written by the worker; the value must be nobody else's."""
    return Part(name, JSON, lambda: encoded_json(value() if callable(value) else value), size, facts or {})


def encoded_json(value: Any) -> bytes:
    """Return JSON that every reader takes: no NaN and no infinities."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def finite(value: object) -> object:
    """Return a number, or None for one that JSON cannot carry."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _converted(array: Any, layout: Layout) -> Pixels:
    return pixels.converted(array, layout)


def _encoded(taken: Pixels) -> bytes:
    try:
        from PIL import Image
    except ImportError:
        return pixels.png(taken)
    import io

    mode = {1: "L", 3: "RGB", 4: "RGBA"}[taken.channels]
    target = io.BytesIO()
    Image.frombytes(mode, (taken.width, taken.height), taken.data).save(target, format="PNG")
    return target.getvalue()


def _saved(picture: Any) -> bytes:
    import io

    target = io.BytesIO()
    picture.save(target, format="PNG")
    return target.getvalue()
