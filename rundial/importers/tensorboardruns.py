"""TensorBoard's event files → runs: scalars, images, histograms, text and hparams, read without TensorBoard.

An event file is TFRecords (a length and its checksum, a body and its checksum, all in CRC-32C as TensorFlow
masks it), and a record is an event. A directory with event files is a run. A torn file ends
where it is torn.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path

from rundial.importers.eventvalues import Value, values_of
from rundial.importers.imported import Imported, Line, NothingToImportError, Point, Shown
from rundial.importers.protobuf import BrokenMessageError

PATTERN = "*tfevents*"
LENGTH = struct.Struct("<QI")
CHECKSUM = struct.Struct("<I")
MASK = 0xA282EAD8


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
            yield from values_of(body)
        except BrokenMessageError:
            out.left_out["events that cannot be read"] += 1
