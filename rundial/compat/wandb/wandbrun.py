"""`wandb.Run`: a Rundial run under the names of W&B's client.

Every value is recorded when it is logged. That a row is still open (`commit=False`, or an explicit `step`)
only means that the next call is at the same step: nothing waits in memory for a commit, so nothing of it is
lost by a kill.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any

from rundial.compat.wandb import active
from rundial.compat.wandb.alerts import level_of
from rundial.compat.wandb.definitions import Definitions, Metric, rule_in
from rundial.compat.wandb.failures import unsupported
from rundial.compat.wandb.rows import Row, row_of
from rundial.compat.wandb.runconfig import Config
from rundial.compat.wandb.runsummary import Summary
from rundial.signals import semconv
from rundial.signals.values import as_step

if TYPE_CHECKING:
    from types import TracebackType

    import rundial
    from rundial.api.ending import Status
    from rundial.compat.wandb.artifact import Artifact
    from rundial.compat.wandb.files import Files
    from rundial.compat.wandb.opening import Settings
    from rundial.compat.wandb.watching import Watch

INFO = 9
_GOALS = ("minimize", "maximize")


class Run:
    """One execution.

    Args:
        recorded: The Rundial run that records.
        settings: What `init` was given.

    Attributes:
        recorded: As given; what has no name here is there.
        settings: As given.
        staged: Folders of artifacts, to be removed once they are delivered.

    Threads: any.
    """

    settings: Settings

    def __init__(self, recorded: rundial.Run, settings: Settings) -> None:
        self.recorded = recorded
        self.settings = settings
        self._definitions = Definitions()
        self._config = Config(recorded, may_change=bool(settings.allow_val_change))
        self._summary = Summary(recorded, self._definitions)
        # Guards the step: what one call logs is at one step.
        self._lock = RLock()
        self._step = int(recorded.identity.get("first_step", 0))
        self.staged: list[str] = []
        self._files: Files | None = None
        self._watches: list[Watch] = []
        self._name: str | None = settings.run_name
        self._tags: tuple[str, ...] = tuple(settings.run_tags or ())
        self._notes: str | None = settings.run_notes
        self._has_finished = False

    def __repr__(self) -> str:
        return f"wandb.Run({self.id!r}, project={self.project!r})"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise unsupported(f"run.{name}")

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._has_finished:
            self._let_go()
            self.recorded.__exit__(kind, error, trace)

    @property
    def id(self) -> str:
        """The run's id."""
        return self.recorded.run_id

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.recorded.run_id

    @property
    def name(self) -> str | None:
        """What people call it."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name
        self._say("name", name)

    @property
    def display_name(self) -> str | None:
        """What people call it."""
        return self._name

    @property
    def project(self) -> str:
        """The project's slug."""
        return self.recorded.project

    @property
    def entity(self) -> str:
        """The workspace's slug; empty until it is known."""
        return self.recorded.workspace or ""

    @property
    def path(self) -> str:
        """Entity, project and id."""
        return "/".join(filter(None, (self.entity, self.project, self.id)))

    @property
    def url(self) -> str | None:
        """The address of the run's page; None where there is none."""
        from rundial.api.card import run_url

        return run_url(self.recorded.settings, self.recorded.workspace, self.project, self.id)

    def get_url(self) -> str | None:
        """Return the address of the run's page; None where there is none."""
        return self.url

    @property
    def group(self) -> str:
        """The group that it belongs to."""
        return self.settings.run_group or ""

    @property
    def job_type(self) -> str:
        """Its role in the group."""
        return self.settings.run_job_type or ""

    @property
    def tags(self) -> tuple[str, ...]:
        """Its labels."""
        return self._tags

    @tags.setter
    def tags(self, tags: Any) -> None:
        self._tags = tuple(str(tag) for tag in tags)
        self._say("tags", list(self._tags))

    @property
    def notes(self) -> str | None:
        """What is said of it."""
        return self._notes

    @notes.setter
    def notes(self, notes: str) -> None:
        self._notes = notes
        self._say("notes", notes)

    @property
    def step(self) -> int:
        """The step that the next call of `log` is at."""
        return self._step

    @property
    def starting_step(self) -> int:
        """The step that this process began at."""
        return int(self.recorded.identity.get("first_step", 0))

    @property
    def start_time(self) -> float:
        """When it began, in seconds since the Unix epoch."""
        return float(self.recorded.identity.get("started_unix_ns") or 0) / 1e9

    @property
    def resumed(self) -> bool:
        """Whether it goes on with a run that was there."""
        return int(self.recorded.identity.get("attempt") or 1) > 1

    @property
    def disabled(self) -> bool:
        """Whether nothing is recorded."""
        return self.recorded.settings.mode == "disabled"

    @property
    def offline(self) -> bool:
        """Whether nothing is sent."""
        return self.recorded.settings.mode == "offline"

    @property
    def mode(self) -> str:
        """`online`, `offline` or `disabled`."""
        return self.recorded.settings.mode

    @property
    def sweep_id(self) -> None:
        """There are no sweeps."""
        return

    @property
    def dir(self) -> str:
        """A directory whose files are kept with the run when it ends."""
        return self._kept_files().directory

    @property
    def config(self) -> Config:
        """The config."""
        return self._config

    @property
    def summary(self) -> Summary:
        """The summary."""
        return self._summary

    def log(self, data: Any, step: Any = None, commit: bool | None = None, sync: bool | None = None) -> None:
        """Record values at a step.

        Args:
            data: Names and numbers, texts, lists, media; nested mappings become `a.b`.
            step: The step; one below the current step is dropped, with a warning. None is the current one.
            commit: Whether the next call is at the next step; None: yes, unless a step is given.
            sync: Not used.
        """
        del sync
        if not isinstance(data, Mapping):
            self.recorded.log(data)  # which counts it and says so
            return
        with self._lock:
            number = self._step if step is None else self._moved(step, len(data))
            if number is None:
                return
            self._record(row_of(data), number)
            if commit if commit is not None else step is None:
                self._step = number + 1

    def _moved(self, step: Any, entries: int) -> int | None:
        """Go on to a step; None where that is no step to go on to."""
        number = as_step(step)
        if number is not None and number >= self._step:
            self._step = number
            return number
        why = (
            f"step {step!r} is no step"
            if number is None
            else f"step {number} is less than the current step {self._step}, as W&B's steps only go up"
        )
        self.recorded.keep_out(
            entries, "wandb.log:step", f"wandb.log: {why}; dropped and counted. define_metric gives another x"
        )
        return None

    def _record(self, row: Row, step: int) -> None:
        numbers = self._definitions.complete(row.numbers)
        if numbers:
            self.recorded.log(numbers, step=step)
        for name, media in row.media:
            self.recorded.log({name: media}, step=step)
        for name, value in row.others.items():
            # A server draws no curve of a text; the line keeps each one with its step.
            said = value if isinstance(value, str) else json.dumps(value, default=str)
            attributes = {semconv.STEP: step, semconv.TEXT_KEY: name}
            self.recorded.line(INFO, said, attributes=attributes)
        self._summary.note(numbers, row.others, step)

    def define_metric(  # noqa: PLR0913 - W&B's signature
        self,
        name: str,
        step_metric: Any = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,
    ) -> Metric:
        """Say how a metric is to be read.

        Args:
            name: A metric's name, or a pattern with a star at its end.
            step_metric: The metric whose values are its x axis.
            step_sync: Whether the axis is repeated in rows that lack it; None: yes.
            hidden: Not used.
            summary: `min`, `max`, `mean`, `best`, `last` or `none`; of several the first in this order.
            goal: `minimize` or `maximize`.
            overwrite: Not used: the last definition stands.
        """
        del hidden, overwrite
        axis = getattr(step_metric, "name", step_metric)
        metric = Metric(
            name,
            step_metric=axis,
            step_sync=step_sync is not False,
            summary=rule_in(summary),
            goal=goal if goal in _GOALS else None,
        )
        with self._lock:
            self._definitions.add(self.recorded, metric)
        return metric

    def alert(self, title: str, text: str = "", level: Any = None, wait_duration: Any = None) -> None:
        """Tell people something; the same title is told once a minute, whatever `wait_duration` is."""
        del wait_duration
        # Wrong levels are told by the run.
        wanted: Any = level_of(level)
        self.recorded.alert(title, text, wanted)

    def mark_preempting(self) -> None:
        """Note that the machine is about to be taken away."""
        self.recorded.mark_preempting()

    def save(
        self, glob_str: Any = None, base_path: Any = None, policy: str = "live", glob: bool = True
    ) -> list[str]:
        """Keep files with the run, each as an artifact by its path below `base_path`.

        Args:
            glob_str: A path, or a pattern of paths.
            base_path: What the names leave out; None leaves out the directory of the pattern.
            policy: `now` keeps a file as it is, `end` as it is when the run ends, `live` both.
            glob: Whether `glob_str` is a pattern.

        Returns:
            The paths that were found.
        """
        return self._kept_files().save(glob_str, base_path, policy, is_pattern=glob)

    def log_artifact(
        self,
        artifact_or_path: Artifact | str | os.PathLike[str],
        name: str | None = None,
        type: str | None = None,
        aliases: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
    ) -> Artifact:
        """Have an artifact delivered; see `rundial.Run.log_artifact`."""
        from rundial.compat.wandb.artifact import given

        artifact = given(artifact_or_path, name or f"run-{self.id}", type)
        artifact.deliver(self, aliases, tags)
        return artifact

    def use_artifact(
        self, artifact_or_name: Any, type: str | None = None, aliases: Any = None, use_as: str | None = None
    ) -> Artifact:
        """Use an artifact that is on the server."""
        from rundial.compat.wandb.artifact import used

        del type, aliases, use_as
        return used(self, artifact_or_name)

    def log_model(self, path: Any, name: str | None = None, aliases: Sequence[str] | None = None) -> None:
        """Have a model's file or directory delivered, as an artifact of type `model`."""
        self.log_artifact(
            path, name or f"run-{self.id}-{os.path.basename(os.fspath(path))}", "model", aliases
        )

    def use_model(self, name: str) -> str:
        """Fetch a model from the server; returns the path of its only file, or else of its directory."""
        artifact = self.use_artifact(name)
        return artifact.file() if artifact.file_count == 1 else artifact.download()

    def watch(
        self,
        models: Any,
        criterion: Any = None,
        log: str | None = "gradients",
        log_freq: int = 1000,
        idx: int | None = None,
        log_graph: bool = False,
    ) -> None:
        """Record histograms of a torch model's gradients and parameters while it is trained.

        Args:
            models: A module, or several.
            criterion: Not used.
            log: `gradients`, `parameters`, `all`, or None for nothing.
            log_freq: One in how many passes is recorded.
            idx: Told apart by this number, the names of several watched models differ.
            log_graph: Not used.
        """
        from rundial.compat.wandb.watching import Watch

        del criterion, log_graph
        if log is None:
            return
        for model in models if isinstance(models, (list, tuple)) else [models]:
            number = len(self._watches) if idx is None else idx
            watch = Watch(self, model, what=log, every=log_freq, prefix=f"graph_{number}" if number else "")
            self._watches.append(watch)

    def unwatch(self, models: Any = None) -> None:
        """Stop recording histograms of some models, or of all."""
        wanted = models if isinstance(models, (list, tuple)) or models is None else [models]
        for watch in list(self._watches):
            if wanted is None or any(watch.model is each for each in wanted):
                watch.close()
                self._watches.remove(watch)

    def status(self) -> str:
        """Return what became of what was logged."""
        return str(self.recorded.diagnostics())

    def finish(
        self, exit_code: int | None = None, quiet: bool | None = None, *, status: Status | None = None
    ) -> None:
        """End the run.

        Args:
            exit_code: 0 or None: completed; any other: failed.
            quiet: Not used.
            status: `completed`, `failed` or `aborted`, whatever the exit code.
        """
        del quiet
        if self._has_finished:
            return
        self._let_go()
        reason = f"exit code {exit_code}" if exit_code else None
        is_delivered = self.recorded.finish(
            status=status or ("failed" if exit_code else "completed"), reason=reason
        )
        if is_delivered and self.mode == "online":
            self._remove_staged()

    def join(self, exit_code: int | None = None) -> None:
        """Another name of `finish`."""
        self.finish(exit_code)

    def log_code(
        self, root: Any = ".", name: Any = None, include_fn: Any = None, exclude_fn: Any = None
    ) -> None:
        """Do nothing: commit and, with `capture_diff`, what differs from it are recorded at the start."""

    def _label(self, *labels: Any, **more: Any) -> None:
        """Do nothing: what a library calls itself is among the packages."""

    def _say(self, what: str, value: Any) -> None:
        """Record what is told of a run that has begun: where W&B's own facts are, in its config."""
        config = self.recorded.config
        config["_wandb"] = {**(config.get("_wandb") or {}), what: value}

    def _let_go(self) -> None:
        self._has_finished = True
        self.unwatch()
        active.leave(self)

    def _remove_staged(self) -> None:
        """Remove the folders of artifacts that the server has."""
        import shutil

        for folder in self.staged:
            shutil.rmtree(folder, ignore_errors=True)
        self.staged.clear()

    def _kept_files(self) -> Files:
        if self._files is None:
            from rundial.compat.wandb.files import Files

            self._files = Files(self)
            self.recorded.before_finish.append(self._files.close)
        return self._files
