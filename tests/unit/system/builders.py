"""A place for points that remembers them, and control groups made of plain files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rundial.choices import Reason, Signal
from rundial.recorder.keysets import KeySet, KeySets
from rundial.system.cgroup import Cgroup
from rundial.system.watch import Attributes


class Sample(NamedTuple):
    """One row as it was offered."""

    step: int
    values: dict[str, float]
    attributes: Attributes


@dataclass
class Samples:
    """Takes rows as a recorder does, and keeps them."""

    rows: list[Sample] = field(default_factory=list)
    dropped: list[tuple[str, str, int]] = field(default_factory=list)
    keysets: KeySets = field(default_factory=KeySets)

    def key_set(self, names: Sequence[str], attributes: Attributes) -> KeySet:
        """Return a real key set."""
        return self.keysets.get(names, attributes)

    def row(self, keys: Any, body: bytes, step: int, explicit_ns: int = 0) -> bool:
        """Keep a row."""
        del explicit_ns
        values = dict(zip(keys.names, keys.unpack(body), strict=True))
        self.rows.append(Sample(step, values, keys.attributes))
        return True

    def drop(self, signal: Signal, reason: Reason, units: int) -> None:
        """Keep a count."""
        self.dropped.append((signal, reason, units))


def write(directory: Path, files: dict[str, str]) -> None:
    """Write files of one line each, by their path."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


def cgroup(root: Path, *, groups: str, mounts: Sequence[str], files: dict[str, str]) -> Cgroup:
    """Return the control groups of a process for which the kernel would show these files.

    Args:
        root: An empty directory; trees are mounted below `root / "sys"`.
        groups: `/proc/self/cgroup`.
        mounts: For each mount `ROOT PLACE KIND OPTIONS`, the place relative to `sys`.
        files: The groups' own files, relative to `sys`.
    """
    lines = []
    for mount in mounts:
        mounted, place, kind, options = mount.split()
        point = root / "sys" / place
        lines.append(f"31 23 0:28 {mounted} {point} rw,relatime shared:1 - {kind} {kind} {options}")
    write(root / "proc" / "self", {"cgroup": groups, "mountinfo": "\n".join(lines)})
    write(root / "sys", files)
    return Cgroup(root / "proc")
