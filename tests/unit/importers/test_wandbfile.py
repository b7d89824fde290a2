"""W&B's offline files are read as they are, up to where they are torn."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.importers.wandbfile import (
    BLOCK_BYTES,
    HEADER,
    HEADER_BYTES,
    PIECE,
    NotAFileOfWandbError,
    bodies,
    read,
)
from tests.support.eventfiles import held, whole


def _file(*records: bytes) -> bytes:
    """A file as W&B's client writes it: pieces that end at the ends of blocks."""
    out = bytearray(HEADER + b"\xe1\xbe\x00")
    for record in records:
        rest, is_first = record, True
        while True:
            left = BLOCK_BYTES - len(out) % BLOCK_BYTES
            if left < PIECE.size:
                out += bytes(left)
                continue
            part, rest = rest[: left - PIECE.size], rest[left - PIECE.size :]
            kind = (1 if not rest else 2) if is_first else (4 if not rest else 3)
            out += PIECE.pack(zlib.crc32(part, zlib.crc32(bytes([kind]))), len(part), kind) + part
            is_first = False
            if not rest:
                break
    return bytes(out)


@given(st.lists(st.integers(0, 3 * BLOCK_BYTES), max_size=6), st.data())
def test_file_cut_anywhere_gives_every_whole_record(sizes: list[int], data: st.DataObject) -> None:
    """A program that was killed costs at most its last record, and no other one is read wrongly."""
    records = [bytes([number]) * size for number, size in enumerate(sizes)]
    content = _file(*records)
    cut = data.draw(st.integers(HEADER_BYTES, len(content)))
    found = [body for body in bodies(content[:cut]) if body is not None]

    assert found == records[: len(found)]
    assert len(found) >= sum(len(_file(*records[: number + 1])) <= cut for number in range(len(records)))


@pytest.mark.parametrize("at", [HEADER_BYTES, HEADER_BYTES + 8, HEADER_BYTES + 30])
def test_bit_that_has_flipped_ends_what_is_read(at: int) -> None:
    """What cannot be trusted is not read."""
    content = bytearray(_file(b"x" * 50, b"y" * 50))
    content[at] ^= 1

    assert list(bodies(bytes(content))) == [None]


def test_other_files_are_refused() -> None:
    """A wrong path is an error and no empty run."""
    with pytest.raises(NotAFileOfWandbError):
        list(bodies(b"SQLite format 3\0"))


def test_records_of_a_run_are_read(tmp_path: Path) -> None:
    """Config, rows, definitions and the end; nested names and media are put together."""

    def item(value: object, *path: str) -> bytes:
        return b"".join(held(2, part.encode()) for part in path) + held(16, json.dumps(value).encode())

    run = (
        held(1, b"abc")
        + held(3, b"proj")
        + held(8, b"named")
        + held(10, b"t")
        + held(17, whole(1, 1_700_000_000))
    )
    row = [
        item(0.5, "a", "b"),
        item("image-file", "pic", "_type"),
        item("p.png", "pic", "path"),
        item(1_700_000_001.5, "_timestamp"),
    ]
    history = b"".join(held(1, each) for each in row) + held(2, whole(1, 7))
    config = held(1, held(1, b"lr") + held(16, b"0.1"))
    metric = held(2, b"val/*") + held(4, b"epoch") + held(7, whole(1, 1))
    exit_ = whole(1, (1 << 64) - 1)
    records = [(17, run), (5, config), (12, metric), (2, history), (18, exit_), (99, b"")]
    path = tmp_path / "run-abc.wandb"
    path.write_bytes(_file(*(held(number, body) for number, body in records)))
    found = read(path)

    assert (found.run_id, found.project, found.name, found.tags) == ("abc", "proj", "named", ["t"])
    assert found.started_unix_ns == 1_700_000_000_000_000_000
    assert found.config == {"lr": 0.1}
    assert found.metrics == [("val/*", "epoch", "min")]
    (read_row,) = found.rows
    assert (read_row.step, read_row.time_unix_ns) == (7, 1_700_000_001_500_000_000)
    assert read_row.values == {("a", "b"): 0.5, ("pic",): {"_type": "image-file", "path": "p.png"}}
    assert (found.exit_code, found.is_torn, found.unknown) == (-1, False, {99: 1})


def test_struct_of_a_piece_is_the_published_one() -> None:
    """Checksum, length and kind, little end first."""
    assert PIECE.size == struct.calcsize("<IHB") == 7
