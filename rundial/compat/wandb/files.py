"""`run.dir` and `save`: files that are kept with a run, each as an artifact of type `file`."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Any

from rundial.logger import logger

if TYPE_CHECKING:
    from rundial.compat.wandb.wandbrun import Run

FOLDER = ".rundial_wandb"
POLICIES = ("now", "live", "end")


class Files:
    """The files of one run.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        # By path: name, and size and time as it was delivered (None: not yet).
        self._known: dict[str, tuple[str, tuple[int, int] | None]] = {}
        self._place: str | None = None

    @property
    def directory(self) -> str:
        """Where a program may put files; made when it is first asked for."""
        if self._place is None:
            base = os.path.abspath(os.fspath(self._run.settings.dir or "."))
            self._place = os.path.join(base, FOLDER, self._run.id, "files")
            os.makedirs(self._place, mode=0o700, exist_ok=True)
        return self._place

    def save(self, pattern: Any, base: Any, policy: str, *, is_pattern: bool) -> list[str]:
        """Keep the files of a pattern; see `Run.save`.

        Raises:
            ValueError: The policy is none.
        """
        if policy not in POLICIES:
            raise ValueError(
                f"policy must be one of {', '.join(POLICIES)}, not {policy!r}; nothing was saved"
            )
        if pattern is None:
            return []
        wanted = os.fspath(pattern)
        wanted = os.fsdecode(wanted)
        found = sorted(glob.glob(wanted, recursive=True)) if is_pattern else [wanted]
        paths = [os.path.abspath(path) for path in found if os.path.isfile(path)]
        below = os.path.abspath(os.fspath(base) if base is not None else os.path.dirname(wanted) or ".")
        for path in paths:
            name = os.path.relpath(path, below)
            self._known[path] = (os.path.basename(path) if name.startswith("..") else name, None)
            if policy != "end":
                self._deliver(path)
            if policy == "now":
                del self._known[path]
        return paths

    def close(self, timeout_s: float) -> None:
        """Deliver what is to be kept as it is at the end, and what lies in the directory."""
        del timeout_s
        if self._place is not None:
            for folder, _, names in os.walk(self._place):
                for name in names:
                    path = os.path.join(folder, name)
                    self._known.setdefault(path, (os.path.relpath(path, self._place), None))
        for path in list(self._known):
            self._deliver(path)

    def _deliver(self, path: str) -> None:
        name, before = self._known[path]
        try:
            found = os.stat(path)
            now = (found.st_size, found.st_mtime_ns)
            if now != before:
                self._run.recorded.log_artifact(path, name=name, type="file")
                self._known[path] = (name, now)
        except (OSError, ValueError) as error:
            logger.warning("%s could not be kept with the run: %s", path, error)
