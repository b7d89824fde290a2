"""The body that announces an upload: JSON that is written file by file, and packed as it is written.

A directory of 100,000 files is 17 MB of JSON, which is more than a server reads at once and than a training
program should hold twice. Pure.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from rundial.artifacts.manifest import FileEntry

FILES_AT_ONCE = 500
_ENCODER = json.JSONEncoder(separators=(",", ":"))


def packed(facts: Mapping[str, Any], files: Iterable[FileEntry]) -> bytes:
    """Return facts and files as one JSON object, as gzip.

    Args:
        facts: All fields but `files`; at least one.
        files: What becomes `files`.
    """
    # Level 1: digests are random, and names alone pack well with any.
    packer = zlib.compressobj(1, wbits=31)
    parts = [packer.compress(piece.encode()) for piece in _pieces(facts, files)]
    return b"".join([*parts, packer.flush()])


def _pieces(facts: Mapping[str, Any], files: Iterable[FileEntry]) -> Iterator[str]:
    yield _ENCODER.encode(dict(facts))[:-1] + ',"files":['
    waiting, comma = iter(files), ""
    while some := list(islice(waiting, FILES_AT_ONCE)):
        listed = [
            {
                "path": entry.path,
                "sizeBytes": entry.size,
                "sha256": entry.sha256,
                "contentType": entry.content_type,
            }
            for entry in some
        ]
        yield comma + _ENCODER.encode(listed)[1:-1]
        comma = ","
    yield "]}"
