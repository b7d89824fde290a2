"""`RundialCallback`: for the trainer of Transformers, `Trainer(callbacks=[RundialCallback(project=…)])`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rundial.integrations.recorder import DEFAULT_KEEP_LAST, Recorder, base, need, settings_of

if TYPE_CHECKING:
    import rundial
    from rundial.choices import Distributed, Mode, ResumeMode, RunKind

_Base: Any = base("transformers.trainer_callback:TrainerCallback")
# What the trainer tells of with each log line, and which is no metric of the training.
_OURS = "total_flos"


class RundialCallback(_Base):  # type: ignore[misc]  # the framework's class, where it is installed
    """Records metrics, arguments, the model's config and checkpoints of a `transformers.Trainer`.

    A run stays open after `train`, for `evaluate`, `predict` and another `train`.

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
        job_type: str | None = "transformers",
        tags: Sequence[str] | None = None,
        config: Mapping[str, object] | None = None,
        metric_prefix: str | None = None,
        log_checkpoints: bool = True,
        finish_on_end: bool = True,
        keep_last_checkpoints: int | None = DEFAULT_KEEP_LAST,
        **client_options: Any,
    ) -> None:
        need(_Base, "transformers")
        super().__init__()
        self._log_checkpoints = log_checkpoints
        # Names and values of what was logged at the last step: an evaluation is told of twice.
        self._said: tuple[int, dict[str, Any]] = (-1, {})
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

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Set the arguments and the model's config; secrets are taken out before anything leaves."""
        if state.is_world_process_zero:
            self._recorder.config(_fields(args))
            model = getattr(kwargs.get("model"), "config", None)
            if model is not None:
                self._recorder.config({"model": _fields(model)})
        return control

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """Record values at the trainer's step."""
        del args, kwargs
        self._log(state, logs)
        return control

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """Record what an evaluation came to, unless it was just logged."""
        del args, kwargs
        self._log(state, metrics)
        return control

    def on_predict(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> Any:
        """Record what a prediction came to."""
        del args, kwargs
        self._log(state, metrics)
        return control

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Have the checkpoint delivered that was just written."""
        del kwargs
        if self._log_checkpoints and state.is_world_process_zero:
            path = os.path.join(args.output_dir, f"checkpoint-{state.global_step}")
            step = self._recorder.placed(state.global_step)
            self._recorder.checkpoint(path, step=step, source="transformers")
        return control

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Note that the training has ended well."""
        del args, state, kwargs
        self._recorder.over()
        return control

    def finish(self) -> bool:
        """End the run now, where it was started here."""
        return self._recorder.finish()

    def _log(self, state: Any, metrics: Mapping[str, Any] | None) -> None:
        if not metrics or not state.is_world_process_zero:
            return
        step = int(state.global_step)
        before = self._said[1] if self._said[0] == step else {}
        fresh = {
            name: value
            for name, value in metrics.items()
            if name != _OURS and not isinstance(value, str) and not (name in before and before[name] == value)
        }
        self._said = (step, {**before, **fresh})
        self._recorder.log(fresh, step)


def _fields(settings: Any) -> dict[str, Any]:
    """Return what arguments or a model's config hold, as they tell it themselves."""
    for teller in ("to_dict", "to_sanitized_dict"):
        tell = getattr(settings, teller, None)
        if callable(tell):
            return dict(tell())
    return dict(vars(settings))
