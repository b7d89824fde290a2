"""What a run's summary shows: each plain metric by its rule, and over it what was set by hand. Pure.

The figures come from the summary that ingest keeps of each series, so no point is scanned. A point with a
context of its own is no plain metric, and neither are the `system/*` series. Of a run whose ranks all record,
the lowest rank's series counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

# A run may have any number of series; its summary is read by people.
MAX_METRICS: Final = 2_000
_PATTERN: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Definition:
    """How one metric is to be read.

    Attributes:
        step_metric: The metric that is its x axis, None for the step.
        summary: `last`, `min`, `max`, `mean`, `best` or `none`.
        goal: `minimize` or `maximize`.
    """

    step_metric: str | None = None
    summary: str = "last"
    goal: str = "minimize"


def definition_of(name: str, definitions: Mapping[str, Mapping[str, object]]) -> Definition:
    """Return how a metric is to be read: by its own definition, else the latest pattern that fits.

    Args:
        name: The metric's.
        definitions: By name or pattern, the latest first.
    """
    found = definitions.get(name)
    if found is None:
        fits = (each for pattern, each in definitions.items() if _fits(name, pattern))
        found = next(fits, None)
    if found is None:
        return Definition()
    step_metric = found.get("step_metric")
    return Definition(
        step_metric=step_metric if isinstance(step_metric, str) else None,
        summary=str(found.get("summary") or "last"),
        goal=str(found.get("goal") or "minimize"),
    )


def rule_of(definition: Definition) -> str:
    """Return `last`, `min`, `max`, `mean` or `none`: the best by its goal is one of them."""
    if definition.summary == "best":
        return "max" if definition.goal == "maximize" else "min"
    return definition.summary


def values_by_rule(rows: Iterable[Any], definitions: Mapping[str, Mapping[str, object]]) -> dict[str, float]:
    """Return the value that each metric shows.

    Args:
        rows: Series rows of plain metrics, one a name.
        definitions: By name or pattern, the latest first.
    """
    shown: dict[str, float] = {}
    for row in rows:
        rule = rule_of(definition_of(row.name, definitions))
        value = {
            "last": row.last_value,
            "min": row.min_value,
            "max": row.max_value,
            "mean": row.mean_value,
        }
        found = value.get(rule)
        if found is not None:
            shown[row.name] = found
    return shown


def _fits(name: str, pattern: str) -> bool:
    return not _PATTERN.isdisjoint(pattern) and fnmatchcase(name, pattern)
