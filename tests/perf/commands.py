"""What a command costs who waits for the prompt, in multiples of an interpreter that does nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from tests.perf.plan import Plan
from tests.perf.report import Figure
from tests.perf.servers import PROJECT, server
from tests.perf.workers import environ

# A median of few would show a neighbour's work, not ours.
ROUNDS = 9
RUN = "import sys, rundial\nwith rundial.init(project=sys.argv[1]) as run: run.log({'loss': 1.0})"
PROGRAM = str(Path(sys.executable).with_name("rundial"))


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    with server(plan) as live:
        place = {"XDG_CONFIG_HOME": str(plan.place("config"))}
        variables = {**environ(), **place, "RUNDIAL_ENDPOINT": live.url, "RUNDIAL_API_KEY": live.key}
        subprocess.run([sys.executable, "-c", RUN, PROJECT], check=True, env=variables, timeout=60)
        listing = ("run", "list", "--json", "--project", PROJECT)
        programs = {
            "bare": [sys.executable, "-c", "pass"],
            "click": [sys.executable, "-c", "import click"],
            "help": [PROGRAM, "--help"],
            "list": [PROGRAM, *listing],
        }
        for command in programs.values():
            _took_s(command, variables)  # once for nothing: from here on it is compiled, and in memory
        found: dict[str, list[float]] = {name: [] for name in programs if name != "bare"}
        for _ in range(plan.repeats):
            rounds = [
                {name: _took_s(command, variables) for name, command in programs.items()}
                for _ in range(1 if plan.is_quick else ROUNDS)
            ]
            bare = median(each["bare"] for each in rounds)
            for name, values in found.items():
                values.append(median(each[name] for each in rounds) / bare)
    return [
        Figure(
            "rundial --help", found["help"], "times", at_most=6.0, note="of python -c pass, whole processes"
        ),
        Figure("rundial run list --json, a server of this machine", found["list"], "times", at_most=14.0),
        Figure("import click, for comparison", found["click"], "times"),
    ]


def _took_s(command: list[str], variables: dict[str, str]) -> float:
    start = perf_counter()
    subprocess.run(command, check=True, env=variables, stdout=subprocess.DEVNULL, timeout=60)
    return perf_counter() - start
