"""What the spool directory knows of a run: its earlier attempts on this machine.

Asked where no server answers for the run: offline, or when the server cannot be reached. Only reads,
but that a dead process's ring is brought into its spool, as `rundial sync` would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rundial.errors import ConfigError, RundialError
from rundial.signals.values import MAX_STEP
from rundial.spool import meta as meta_file
from rundial.spool.meta import Meta

# The end of a spool is where the highest steps are; reading this much takes about a second.
MAX_SCANNED_BYTES = 64 << 20


class Steps(NamedTuple):
    """The first steps of an attempt that are not taken yet.

    Attributes:
        user: For what the program logs without a step.
        system: For the system metrics.
    """

    user: int = 0
    system: int = 0


class Attempt(NamedTuple):
    """Where an attach belongs, as far as this machine knows.

    Attributes:
        number: From 1.
        steps: Where it goes on.
    """

    number: int
    steps: Steps


def next_attempt(
    directory: str, run_id: str, *, resume: str, rank: int | None = None, launch: str = ""
) -> Attempt:
    """Return the attempt that a process makes by attaching to a run now.

    Args:
        directory: The spool directory.
        run_id: The run.
        resume: `never`, `allow` or `must`.
        rank: This process's rank in a distributed run, None outside of one.
        launch: What the ranks of one launch have in common; empty when unknown.

    Raises:
        ConfigError: The directory knows what `resume` forbids.
    """
    root = Path(directory)
    known = list(_instances(root / run_id))
    latest = max((meta.attempt for _, meta in known), default=0)
    if not known and resume == "must":
        raise ConfigError(
            f"there is no run {run_id!r} in {root}, and no server that could confirm it: resume='must' has "
            "nothing to continue; nothing was started. Use resume='allow', or go online"
        )
    if known and _joins([meta for _, meta in known if meta.attempt == latest], rank, launch):
        return Attempt(latest, _steps([path for path, meta in known if meta.attempt < latest]))
    _check(run_id, root, [meta for _, meta in known], resume, latest)
    return Attempt(latest + 1, _steps([path for path, _ in known]))


def following(highest: int) -> int:
    """Return the step behind the highest one; 0 where there is no room to go on counting."""
    return highest + 1 if highest < MAX_STEP // 2 else 0


def _check(run_id: str, root: Path, known: Sequence[Meta], resume: str, latest: int) -> None:
    if known and resume == "never":
        raise ConfigError(
            f"the run {run_id!r} exists already, in {root / run_id}; nothing was started. "
            "Use another run_id, or resume='allow' to continue it"
        )
    ends = [meta.extra.get("status") for meta in known if meta.attempt == latest]
    if resume == "allow" and any(ends):
        raise ConfigError(
            f"the run {run_id!r} has ended, as {next(filter(None, ends))}; nothing was started. "
            "Use another run_id, or resume='must' to open it again"
        )


def _joins(latest: Sequence[Meta], rank: int | None, launch: str) -> bool:
    """Whether this is a further rank of the attempt that goes on; the server decides in the same way."""
    if rank is None:
        return False
    launches = {str(meta.extra.get("launch") or "") for meta in latest}
    if launch or launches != {""}:
        return launch in launches
    ranks = [meta.extra.get("rank") for meta in latest]
    return None not in ranks and rank not in ranks


def _instances(directory: Path) -> Iterator[tuple[Path, Meta]]:
    if not directory.is_dir():
        return
    for path in sorted(directory.iterdir()):
        # What is being made or removed, or cannot be read, is no instance.
        with suppress(RundialError, OSError):
            yield path, meta_file.load(str(path))


def _steps(paths: Sequence[Path]) -> Steps:
    user = system = -1
    for path in paths:
        _recover(path)
        for steps in _highest_of(path):
            user, system = max(user, steps[0]), max(system, steps[1])
    return Steps(following(user), following(system))


def _recover(path: Path) -> None:
    """Bring what a killed process left in its ring into its spool."""
    from rundial.api.adopt import open_dead

    # A live process's is read as far as it is on disk.
    with suppress(RundialError, OSError):
        open_dead(path).close()


def _highest_of(path: Path) -> Iterator[tuple[int, int]]:
    """Yield the highest steps of a spool's frames, the newest segment first."""
    import zlib

    from rundial.signals.steps import highest_steps
    from rundial.spool import segment
    from rundial.spool.frame import scan

    scanned = 0
    for file in sorted((path / "metrics").glob("*.seg"), reverse=True):
        if scanned >= MAX_SCANNED_BYTES:
            return
        with suppress(OSError):
            content = file.read_bytes()
            scanned += len(content)
            for _, frame, _ in scan(content, segment.HEADER_BYTES):
                with suppress(ValueError, zlib.error):
                    yield highest_steps(zlib.decompress(frame.body, 47) if frame.is_gzip else frame.body)
