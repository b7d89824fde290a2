"""What one step costs through each name that stands before `run.log`: other trackers' and the integrations'.

Each call logs the same ten values (a scalar writer: one), offline, in this process; beside it stands
`run.log` itself. The integrations whose framework hands them a mapping cost what `Recorder.log` costs.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import rundial
import rundial.compat.wandb as wandb
from rundial.compat.tensorboard import SummaryWriter
from rundial.integrations.lightgbm import RundialLightGBMCallback
from rundial.integrations.optuna import RundialOptunaCallback
from rundial.integrations.recorder import Recorder
from tests.perf.plan import Plan
from tests.perf.report import Figure

CALLS = 2_000
VALUES = {f"metric/{number}": number / 7 for number in range(10)}


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    run = rundial.init(
        project="bench",
        mode="offline",
        spool_directory=str(plan.place("spool")),
        system_metrics=False,
        capture_environment=False,
    )
    try:
        steps = _steps(run, plan)
        times: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(plan.repeats):
            for name, step in steps.items():
                times[name].append(_cost(step, plan.size(CALLS)))
                run.flush(60)
    finally:
        wandb.finish()
        run.finish()
    return [Figure(f"{name}, a call", found, "µs") for name, found in times.items()]


def _steps(run: rundial.Run, plan: Plan) -> dict[str, Callable[[int], Any]]:
    recorder = Recorder(run, {})
    writer = SummaryWriter(run=run)
    theirs = wandb.init(
        project="bench", mode="offline", dir=plan.place("files"), spool_directory=plan.place("spool")
    )
    boosted = RundialLightGBMCallback(run=run)
    rows = [("train", name, value, False) for name, value in VALUES.items()]
    studied = RundialOptunaCallback("loss", run=run)
    study = SimpleNamespace(directions=[SimpleNamespace(name="MINIMIZE")] * 2, study_name="s")

    def trial(number: int) -> Any:
        state = SimpleNamespace(name="COMPLETE")
        facts = {"number": number, "values": [0.5, 0.25], "params": {"lr": 0.1}, "state": state}
        return SimpleNamespace(**facts, intermediate_values={})

    def round_(number: int) -> Any:
        # Neither the first round nor the last: what those cost is paid once.
        facts = {"iteration": number + 1, "begin_iteration": 0, "end_iteration": 0, "params": {}}
        return SimpleNamespace(**facts, evaluation_result_list=rows)

    return {
        "run.log": lambda number: run.log(VALUES, step=number),
        "wandb.log": lambda number: theirs.log(VALUES),
        "SummaryWriter.add_scalar": lambda number: writer.add_scalar("loss", 0.5, number),
        "an integration's Recorder.log": lambda number: recorder.log(VALUES, number),
        "RundialLightGBMCallback": lambda number: boosted(round_(number)),
        "RundialOptunaCallback": lambda number: studied(study, trial(number)),
    }


def _cost(step: Callable[[int], Any], calls: int) -> float:
    """Return the median cost of a call, in microseconds."""
    taken = []
    for number in range(calls):
        began = perf_counter()
        step(number)
        taken.append(perf_counter() - began)
    return median(taken) * 1e6
