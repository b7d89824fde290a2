"""`RundialXGBoostCallback`: for `xgboost.train(…, callbacks=[RundialXGBoostCallback(project=…)])`."""

from __future__ import annotations

import json
from typing import Any

import rundial
from rundial.integrations.recorder import Recorder, base, need

_Base: Any = base("xgboost.callback:TrainingCallback")


class RundialXGBoostCallback(_Base):  # type: ignore[misc]  # the framework's class, where it is installed
    """Records the metrics of each round as `data/metric`, and the booster's parameters.

    Args:
        run: A run that there is, which its owner ends; None starts one.
        **settings: What to start it with, as for `rundial.init`.
    """

    def __init__(self, *, run: rundial.Run | None = None, **settings: Any) -> None:
        need(_Base, "xgboost")
        super().__init__()
        self._recorder = Recorder(run, settings)

    @property
    def run(self) -> rundial.Run:
        """The run, started at the first look."""
        return self._recorder.run

    def before_training(self, model: Any) -> Any:
        """Set the booster's parameters."""
        tell = getattr(model, "save_config", None)
        if callable(tell):
            self._recorder.config({"xgboost": json.loads(tell())})
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Record a round; it never stops the training."""
        del model
        values = {
            f"{data}/{metric}": scores[-1][0] if isinstance(scores[-1], tuple) else scores[-1]
            for data, metrics in evals_log.items()
            for metric, scores in metrics.items()
        }
        self._recorder.log(values, epoch)
        return False

    def after_training(self, model: Any) -> Any:
        """Note that the training has ended well."""
        best = getattr(model, "best_iteration", None) if _has_best(model) else None
        if best is not None:
            self.run.summary["best_iteration"] = int(best)
        self._recorder.over()
        return model

    def finish(self) -> bool:
        """End the run now, where it was started here."""
        return self._recorder.finish()


def _has_best(model: Any) -> bool:
    tell = getattr(model, "attr", None)
    return callable(tell) and tell("best_iteration") is not None
