"""What every integration has in common: one run, started when there is something to record, and how it ends.

Nothing here raises into a training but what `init` raises at its start. A run that was given is its owner's
to end. A run that the integration has started ends with the training that fails; one whose training has
succeeded stays open for an evaluation or another fit, and ends with the process, with `finish`, or when the
next one begins.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import rundial
from rundial.errors import ConfigError, RundialError
from rundial.logger import logger
from rundial.signals.values import as_step

# Those whose training is over, and whose run stays open for what may follow.
_OVER: weakref.WeakSet[Recorder] = weakref.WeakSet()
DEFAULT_KEEP_LAST = 5


class Recorder:
    """The run of one integration.

    Args:
        run: A run that there is; None starts one.
        settings: What to start it with, as for `rundial.init`; None counts as not given.
        prefix: In front of every metric's name, with a slash.
        finish_on_end: Whether a run that was started here ends by itself; without it only `finish` and the
            end of the process end it.
        keep_last: How many checkpoints the server keeps.
    """

    def __init__(
        self,
        run: rundial.Run | None,
        settings: Mapping[str, Any],
        *,
        prefix: str | None = None,
        finish_on_end: bool = True,
        keep_last: int | None = DEFAULT_KEEP_LAST,
    ) -> None:
        self._run = run
        self._owns = run is None
        self._settings = {name: value for name, value in settings.items() if value is not None}
        self._prefix = f"{prefix}/" if prefix else ""
        self._finish_on_end = finish_on_end
        self._keep_last = keep_last
        # The highest step so far, what is added to a framework's own steps, and whether a training has ended.
        self.highest = self._before = 0
        self._is_over = False
        # Paths of checkpoints with size and time as they were logged.
        self._kept: dict[str, tuple[int | None, ...]] = {}

    @property
    def has_run(self) -> bool:
        """Whether there is a run already."""
        return self._run is not None

    @property
    def run(self) -> rundial.Run:
        """The run, started at the first look; a run of ours that has ended goes on as a further attempt.

        Raises:
            ConfigError: A setting is wrong.
            RundialRequestError: The server refuses the key, the project or the run id.
        """
        _OVER.discard(self)
        if self._run is None:
            for other in list(_OVER):
                other.finish()
            self._run = rundial.init(**self._settings)
        elif self._owns and self._run.has_finished:
            self._run = self._continued(self._run)
        return self._run

    def _continued(self, before: rundial.Run) -> rundial.Run:
        try:
            return rundial.init(**{**self._settings, "run_id": before.run_id, "resume": "must"})
        except RundialError as error:
            # In the midst of a program that has trained already, this is no reason to end it.
            logger.warning("run %s had ended and could not be continued", before.run_id, exc_info=error)
            return before

    def placed(self, step: object) -> int | None:
        """Return the run's own step for a framework's: behind earlier trainings, which began at 0 as well."""
        number = None if step is None else as_step(step)
        if number is None:
            return None
        if self._is_over and number + self._before < self.highest:
            self._before = self.highest + (number == 0)
            self._is_over = False
        self.highest = max(self.highest, number + self._before)
        return number + self._before

    def log(self, metrics: Mapping[str, Any], step: int | None) -> bool:
        """Record values at a framework's step."""
        return self.log_at(metrics, self.placed(step)) if metrics else True

    def log_at(self, metrics: Mapping[str, Any], step: int | None) -> bool:
        """Record values at a step; what is no finite number is dropped and counted by the run."""
        if not metrics:
            return True
        named = (
            {f"{self._prefix}{name}": value for name, value in metrics.items()} if self._prefix else metrics
        )
        return self.run.log(named, step=step)

    def config(self, values: Mapping[str, Any]) -> None:
        """Set keys of the config; secrets are taken out before anything leaves."""
        self.run.update_config(values)

    def checkpoint(self, path: object, *, step: int | None, source: str) -> bool:
        """Have a checkpoint delivered, once for each state of it; one that stays elsewhere as a reference.

        One that is not there is told.
        """
        if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
            return False
        text = os.fsdecode(os.fspath(path))
        is_remote = "://" in text
        place = text if is_remote else os.path.abspath(text)
        state: tuple[int | None, ...] | None = (step,) if is_remote else _state_of(place)
        if state is not None and self._kept.get(place) == state:
            return True
        try:
            is_taken = self.run.checkpoint(
                place,
                step=step,
                metadata={"framework": source, "source": os.path.basename(place)},
                keep_last=self._keep_last,
            )
        except ValueError as error:
            logger.warning("checkpoint %s could not be logged: %s", place, error)
            return False
        if state is not None:
            self._kept[place] = state
        return is_taken

    def over(self) -> None:
        """Note that a training has ended well; the run stays open for what may follow."""
        self._is_over = True
        if self._run is not None and self._owns and self._finish_on_end and not self._run.has_finished:
            _OVER.add(self)

    def failed(self, error: object) -> None:
        """End a run of ours as failed."""
        if self._run is not None and self._owns and self._finish_on_end:
            self._run.fail(error)

    def aborted(self, reason: object) -> None:
        """End a run of ours as aborted."""
        if self._run is not None and self._owns and self._finish_on_end:
            self._run.abort(reason)

    def finish(self) -> bool:
        """End a run of ours as completed."""
        _OVER.discard(self)
        return self._run is None or not self._owns or self._run.complete()

    def __getstate__(self) -> dict[str, Any]:
        # A run that is pickled is an instance of itself in the other process.
        return dict(self.__dict__)


def base(*homes: str) -> type:
    """Return a framework's base class; `object` where the framework is not installed.

    Args:
        homes: `module:Name`, the first that can be imported counts.
    """
    for home in homes:
        module, _, name = home.partition(":")
        try:
            found: type = getattr(import_module(module), name)
        except ImportError:
            continue
        return found
    return object


def need(kind: type, framework: str) -> None:
    """Refuse to be made without the framework, whose base class is then `object`.

    Raises:
        ConfigError: It is not installed.
    """
    if kind is object:
        raise ConfigError(
            f"this integration needs {framework}, which is not installed: pip install {framework}; "
            "nothing was started"
        )


def settings_of(given: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run among the arguments of a constructor."""
    own = {
        *("self", "run", "metric_prefix", "log_checkpoints", "finish_on_end", "keep_last_checkpoints"),
        *("client_options", "log_batch_metrics", "batch_metric_prefix", "checkpoint_path", "__class__"),
    }
    return {**{name: value for name, value in given.items() if name not in own}, **options}


def _state_of(path: str) -> tuple[int | None, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns)
