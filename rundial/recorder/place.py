"""Where a ring may live.

A shared mapping is only as safe as the file system under it: on btrfs a full disk kills the
process with SIGBUS even when the file was preallocated, and network and FUSE file systems promise
nothing about mappings. So a ring is mapped from the spool's own file system where that is on the
allow-list (or an overlay whose writable layer is), else from `/dev/shm`, else it is anonymous memory;
diagnostics name which.
"""

from __future__ import annotations

import os
import sys

from rundial.typed import Literal
from rundial.value import value

# Measured: these keep a preallocated mapping writable whatever the disk does, touched before or not.
MAPPABLE = frozenset({"ext2", "ext3", "ext4", "xfs", "tmpfs"})
SHM = "/dev/shm"
MIN_SHM_BYTES = 1 << 20
# Inside a container the directory of its writable layer is out of sight. These are files that
# container engines mount into it from a directory of theirs, beside that layer.
ENGINE_FILES = ("/etc/hostname", "/etc/resolv.conf", "/etc/hosts")

Durability = Literal["disk", "container", "host", "memory"]


@value
class Place:
    """Where to make a ring.

    Attributes:
        directory: The directory of the ring file, None for anonymous memory.
        durability: `disk` (survives the process and a clean reboot), `container` (gone with the
            container's writable layer), `host` (gone with the boot), `memory` (gone with the process).
        size_bytes: The size that fits there.
    """

    directory: str | None
    durability: Durability
    size_bytes: int


def choose(spool_root: str, size_bytes: int, *, mountinfo: str | None = None, shm: str = SHM) -> Place:
    """Return where a ring of about `size_bytes` is to be made.

    Args:
        spool_root: The spool directory; it must exist.
        size_bytes: The wanted size of the file.
        mountinfo: The text of `/proc/self/mountinfo`; None reads it.
        shm: The shared memory directory.
    """
    if not sys.platform.startswith("linux"):
        return Place(None, "memory", size_bytes)
    mounts = _parse(_mountinfo() if mountinfo is None else mountinfo)
    mount = _mount_of(os.path.realpath(spool_root), mounts)
    kind = mount.kind if mount else ""
    if kind in MAPPABLE and _has_room(spool_root, size_bytes):
        return Place(spool_root, "host" if kind == "tmpfs" else "disk", size_bytes)
    if mount and kind == "overlay" and _is_over_mappable(mount, mounts) and _has_room(spool_root, size_bytes):
        return Place(spool_root, "container", size_bytes)
    shared = _mount_of(os.path.realpath(shm), mounts)
    share = _free_bytes(shm) // 8
    if shared and shared.kind == "tmpfs" and share >= MIN_SHM_BYTES and os.access(shm, os.W_OK):
        return Place(shm, "host", min(size_bytes, share))
    return Place(None, "memory", size_bytes)


def kind_of(path: str) -> str:
    """Return the kind of file system under a path, such as `ext4`; empty where it cannot be told."""
    mount = _mount_of(os.path.realpath(path), _parse(_mountinfo()))
    return mount.kind if mount else ""


def boot_id() -> bytes:
    """Return 16 bytes that change with every boot of the machine; zeros where unknown."""
    try:
        return bytes.fromhex(_content("/proc/sys/kernel/random/boot_id").strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


def host_id() -> str:
    """Return a name for this machine that does not change with a boot."""
    try:
        return _content("/etc/machine-id").strip() or os.uname().nodename
    except OSError:
        return os.uname().nodename


@value
class _Mount:
    point: str
    kind: str
    options: str


def _mountinfo() -> str:
    try:
        return _content("/proc/self/mountinfo")
    except OSError:
        return ""


def _content(path: str) -> str:
    with open(path, "rb") as file:
        # Mount points are bytes: one that is no UTF-8 must not keep a run from starting.
        return os.fsdecode(file.read())


def _parse(mountinfo: str) -> list[_Mount]:
    mounts: list[_Mount] = []
    for line in mountinfo.split("\n"):
        fields, _, tail = line.partition(" - ")
        columns, rest = fields.split(), tail.split()
        if len(columns) < 5 or not rest:
            continue
        point = columns[4]
        if "\\" in point:
            import re

            point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), point)
        mounts.append(_Mount(point, rest[0], rest[2] if len(rest) > 2 else ""))
    return mounts


def _mount_of(target: str, mounts: list[_Mount]) -> _Mount | None:
    """What holds a path: the longest mount point above it, of several at one point the latest."""
    best: _Mount | None = None
    for mount in mounts:
        is_inside = target == mount.point or target.startswith(mount.point.rstrip("/") + "/")
        if is_inside and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def _is_over_mappable(overlay: _Mount, mounts: list[_Mount]) -> bool:
    """Whether an overlay's writable layer lies on a file system of the allow-list; unknown is no."""
    options = dict(option.partition("=")[::2] for option in overlay.options.split(","))
    upper = options.get("upperdir", "")
    if upper and os.path.isdir(upper):
        under = _mount_of(os.path.realpath(upper), mounts)
        return under is not None and under.kind in MAPPABLE
    kinds = {mount.kind for mount in mounts if mount.point in ENGINE_FILES}
    # tmpfs does not count here: some engines write these files to memory, whatever the layer lies on.
    return bool(upper and kinds) and kinds <= MAPPABLE - {"tmpfs"}


def _free_bytes(path: str) -> int:
    try:
        stats = os.statvfs(path)
    except OSError:
        return 0
    return stats.f_bavail * stats.f_frsize


def _has_room(path: str, size_bytes: int) -> bool:
    # Twice the size: a ring that takes the last block of a disk would starve the spool beside it.
    return _free_bytes(path) >= 2 * size_bytes
