"""What every section is told: how much to measure, and where it may write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPEATS = 7
QUICK_REPEATS = 3
QUICK_SHARE = 10


class Skipped(Exception):
    """A section cannot run here; its message says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one benchmark run measures.

    Attributes:
        is_quick: Three repetitions of a tenth of the size: whether it works, not how fast it is.
        work: A directory that is deleted at the end.
        cache: A directory that stays, for what is slow to make.
    """

    is_quick: bool
    work: Path
    cache: Path

    @property
    def repeats(self) -> int:
        """How many repetitions a median is taken of."""
        return QUICK_REPEATS if self.is_quick else REPEATS

    def size(self, full: int) -> int:
        """Return how many calls, rows or ticks to measure where a whole run takes `full`."""
        return max(1, full // QUICK_SHARE) if self.is_quick else full

    def place(self, name: str) -> Path:
        """Return a fresh directory."""
        number = len(list(self.work.iterdir()))
        path = self.work / f"{number:04}-{name}"
        path.mkdir(mode=0o700)
        return path
