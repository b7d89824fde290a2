"""`RundialKerasCallback`: for Keras 3, `model.fit(…, callbacks=[RundialKerasCallback(project=…)])`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rundial.integrations.recorder import DEFAULT_KEEP_LAST, Recorder, base, need, settings_of

if TYPE_CHECKING:
    import rundial
    from rundial.choices import Distributed, Mode, ResumeMode, RunKind

_Base: Any = base("keras.callbacks:Callback", "tensorflow.keras.callbacks:Callback")


class RundialKerasCallback(_Base):  # type: ignore[misc]  # the framework's class, where it is installed
    """Records metrics, the optimizer and checkpoints of `fit`, and what `evaluate` comes to.

    A run stays open after `fit`, for `evaluate` and another `fit`, whose epochs go on behind the first one's.

    Args:
        run: A run that there is, which its owner ends; None starts one.
        project, workspace, name, endpoint, api_key, mode, distributed, distributed_rank, run_id, kind,
            resume, group, job_type, tags, config: What to start it with, as for `rundial.init`.
        metric_prefix: In front of every metric's name, with a slash.
        log_batch_metrics: Whether each batch is recorded too.
        batch_metric_prefix: In front of the names of a batch's metrics, with a slash.
        checkpoint_path: What is delivered after an epoch, where it exists: a path, a path with `{epoch}` and
            `{step}`, or a callable of epoch and logs.
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
        job_type: str | None = "keras",
        tags: Sequence[str] | None = None,
        config: Mapping[str, object] | None = None,
        metric_prefix: str | None = None,
        log_batch_metrics: bool = False,
        batch_metric_prefix: str | None = "batch",
        checkpoint_path: str | os.PathLike[str] | Callable[..., Any] | None = None,
        finish_on_end: bool = True,
        keep_last_checkpoints: int | None = DEFAULT_KEEP_LAST,
        **client_options: Any,
    ) -> None:
        need(_Base, "keras")
        super().__init__()
        self._log_batches = log_batch_metrics
        self._batch_prefix = f"{batch_metric_prefix}/" if batch_metric_prefix else ""
        self._checkpoint_path = checkpoint_path
        self._is_fitting = False
        # Counted on from fit to fit.
        self._batches = 0
        self._recorder = Recorder(
            run,
            settings_of(locals(), client_options),
            prefix=metric_prefix,
            finish_on_end=finish_on_end,
            keep_last=keep_last_checkpoints,
        )

    @property
    def run(self) -> rundial.Run:
        """The run, started at the first look."""
        return self._recorder.run

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Set what `fit` was called with, and the optimizer."""
        del logs
        self._is_fitting = True
        values: dict[str, Any] = {"fit": dict(self.params or {})}
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None:
            rate = getattr(optimizer, "learning_rate", None)
            values["optimizer"] = {"class": type(optimizer).__name__, "learning_rate": _number(rate)}
        self._recorder.config(values)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record an epoch's metrics, at its number from 1."""
        self._recorder.log(dict(logs or {}), epoch + 1)
        step = self._recorder.highest
        path = self._path(epoch, step, logs)
        # Whatever writes it need not do so after each epoch.
        if isinstance(path, (str, os.PathLike)) and ("://" in str(path) or os.path.exists(path)):
            self._recorder.checkpoint(path, step=step, source="keras")

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record a batch's metrics, at its number over all epochs."""
        del batch
        if self._log_batches and logs:
            named = {f"{self._batch_prefix}{name}": value for name, value in logs.items()}
            self._recorder.log_at(named, self._batches)
        self._batches += 1

    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Record what `evaluate` came to; what is evaluated within `fit` is among the epoch's metrics."""
        if not self._is_fitting and logs:
            self._recorder.log_at(
                {f"test_{name}": value for name, value in logs.items()}, self._recorder.highest
            )

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Note that the training has ended well."""
        del logs
        self._is_fitting = False
        self._recorder.over()

    def finish(self) -> bool:
        """End the run now, where it was started here."""
        return self._recorder.finish()

    def _path(self, epoch: int, step: int, logs: Mapping[str, Any] | None) -> Any:
        path = self._checkpoint_path
        if callable(path):
            return path(epoch, logs)
        return None if path is None else os.fspath(path).format(epoch=epoch + 1, step=step)


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None if value is None else type(value).__name__
