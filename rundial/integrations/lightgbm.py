"""`RundialLightGBMCallback`: for `lightgbm.train(…, callbacks=[RundialLightGBMCallback(project=…)])`.

LightGBM need not be imported: what a callback is given says what it is.
"""

from __future__ import annotations

from typing import Any

import rundial
from rundial.integrations.recorder import Recorder


class RundialLightGBMCallback:
    """Records the metrics of each round as `data/metric`, and the parameters.

    Args:
        run: A run that there is, which its owner ends; None starts one.
        **settings: What to start it with, as for `rundial.init`.
    """

    # LightGBM calls its callbacks in this order, behind its own evaluation.
    order = 20
    before_iteration = False

    def __init__(self, *, run: rundial.Run | None = None, **settings: Any) -> None:
        self._recorder = Recorder(run, settings)

    @property
    def run(self) -> rundial.Run:
        """The run, started at the first look."""
        return self._recorder.run

    def __call__(self, env: Any) -> None:
        """Record a round."""
        if env.iteration == env.begin_iteration:
            self._recorder.config({"lightgbm": dict(env.params)})
        values = {f"{entry[0]}/{entry[1]}": entry[2] for entry in env.evaluation_result_list or []}
        self._recorder.log(values, env.iteration)
        if env.iteration + 1 == env.end_iteration:
            self._recorder.over()

    def finish(self) -> bool:
        """End the run now, where it was started here."""
        return self._recorder.finish()
