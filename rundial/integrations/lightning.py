"""`RundialLogger`: PyTorch Lightning's logger, for `Trainer(logger=RundialLogger(project=…))`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rundial.api.ranks import rank_of
from rundial.integrations.recorder import DEFAULT_KEEP_LAST, Recorder, base, need, settings_of

if TYPE_CHECKING:
    import rundial
    from rundial.choices import Distributed, Mode, ResumeMode, RunKind

_Base: Any = base("lightning.pytorch.loggers.logger:Logger", "pytorch_lightning.loggers.logger:Logger")
PENDING = "pending"


class RundialLogger(_Base):  # type: ignore[misc]  # the framework's class, where it is installed
    """Records metrics, hyperparameters and checkpoints of Lightning's trainer.

    A run stays open after `fit`, for `test`, `validate` and another `fit`. A fit that fails ends it as
    failed.

    Args:
        run: A run that there is, which its owner ends; None starts one.
        project, workspace, name, endpoint, api_key, mode, distributed, distributed_rank, run_id, kind,
            resume, group, job_type, tags, config: What to start it with, as for `rundial.init`.
        metric_prefix: In front of every metric's name, with a slash.
        log_checkpoints: Whether checkpoints are delivered.
        finish_on_end: Whether a run that is started here ends by itself.
        keep_last_checkpoints: How many the server keeps; None keeps all.
        **client_options: Further settings of `rundial.init`.
    """

    def __init__(  # noqa: PLR0913 - the published signature
        self,
        *,
        run: rundial.Run | None = None,
        project: str | None = None,
        workspace: str | None = None,
        name: str | None = None,
        endpoint: str | None = None,
        api_key: str | None = None,
        mode: Mode | None = None,
        distributed: Distributed | None = None,
        distributed_rank: int | None = None,
        run_id: str | None = None,
        kind: RunKind | None = None,
        resume: ResumeMode | None = None,
        group: str | None = None,
        job_type: str | None = "lightning",
        tags: Sequence[str] | None = None,
        config: Mapping[str, object] | None = None,
        metric_prefix: str | None = None,
        log_checkpoints: bool = True,
        finish_on_end: bool = True,
        keep_last_checkpoints: int | None = DEFAULT_KEEP_LAST,
        **client_options: Any,
    ) -> None:
        need(_Base, "lightning")
        super().__init__()
        self._log_checkpoints = log_checkpoints
        self._recorder = Recorder(
            run,
            settings_of(locals(), client_options),
            prefix=metric_prefix,
            finish_on_end=finish_on_end,
            keep_last=keep_last_checkpoints,
        )

    @property
    def experiment(self) -> rundial.Run:
        """The run, started at the first look."""
        return self._recorder.run

    @property
    def name(self) -> str:
        """The project."""
        return self._recorder.run.project if self._recorder.has_run else PENDING

    @property
    def version(self) -> str:
        """The run's id; `pending` before there is a run."""
        return self._recorder.run.run_id if self._recorder.has_run else PENDING

    @property
    def save_dir(self) -> None:
        """Nothing is written here: the trainer's `default_root_dir` counts."""
        return

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Set hyperparameters in the config; secrets are taken out before anything leaves."""
        del args, kwargs
        values = vars(params) if isinstance(params, argparse.Namespace) else params
        if isinstance(values, Mapping):
            self._recorder.config(values)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record values."""
        self._recorder.log(metrics, step)

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Do nothing: graphs are not recorded."""

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Have the last and the best checkpoint delivered, each state of them once."""
        if not self._log_checkpoints or not self._is_first_rank():
            return
        step = getattr(checkpoint_callback, "_last_global_step_saved", None)
        for name in ("last_model_path", "best_model_path"):
            path = getattr(checkpoint_callback, name, "")
            self._recorder.checkpoint(path, step=self._recorder.placed(step), source="lightning")

    def save(self) -> None:
        """Do nothing: a record is on its way when it is made."""

    def finalize(self, status: str) -> None:
        """Note how a fit or a test has ended."""
        error = sys.exc_info()[1]
        if isinstance(error, KeyboardInterrupt) or status in ("interrupted", "aborted"):
            self._recorder.aborted(error or status)
        elif status == "success":
            self._recorder.over()
        else:
            self._recorder.failed(error or status)

    def finish(self) -> bool:
        """End the run now, where it was started here."""
        return self._recorder.finish()

    def _is_first_rank(self) -> bool:
        return rank_of(None, os.environ) in (None, 0)
