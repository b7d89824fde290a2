"""Real file systems that are small, read-only or of a kind that holds no ring; for root on Linux alone.

A test that cannot mount is skipped with the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

IMAGE_BYTES = 32 << 20


@contextmanager
def mounted(place: Path, kind: str, options: str = "") -> Iterator[Path]:
    """Mount a file system of memory at a directory, made when missing, as long as the context lasts.

    Args:
        place: Where.
        kind: `tmpfs`, which has a size, or `ramfs`, which has none and is not mapped from.
        options: As for `mount -o`.
    """
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("mounting a file system needs root on Linux")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    done = _run("mount", "-t", kind, *(("-o", options) if options else ()), "none", str(place))
    if done.returncode != 0:
        pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
    try:
        yield place
    finally:
        # Lazily: what still holds a file there must not leave the mount behind.
        _run("umount", "--lazy", str(place))


@contextmanager
def image_mounted(
    image: Path, place: Path, *, kind: str = "ext4", size_bytes: int = IMAGE_BYTES
) -> Iterator[Path]:
    """Mount a file system out of a file, made when missing, as long as the context lasts."""
    make = f"mkfs.{kind}"
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which(make) is None:
        pytest.skip(f"a disk of one's own needs root on Linux, and {make}")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not image.exists():
        with image.open("wb") as file:
            file.truncate(size_bytes)
        made = _run(make, "-q", str(image))
        assert made.returncode == 0, made.stderr
    done = _run("mount", "-o", "loop", str(image), str(place))
    if done.returncode != 0:
        pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
    try:
        yield place
    finally:
        _run("umount", str(place))


def remount(place: Path, options: str) -> None:
    """Change the options of what is mounted, such as `ro`, `rw` or `size=64m`."""
    done = _run("mount", "-o", f"remount,{options}", str(place))
    assert done.returncode == 0, done.stderr


def without_shared_memory(*command: str) -> list[str]:
    """Return a command that runs another where `/dev/shm` is no shared memory, seen by nobody else."""
    _check_namespaces()
    hide = 'mount -t ramfs none /dev/shm && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", hide, "sh", *command]


def with_full_shared_memory(*command: str) -> list[str]:
    """Return a command that runs another where `/dev/shm` has no byte left, seen by nobody else."""
    _check_namespaces()
    fill = 'mount -t tmpfs -o size=2m none /dev/shm && { cat /dev/zero >/dev/shm/full 2>&-; exec "$@"; }'
    return ["unshare", "--mount", "sh", "-c", fill, "sh", *command]


def _check_namespaces() -> None:
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("a mount of one's own needs root on Linux")
    if _run("unshare", "--mount", "true").returncode != 0:
        pytest.skip("this machine gives no mount namespaces")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=10)
