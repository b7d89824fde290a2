r"""Which files a directory artifact has: one rule for everything that a file system can hold.

- A regular file is taken, empty ones too, under its path below the directory, with `/`.
- A symlink to a file is taken as the file that it names, when that lies inside the directory; a link that
  leads outside, to a directory, or nowhere is left out and said, so that a stray link takes neither a home
  directory nor a key along. The path that the user named may itself be a link.
- Sockets, pipes and devices are left out and said: reading one may never end.
- What cannot be read is left out and said when its directory is listed, or when it is opened.
- Names are any bytes: what is no UTF-8 goes with `\xNN` for each byte that is none.

Order is that of the paths, so the same files always make the same manifest.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

MAX_FILES = 1_000_000


class Found(NamedTuple):
    """One file to take.

    Attributes:
        path: In the artifact.
        source: On disk.
    """

    path: str
    source: str


class LeftOut(NamedTuple):
    """One entry that is not taken.

    Attributes:
        path: Below the directory.
        why: In words.
    """

    path: str
    why: str


def walk(root: str) -> Iterator[Found | LeftOut]:
    """Yield what a directory holds, in the order of the paths.

    Args:
        root: The directory.
    """
    real_root = os.path.realpath(root)
    yield from _walk(root, "", real_root)


def name_of(source: str) -> str:
    """Return a name as text that UTF-8 can carry, with `/` between its parts."""
    name = source.replace(os.sep, "/")
    if name.isascii():
        return name
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _walk(directory: str, prefix: str, real_root: str) -> Iterator[Found | LeftOut]:
    try:
        with os.scandir(directory) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
    except OSError as error:
        yield LeftOut(prefix.rstrip("/") or ".", _words(error))
        return
    for entry in entries:
        path = prefix + name_of(entry.name)
        try:
            if entry.is_symlink():
                yield _of_link(entry.path, path, real_root)
            elif entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, path + "/", real_root)
            elif entry.is_file(follow_symlinks=False):
                yield Found(path, entry.path)
            else:
                yield LeftOut(path, "neither a file nor a directory")
        except OSError as error:
            yield LeftOut(path, _words(error))


def _of_link(source: str, path: str, real_root: str) -> Found | LeftOut:
    target = os.path.realpath(source)
    if os.path.commonpath([target, real_root]) != real_root:
        return LeftOut(path, "a link that leads outside of the directory")
    try:
        mode = os.stat(target).st_mode
    except OSError as error:
        return LeftOut(path, f"a link that leads nowhere ({_words(error)})")
    if stat.S_ISREG(mode):
        return Found(path, target)
    return LeftOut(path, "a link to what is no file")


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__
