"""This package beside the published client: the same loops, each in its own environment, by turns.

Both record offline, so that no server's speed is in the figures. The published client's queue holds 10,000
points and refuses what comes on top; the blocks that are compared fit into it, so that both keep all.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from tests.perf import loops
from tests.perf.plan import Plan, Skipped
from tests.perf.report import Figure
from tests.perf.workers import ended, spawn

RELEASE = "rundial==1.0.0rc1"
FLAT_OUT = 20_000
FITTING = 9_000
BLOCKS = 3
WIDTHS = (1, 10)
TICKS = 1_500
BOUNDS = {1: 3.5, 10: 20.0}


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    theirs = [str(environment(plan.cache)), "-I"]
    ours = [sys.executable]
    figures: list[Figure] = []
    for width in WIDTHS:
        fitting = {"job": "calls", "keys": width, "count": plan.size(FITTING) // width, "blocks": BLOCKS}
        figures += _calls(plan, ours, theirs, fitting, "all kept", BOUNDS[width])
        flat = {"job": "calls", "keys": width, "count": plan.size(FLAT_OUT), "blocks": 1}
        figures += _calls(plan, ours, theirs, flat, "flat out", None)
    return figures + _paced(plan, ours, theirs)


def _calls(
    plan: Plan, ours: list[str], theirs: list[str], given: dict[str, Any], how: str, bound: float | None
) -> list[Figure]:
    pairs = _pairs(plan, ours, theirs, given)
    name = f"run.log, {given['keys']} keys, {how}"
    kept = f"published client kept {100 * median(their['accepted'] for _, their in pairs):.0f} % of the calls"
    if how == "all kept" and min(min(our["accepted"], their["accepted"]) for our, their in pairs) < 1:
        raise RuntimeError("a block that fits into both queues was not kept whole")
    return [
        Figure(f"{name}, p50: ours", [our["log"]["p50"] for our, _ in pairs], "µs"),
        Figure(f"{name}, p50: published", [their["log"]["p50"] for _, their in pairs], "µs", note=kept),
        Figure(
            f"{name}, p50: published against ours",
            [their["log"]["p50"] / our["log"]["p50"] for our, their in pairs],
            "times",
            at_least=bound,
        ),
        Figure(
            f"{name}, p99: published against ours",
            [their["log"]["p99"] / our["log"]["p99"] for our, their in pairs],
            "times",
        ),
    ]


def _paced(plan: Plan, ours: list[str], theirs: list[str]) -> list[Figure]:
    pairs = _pairs(plan, ours, theirs, {"job": "paced", "widths": WIDTHS, "ticks": plan.size(TICKS)})
    figures = []
    for width in map(str, WIDTHS):
        mine = [our[width]["cost_us"] for our, _ in pairs]
        other = [their[width]["cost_us"] for _, their in pairs]
        # A cost below nothing is noise and counts as nothing; one of theirs that is nothing compares with
        # nothing.
        shares = [max(0.0, our) / max(1.0, their) for our, their in zip(mine, other, strict=True)]
        name = f"paced loop, {width} keys, cost of a tick"
        figures += [
            Figure(f"{name}: ours", mine, "µs"),
            Figure(f"{name}: published", other, "µs"),
            Figure(f"{name}: ours against published", shares, "times", at_most=0.1),
        ]
    return figures


def _pairs(
    plan: Plan, ours: list[str], theirs: list[str], given: dict[str, Any]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Run a job in both environments, by turns."""
    return [(_run(plan, ours, given), _run(plan, theirs, given)) for _ in range(plan.repeats)]


def _run(plan: Plan, python: list[str], given: dict[str, Any]) -> dict[str, Any]:
    job = json.dumps({**given, "spool": str(plan.place("spool"))})
    found: dict[str, Any] = ended(spawn([*python, str(Path(loops.__file__)), job]))
    return found


def environment(cache: Path) -> Path:
    """Return the interpreter of an environment that holds the published client, made at the first use.

    Raises:
        Skipped: pip cannot install it.
    """
    release = RELEASE.partition("==")[2]
    place = cache / f"published-{release}-python-{sys.version_info.major}.{sys.version_info.minor}"
    python, stamp = place / "bin" / "python", place / ".complete"
    if stamp.exists() and python.exists():
        return python
    sys.stderr.write(f"installing {RELEASE} into {place}\n")
    venv.EnvBuilder(with_pip=True, clear=True).create(place)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run(
        [*command, RELEASE, f"numpy=={version('numpy')}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise Skipped(f"skipped: pip cannot install {RELEASE}: {last}")
    stamp.touch()
    return python
