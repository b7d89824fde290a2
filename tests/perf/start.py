"""What a script pays before its first step: the import and `init`, each in fresh processes."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import perf_counter

from tests.perf.plan import Plan
from tests.perf.report import Figure

# A median of few would show a neighbour's disk, not our import.
PROCESSES = 3
IMPORT = """
from time import perf_counter
start = perf_counter()
import rundial
print(perf_counter() - start)
"""
INIT = """
import sys
from time import perf_counter
import rundial as rd
start = perf_counter()
run = rd.init(project="bench", mode="offline", spool_directory=sys.argv[1])
print(perf_counter() - start)
run.finish()
"""


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    # Once for nothing: what is compiled and read from disk is from here on in memory.
    for text in ("pass", IMPORT, INIT):
        _whole_ms(text, str(plan.place("spool")))
    above: list[float] = []
    imported: list[float] = []
    begun: list[float] = []
    for _ in range(plan.repeats):
        pairs = [_pair() for _ in range(1 if plan.is_quick else PROCESSES)]
        above.append(median(whole - bare for bare, whole, _ in pairs))
        imported.append(median(inside for _, _, inside in pairs))
        begun.append(_whole_ms(INIT, str(plan.place("spool")))[1])
    how = f"each a median of {1 if plan.is_quick else PROCESSES} pairs, by turns"
    return [
        Figure(
            "import rundial, above a bare interpreter, whole processes", above, "ms", at_most=10.0, note=how
        ),
        Figure("the import statement alone", imported, "ms"),
        Figure("rd.init offline, first in its process", begun, "ms", at_most=20.0),
    ]


def _pair() -> tuple[float, float, float]:
    bare, _ = _whole_ms("pass")
    whole, inside = _whole_ms(IMPORT)
    return bare, whole, inside


def _whole_ms(text: str, *arguments: str) -> tuple[float, float]:
    """Run a program; return its whole time and the one that it printed, in ms."""
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", text, *arguments], check=True, stdout=subprocess.PIPE, text=True, timeout=60
    )
    seconds = perf_counter() - start
    return seconds * 1000, float(done.stdout or 0) * 1000
