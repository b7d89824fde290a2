"""`RundialOptunaCallback`: for Optuna, `study.optimize(…, callbacks=[RundialOptunaCallback(project=…)])`.

Optuna need not be imported: a study and a trial say what they are. Trials that run in several processes each
have a callback, and so a run, of their own; give them one `group`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rundial
from rundial.integrations.recorder import Recorder


class RundialOptunaCallback:
    """Records each trial of a study: its values, parameters and state, at its number.

    Args:
        metric_name: What the objective is called; for several objectives a name each.
        run: A run that there is, which its owner ends; None starts one.
        **settings: What to start it with, as for `rundial.init`.
    """

    def __init__(
        self,
        metric_name: str | Sequence[str] = "value",
        *,
        run: rundial.Run | None = None,
        **settings: Any,
    ) -> None:
        self._names = metric_name
        self._has_told = False
        self._recorder = Recorder(run, settings)

    @property
    def run(self) -> rundial.Run:
        """The run, started at the first look."""
        return self._recorder.run

    def __call__(self, study: Any, trial: Any) -> None:
        """Record a trial that has ended."""
        if not self._has_told:
            directions = [direction.name.lower() for direction in study.directions]
            self._recorder.config({"optuna": {"study": study.study_name, "directions": directions}})
            self._has_told = True
        values = trial.values or []
        found = dict(zip(self._named(len(values)), values, strict=True))
        numbers = {f"params/{name}": value for name, value in trial.params.items() if _is_number(value)}
        self._recorder.log_at({**found, **numbers}, trial.number)
        for step, value in trial.intermediate_values.items():
            self._recorder.log_at({f"trial-{trial.number}/intermediate": value}, step)
        words = {name: value for name, value in trial.params.items() if not _is_number(value)}
        said = f"trial {trial.number} is {trial.state.name.lower()}" + (f": {words}" if words else "")
        self.run.log_text(said)
        self._tell_best(study)
        self._recorder.over()

    def finish(self) -> bool:
        """End the run now, where it was started here."""
        return self._recorder.finish()

    def _named(self, count: int) -> list[str]:
        if isinstance(self._names, str):
            return [self._names] if count == 1 else [f"{self._names}_{number}" for number in range(count)]
        return [*self._names, *(f"value_{number}" for number in range(len(self._names), count))][:count]

    def _tell_best(self, study: Any) -> None:
        if len(study.directions) > 1:
            return
        try:
            best = study.best_trial
        except ValueError:
            return  # none has succeeded yet
        self.run.summary.update(
            {"best_trial": best.number, "best_value": best.value, "best_params": best.params}
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))
