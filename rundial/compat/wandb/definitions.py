"""`define_metric`: which metric is another one's x axis, and what the summary shows.

With `step_sync`, as by default, the last value of the axis is repeated in rows that lack it, as in W&B's
client, so that every point has its x.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rundial.compat.wandb.failures import Error

if TYPE_CHECKING:
    import rundial

# Rules of the summary that both have, in the order in which one of several is taken.
RULES = ("min", "max", "mean", "best", "last", "none")


class Metric:
    """What `define_metric` returns.

    Attributes:
        name: The metric's name or pattern.
        step_metric: Its x axis, None for the step.
        step_sync: Whether the axis is repeated in rows that lack it.
        summary: The rule of the summary, None for none said.
        goal: `minimize` or `maximize`, None for none said.
    """

    def __init__(
        self,
        name: str,
        *,
        step_metric: str | None,
        step_sync: bool,
        summary: str | None,
        goal: str | None,
    ) -> None:
        self.name = name
        self.step_metric = step_metric
        self.step_sync = step_sync
        self.summary = summary
        self.goal = goal


class Definitions:
    """The definitions of one run.

    Threads: any; a dictionary is read and written as a whole.
    """

    def __init__(self) -> None:
        self._exact: dict[str, Metric] = {}
        self._patterns: dict[str, Metric] = {}
        self._axes: set[str] = set()
        self._latest: dict[str, Any] = {}

    def add(self, run: rundial.Run, metric: Metric) -> None:
        """Keep a definition, and record it.

        Raises:
            Error: A pattern has its star elsewhere than at its end.
        """
        if "*" in metric.name[:-1]:
            raise Error(f"Unhandled define_metric() arg: name (glob suffixes only): {metric.name}")
        if metric.name.endswith("*"):
            self._patterns = {**self._patterns, metric.name[:-1]: metric}
        else:
            self._exact = {**self._exact, metric.name: metric}
        if metric.step_metric:
            self._axes = {*self._axes, metric.step_metric}
        # The rule and the goal are of the closed sets that Rundial has; `rule_in` and the caller see to it.
        summary: Any = metric.summary
        goal: Any = metric.goal
        if metric.step_metric or summary or goal:
            run.define_metric(metric.name, step_metric=metric.step_metric, summary=summary, goal=goal)

    def rule_of(self, name: str) -> str | None:
        """Return the rule of a metric's summary; `best` as the `min` or `max` that it means."""
        metric = self._of(name)
        if metric is None or metric.summary in (None, "none"):
            return None
        if metric.summary == "best":
            return "max" if metric.goal == "maximize" else "min"
        return metric.summary

    def complete(self, numbers: dict[str, Any]) -> dict[str, Any]:
        """Return a row with the axes that it lacks."""
        if not self._axes:
            return numbers
        self._latest.update({name: numbers[name] for name in self._axes & numbers.keys()})
        axes = dict.fromkeys(axis for axis in map(self._axis_of, numbers) if axis is not None)
        return {**{axis: self._latest[axis] for axis in axes if axis in self._latest}, **numbers}

    def _axis_of(self, name: str) -> str | None:
        metric = self._of(name)
        return None if metric is None or not metric.step_sync else metric.step_metric

    def _of(self, name: str) -> Metric | None:
        found = self._exact.get(name)
        if found is not None or name.startswith("_"):
            return found
        for prefix, metric in self._patterns.items():
            if name.startswith(prefix):
                return metric
        return None


def rule_in(summary: object) -> str | None:
    """Return the rule that W&B's list of them comes to; None where it names none that there is."""
    if not isinstance(summary, str):
        return None
    named: Mapping[str, None] = dict.fromkeys(part.strip().lower() for part in summary.split(","))
    return next((rule for rule in RULES if rule in named), None)
