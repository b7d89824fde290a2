"""What one artifact is made of: its files, each with its digest, and where their bytes lie meanwhile.

A manifest is written once, whole or not at all, when everything in it has been hashed; from then on the
job's directory says by itself what is to be uploaded, also to another process. JSON, a line a file.

Pure, but for `save` and `load`.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rundial.spool import durable

NAME = "manifest"
TEXT_TYPES = {".jsonl": "application/jsonl", ".parquet": "application/vnd.apache.parquet"}
UNKNOWN_TYPE = "application/octet-stream"


class FileEntry(NamedTuple):
    """One file of an artifact; a tuple, because a directory may hold 100,000.

    Attributes:
        path: Its name in the artifact, with `/`.
        size: Bytes.
        sha256: Hexadecimal.
        source: Where its bytes are.
        mtime_ns: Of a source that is the user's own file, which may change; 0 for a snapshot of ours.
        content_type: As far as its name tells.
    """

    path: str
    size: int
    sha256: str
    source: str
    mtime_ns: int = 0
    content_type: str = UNKNOWN_TYPE


class Manifest(NamedTuple):
    """The files of one job.

    Attributes:
        files: In the order of their paths.
        facts: What is known of the whole: what changed, what was left out, a picture's size.
        references: Files that stay where they are.
    """

    files: tuple[FileEntry, ...]
    facts: Mapping[str, Any]
    references: tuple[Mapping[str, Any], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.files)


def content_type_of(path: str) -> str:
    """Return what a file is, as far as its name tells."""
    suffix = os.path.splitext(path)[1].lower()
    return TEXT_TYPES.get(suffix) or mimetypes.guess_type(path)[0] or UNKNOWN_TYPE


def digest(files: Iterable[FileEntry]) -> str:
    """Return the digest of paths and contents: the same files have the same one."""
    found = hashlib.sha256()
    for entry in sorted(files):
        found.update(f"{entry.sha256} {entry.size} {entry.path}\n".encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def save(directory: Path, manifest: Manifest) -> None:
    """Write a job's manifest, whole or not at all.

    Raises:
        OSError: It could not be written.
    """
    # Line by line, as it is read: the text of 100,000 files is as large as all that is known of them.
    path = directory / NAME
    temporary = directory / f"{NAME}.new"
    head = {"files": len(manifest.files), "facts": manifest.facts, "references": manifest.references}
    with open(temporary, "w", encoding="utf-8", opener=_private) as file:
        file.write(json.dumps(head))
        for entry in manifest.files:
            file.write("\n" + json.dumps(entry))
    os.replace(temporary, path)


def load(directory: Path) -> Manifest | None:
    """Return a job's manifest, None where it was never finished or cannot be read."""
    try:
        with open(directory / NAME, encoding="utf-8") as file:
            head = json.loads(file.readline())
            files = tuple(FileEntry(*json.loads(line)) for line in file)
    except (OSError, ValueError, TypeError):
        return None
    if len(files) != head["files"]:
        # A power cut can leave the name of a file and only some of its content.
        return None
    return Manifest(files, head["facts"], tuple(head["references"]))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, durable.FILE_MODE)
