"""Figures and the Markdown table that they are printed in. Pure, but for the lines that name the machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HEADER = "| what | figure | spread (min to max) | bound | figure / bound | verdict | note |"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report.

    Attributes:
        what: What was measured.
        values: One value for each repetition, never empty.
        unit: Of the values; `times` for ratios.
        at_most: Bound from above; None when there is none.
        at_least: Bound from below; None when there is none.
        note: What a reader must know to believe it.
    """

    what: str
    values: Sequence[float]
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def verdict(self) -> str:
        """`holds`, `misses`, or nothing where there is no bound."""
        if self.at_most is None and self.at_least is None:
            return ""
        is_low_enough = self.at_most is None or self.value <= self.at_most
        is_high_enough = self.at_least is None or self.value >= self.at_least
        return "holds" if is_low_enough and is_high_enough else "**misses**"

    def row(self) -> str:
        """The line as Markdown."""
        bound = f"≤ {number(self.at_most)}" if self.at_most is not None else ""
        if self.at_least is not None:
            bound = f"≥ {number(self.at_least)}"
        limit = self.at_most if self.at_most is not None else self.at_least
        share = f"{self.value / limit:.2f}" if limit else ""
        spread = f"{number(min(self.values))} to {number(max(self.values))}"
        figure = f"{number(self.value)} {self.unit}"
        return f"| {self.what} | {figure} | {spread} | {bound} | {share} | {self.verdict} | {self.note} |"


@dataclass(frozen=True, slots=True)
class Section:
    """What became of one section: its figures, or why there are none.

    Attributes:
        name: The section's name on the command line.
        figures: Its lines.
        why: Why it was skipped or failed; empty when it was measured.
    """

    name: str
    figures: Sequence[Figure]
    why: str = ""


def number(value: float) -> str:
    """Return a number with three significant digits, grouped by thousands."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def heading(*, repeats: int, is_quick: bool) -> str:
    """Return what stands above all sections, as Markdown."""
    kind = "quick run: only shows that the benchmarks work" if is_quick else "whole run"
    about = f"Medians of {repeats}, {kind}. Figures of this machine, shared with all else it runs."
    return f"# Rundial benchmarks\n\n{machine()}\n\n{about}\n"


def section(found: Section) -> str:
    """Return one section as Markdown, with how busy the machine was at its end."""
    lines = ["", f"## {found.name}", ""]
    if found.why:
        lines.append(found.why)
    if found.figures:
        lines += [HEADER, "|---|---|---|---|---|---|---|", *(figure.row() for figure in found.figures)]
    return "\n".join([*lines, "", f"Load average afterwards: {load()}", ""])


def load() -> str:
    """How many threads wanted a core in the last 1, 5 and 15 minutes."""
    return ", ".join(f"{each:.2f}" for each in os.getloadavg())


def machine() -> str:
    """Name the machine, its interpreter and how busy it is, in one line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    python = f"{platform.python_implementation()} {platform.python_version()}"
    cores = os.cpu_count()
    return f"{model}, {cores} cores, {sys.platform} {platform.release()}, {python}, load average {load()}"
