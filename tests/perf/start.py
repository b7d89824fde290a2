"""What a script pays before its first step: the import, `init` and the first record, in fresh processes.

The figures with a bound are of the clock on the wall. Beside them stands the time of the thread's own
work, which a busy machine stretches less.
"""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median
from time import perf_counter

from tests.perf.plan import Plan
from tests.perf.report import Figure
from tests.perf.workers import environ

# A median of few would show a neighbour's disk, not our import.
PROCESSES = 5
BARE = "print('{}')"
IMPORT = """
from time import perf_counter, thread_time
wall, own = perf_counter(), thread_time()
import rundial
print(f'{{"import": {perf_counter() - wall}, "import_own": {thread_time() - own}}}')
"""
INIT = """
import sys
{before}
from time import perf_counter, thread_time
import rundial as rd
wall, own = perf_counter(), thread_time()
run = rd.init(project="bench", mode="offline", spool_directory=sys.argv[1])
begun, begun_own = perf_counter(), thread_time()
run.log({{"loss": 1.0, "accuracy": 0.5}})
first = perf_counter()
run.finish()
end = perf_counter()
print('{{"init": %s, "init_own": %s, "log": %s, "finish": %s}}'
      % (begun - wall, begun_own - own, first - begun, end - first))
"""
BARE_INIT, NUMPY_INIT = INIT.format(before=""), INIT.format(before="import numpy")


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    place = str(plan.place("spool"))
    # Once for nothing: what is compiled and read from disk is from here on in memory.
    for text in (BARE, IMPORT, BARE_INIT, NUMPY_INIT):
        _run(text, place)
    found: dict[str, list[float]] = {}
    for _ in range(plan.repeats):
        rounds = [_round(place) for _ in range(1 if plan.is_quick else PROCESSES)]
        for name in rounds[0]:
            found.setdefault(name, []).append(median(each[name] for each in rounds))
    how = f"each a median of {1 if plan.is_quick else PROCESSES} rounds, by turns"
    lines = (
        ("above", "import rundial, above a bare interpreter, whole processes", 10.0, how),
        ("import", "the import statement alone", None, ""),
        ("import_own", "its thread's own work", None, ""),
        ("init", "rd.init offline, first in its process", 20.0, "no config file"),
        ("init_own", "its thread's own work", None, ""),
        ("beside", "rd.init offline, in a process that has imported numpy", None, "as most that train"),
        ("beside_own", "its thread's own work", None, ""),
        ("log", "the first run.log", None, "2 metrics"),
        ("finish", "finish, right after it", None, ""),
        ("script", "import, init, a record, finish and exit, above a bare interpreter", None, ""),
    )
    return [Figure(what, found[name], "ms", at_most=bound, note=note) for name, what, bound, note in lines]


def _round(place: str) -> dict[str, float]:
    """Run the three programs and return what they took, in ms."""
    bare, whole, script = _run(BARE), _run(IMPORT), _run(BARE_INIT, place)
    beside = _run(NUMPY_INIT, place)
    above = {"above": whole["whole"] - bare["whole"], "script": script["whole"] - bare["whole"]}
    return {**bare, **whole, **script, **above, "beside": beside["init"], "beside_own": beside["init_own"]}


def _run(text: str, place: str = "") -> dict[str, float]:
    """Run a program; return its whole time and those that it printed, in ms."""
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", text, place],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        # An account's config file is no part of what is measured.
        env={**environ(), "XDG_CONFIG_HOME": place or "/nowhere"},
    )
    seconds = {"whole": perf_counter() - start, **json.loads(done.stdout)}
    return {name: value * 1000 for name, value in seconds.items()}
