"""Writing below one directory and nowhere else, whatever names a server sends.

A name is taken apart and walked from an open directory, one part at a time, never following a link: what
is `..`, absolute, empty, a device's name or a link on the way is refused before anything is opened. So a
link that somebody sets up meanwhile leads nowhere either.

Threads: any.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from rundial.errors import ArtifactError

MAX_PART_BYTES = 255
# Names that Windows opens as devices in any directory, with any suffix.
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))}
)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def parts_of(path: object) -> list[str]:
    """Return the parts of a file's path in an artifact.

    Raises:
        ArtifactError: It could lead out of a directory, or names no file.
    """
    if not isinstance(path, str) or not path:
        raise ArtifactError(f"a file of the artifact has no name ({path!r}); nothing was written")
    parts = path.split("/")
    for part in parts:
        why = _wrong(part)
        if why:
            raise ArtifactError(f"file {path!r} of the artifact {why}; it was not written")
    return parts


def _wrong(part: str) -> str:
    if part in ("", ".", ".."):
        return "could lead out of the directory"
    if "\\" in part or "\0" in part or any(ord(char) < 32 for char in part):
        return "has a backslash or a control character in its name"
    if part.partition(".")[0].rstrip(" ").lower() in _DEVICES:
        return "is named like a device"
    if len(part.encode("utf-8", "surrogatepass")) > MAX_PART_BYTES:
        return "has too long a name"
    return ""


class Place:
    """One directory to write into.

    Args:
        root: The directory; made when missing.

    Raises:
        OSError: It cannot be made or opened.
    """

    def __init__(self, root: str) -> None:
        os.makedirs(root, exist_ok=True)
        # The root itself is the user's own choice, links and all.
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self._root)

    def open_existing(self, parts: list[str]) -> int | None:
        """Return a descriptor to read a regular file that is there, None where there is none.

        Raises:
            ArtifactError: A link or something else is in the way.
        """
        parent = self._parent(parts)
        try:
            found = os.open(
                parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=parent
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _in_the_way(parts, error) from error
        finally:
            os.close(parent)
        if not stat.S_ISREG(os.fstat(found).st_mode):
            os.close(found)
            raise _in_the_way(parts, FileExistsError(errno.EEXIST, "something that is no file is there"))
        return found

    def put(self, parts: list[str], source: str) -> None:
        """Copy a file to its place, which it takes whole or not at all.

        Raises:
            ArtifactError: A link or something else is in the way.
            OSError: It cannot be written.
        """
        parent = self._parent(parts)
        temporary = f".rundial-{os.urandom(8).hex()}"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            target = os.open(temporary, flags, 0o666, dir_fd=parent)
            try:
                copy_into(source, target)
            finally:
                os.close(target)
            try:
                # Takes the place of a link, and never follows it.
                os.rename(temporary, parts[-1], src_dir_fd=parent, dst_dir_fd=parent)
            except OSError as error:
                raise _in_the_way(parts, error) from error
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=parent)
            os.close(parent)

    def _parent(self, parts: list[str]) -> int:
        descriptor = os.dup(self._root)
        for part in parts[:-1]:
            try:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o777, dir_fd=descriptor)
                below = os.open(part, _DIRECTORY, dir_fd=descriptor)
            except OSError as error:
                raise _in_the_way(parts, error) from error
            finally:
                os.close(descriptor)
            descriptor = below
        return descriptor


def copy_into(source: str, target: int) -> None:
    """Copy a file's bytes into an open one, cloned where the file system can.

    Raises:
        OSError: It cannot be read or written.
    """
    from rundial.artifacts.snapshot import clone

    with open(source, "rb", buffering=0) as file:
        if clone(file.fileno(), target):
            return
        while block := file.read(1 << 20):
            view = memoryview(block)
            while view:
                view = view[os.write(target, view) :]


def _in_the_way(parts: list[str], error: OSError) -> ArtifactError:
    path = "/".join(parts)
    why = error.strerror or type(error).__name__
    return ArtifactError(f"{path!r} cannot be written: a link or another file is in the way ({why})")
