"""TensorBoard's event files → runs: scalars, images, histograms, text and hparams, read without TensorBoard.

An event file is TFRecords (a length and its checksum, a body and its checksum, all in CRC-32C as TensorFlow
masks it), and a record is an `Event` in protobuf. A directory with event files is a run. A torn file ends
where it is torn.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rundial.importers import protobuf
from rundial.importers.imported import Imported, Line, NothingToImportError, Point, Shown
from rundial.importers.protobuf import BrokenMessageError
from rundial.media.values import Histogram, Image, Media

PATTERN = "*tfevents*"
LENGTH = struct.Struct("<QI")
CHECKSUM = struct.Struct("<I")
MASK = 0xA282EAD8
# `DataType` of tensorflow/core/framework/types.proto.
FLOAT, DOUBLE, STRING = 1, 2, 7
_SESSION_START = "_hparams_/session_start_info"


@dataclass(frozen=True, slots=True)
class Value:
    """One value of one event.

    Attributes:
        tag: Its name.
        step: Its step.
        time_ms: When it was written.
        kind: `scalar`, `image`, `histogram`, `text`, `hparams`, or what else it is.
        content: A number, bytes, or fields.
    """

    tag: str
    step: int
    time_ms: int
    kind: str
    content: Any


def find(place: Path) -> list[Path]:
    """Return the directories with event files at or below a path.

    Raises:
        NothingToImportError: There are none.
    """
    if place.is_file():
        return [place]
    folders = sorted({path.parent for path in place.rglob(PATTERN) if path.is_file()})
    if not folders:
        raise NothingToImportError(f"no event file of TensorBoard's is at or below {place}")
    return folders


def imported(folder: Path, root: Path) -> Imported:
    """Read one run.

    Args:
        folder: A directory with event files, or one such file.
        root: What its name leaves out.

    Raises:
        OSError: It cannot be read.
    """
    files = [folder] if folder.is_file() else sorted(path for path in folder.glob(PATTERN) if path.is_file())
    name = folder.name if folder == root else folder.relative_to(root).as_posix()
    out = Imported("tensorboard", _id_of(files, name), name=name)
    values = [value for path in files for value in _values(path, out)]
    if not values:
        out.left_out["files without a value"] += len(files)
    times = [value.time_ms for value in values if value.time_ms > 0]
    out.started_unix_ns = min(times, default=0) * 1_000_000
    out.finished_unix_ns = max(times, default=0) * 1_000_000
    _fill(out, values)
    return out


def _fill(out: Imported, values: list[Value]) -> None:
    points, lines, media = [], [], []
    for value in values:
        if value.kind == "scalar":
            points.append(Point(value.tag, value.step, value.content, value.time_ms))
        elif value.kind == "text":
            lines += [Line(text, value.time_ms, key=value.tag, step=value.step) for text in value.content]
        elif value.kind == "hparams":
            out.config.update(value.content)
        elif value.kind in ("image", "histogram"):
            media += [Shown(value.tag, value.step, make, value.time_ms) for make in value.content]
        else:
            out.left_out[f"values of the kind {value.kind}"] += 1
    out.points, out.lines, out.media = points, lines, media


def records(content: bytes) -> Iterator[bytes | None]:
    """Yield the body of each whole record; last of all None where the file is torn."""
    at = 0
    while at < len(content):
        if at + LENGTH.size > len(content):
            yield None
            return
        length, checksum = LENGTH.unpack_from(content, at)
        end = at + LENGTH.size + length
        if checksum != masked_crc(content[at : at + 8]) or end + CHECKSUM.size > len(content):
            yield None
            return
        body = content[at + LENGTH.size : end]
        if CHECKSUM.unpack_from(content, end)[0] != masked_crc(body):
            yield None
            return
        yield body
        at = end + CHECKSUM.size


def masked_crc(body: bytes) -> int:
    """Return the CRC-32C of some bytes, masked as TensorFlow does."""
    crc = crc32c(body)
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF


def crc32c(body: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of some bytes."""
    crc = 0xFFFFFFFF
    for byte in body:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _table() -> tuple[int, ...]:
    found = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        found.append(number)
    return tuple(found)


_TABLE = _table()


def _id_of(files: list[Path], name: str) -> str:
    """Return an id of what the files begin with, which is the same when they have grown."""
    digest = hashlib.sha256(name.encode())
    for path in files[:1]:
        with path.open("rb") as file:
            digest.update(file.read(64))
    return f"tb-{digest.hexdigest()[:24]}"


def _values(path: Path, out: Imported) -> Iterator[Value]:
    for body in records(path.read_bytes()):
        if body is None:
            out.left_out["the torn end of a file"] += 1
            return
        try:
            yield from _of_event(protobuf.message(body))
        except BrokenMessageError:
            out.left_out["events that cannot be read"] += 1


def _of_event(event: dict[int, list[Any]]) -> Iterator[Value]:
    if 5 not in event:
        return
    time_ms = int(protobuf.double(event[1][-1]) * 1000) if 1 in event else 0
    step = max(0, protobuf.integer(event, 2))
    for body in protobuf.message(event[5][-1]).get(1, ()):
        found = protobuf.message(body)
        kind, content = _content(found, step)
        yield Value(protobuf.text(found, 1), step, time_ms, kind, content)


def _content(found: dict[int, list[Any]], step: int) -> tuple[str, Any]:
    """Return kind and content of a `Summary.Value`."""
    if protobuf.text(found, 1) == _SESSION_START:
        return "hparams", _hparams(found)
    if 2 in found:
        return "scalar", protobuf.single(found[2][-1])
    if 4 in found:
        return _image(protobuf.message(found[4][-1]).get(4, [b""])[-1])
    if 5 in found:
        return "histogram", [_legacy_histogram(protobuf.message(found[5][-1]))]
    if 8 in found:
        return _of_tensor(protobuf.message(found[8][-1]), _plugin(found))
    del step
    return "audio" if 6 in found else "other", None


def _plugin(found: dict[int, list[Any]]) -> str:
    if 9 not in found:
        return ""
    data = protobuf.message(found[9][-1]).get(1)
    return protobuf.text(protobuf.message(data[-1]), 1) if data else ""


def _of_tensor(tensor: dict[int, list[Any]], plugin: str) -> tuple[str, Any]:
    kind = protobuf.integer(tensor, 1)
    if kind == STRING:
        texts = tensor.get(8, [])
        if plugin == "images":
            # Width and height come first.
            return "image", [_picture(body) for body in texts[2:]]
        if plugin == "text":
            return "text", [body.decode("utf-8", "replace") for body in texts]
        return plugin or "strings", None
    numbers = _numbers(tensor, kind)
    if plugin == "histograms" and numbers and len(numbers) % 3 == 0:
        return "histogram", [_histogram(numbers)]
    return ("scalar", numbers[0]) if len(numbers) == 1 else (plugin or "tensor", None)


def _numbers(tensor: dict[int, list[Any]], kind: int) -> list[float]:
    packed = tensor.get(4)
    if kind == FLOAT:
        return protobuf.singles(packed) if packed else protobuf.singles(tensor.get(5, []))
    if kind == DOUBLE:
        return protobuf.doubles(packed) if packed else protobuf.doubles(tensor.get(6, []))
    return []


def _image(content: bytes) -> tuple[str, Any]:
    return "image", [_picture(content)]


def _picture(content: bytes) -> Callable[[], Media]:
    def make() -> Media:
        if not content.startswith((b"\x89PNG", b"\xff\xd8")):
            raise ValueError("a picture that is neither PNG nor JPEG")
        return Image(_Encoded(content))

    return make


class _Encoded:
    """An encoded picture as something that is saved as a picture is."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def save(self, target: Any, format: str = "png") -> None:
        del format
        target.write(self._content)


def _legacy_histogram(found: dict[int, list[Any]]) -> Callable[[], Media]:
    low = protobuf.double(found[1][-1]) if 1 in found else 0.0
    high = protobuf.double(found[2][-1]) if 2 in found else 0.0
    limits, counts = protobuf.doubles(found.get(6, [])), protobuf.doubles(found.get(7, []))

    def make() -> Media:
        if not counts or len(limits) != len(counts):
            raise ValueError("a histogram without buckets")
        last = max(limits[-2] if len(limits) > 1 else low, min(limits[-1], high))
        return _bounded(counts, [min(low, limits[0]), *limits[:-1], last])

    return make


def _histogram(numbers: list[float]) -> Callable[[], Media]:
    rows = [numbers[at : at + 3] for at in range(0, len(numbers), 3)]

    def make() -> Media:
        return _bounded([row[2] for row in rows], [rows[0][0], *(row[1] for row in rows)])

    return make


def _bounded(counts: list[float], edges: list[float]) -> Histogram:
    """Return a histogram of at most 512 ranges: without empty ends, then with neighbours put together."""
    while len(counts) > 1 and counts[0] == 0:
        counts, edges = counts[1:], edges[1:]
    while len(counts) > 1 and counts[-1] == 0:
        counts, edges = counts[:-1], edges[:-1]
    while len(counts) > 512:
        counts = [sum(counts[at : at + 2]) for at in range(0, len(counts), 2)]
        edges = [*edges[:-1:2], edges[-1]]
    return Histogram(counts=counts, edges=edges)


def _hparams(found: dict[int, list[Any]]) -> dict[str, Any]:
    """Return the parameters of a session: metadata.plugin_data.content.session_start_info.hparams."""
    data = protobuf.message(protobuf.message(found[9][-1])[1][-1]).get(2, [b""])[-1]
    info = protobuf.message(data).get(3)
    out: dict[str, Any] = {}
    for entry in protobuf.message(info[-1]).get(1, ()) if info else ():
        pair = protobuf.message(entry)
        value = protobuf.message(pair[2][-1]) if 2 in pair else {}
        out[protobuf.text(pair, 1)] = _hparam(value)
    return out


def _hparam(value: dict[int, list[Any]]) -> Any:
    """Return the value of a `google.protobuf.Value`."""
    if 2 in value:
        return protobuf.double(value[2][-1])
    if 3 in value:
        return protobuf.text(value, 3)
    return bool(value[4][-1]) if 4 in value else None
