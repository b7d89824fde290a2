"""The command: run the sections that were asked for, and print what they found.

Its exit status is 1 when a section failed to measure; a bound that is missed is a figure, not a failure.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from tests.conftest import RANKS, ROOT, STEERING
from tests.perf import (
    burst,
    call,
    callbacks,
    clickhouse,
    commands,
    day,
    encoding,
    files,
    finish,
    idle,
    ingest,
    paced,
    published,
    queries,
    spans,
    start,
    system,
    traces,
    web,
)
from tests.perf.plan import Plan, Skipped
from tests.perf.report import Figure, Section, heading, section

SECTIONS: dict[str, Callable[[Plan], list[Figure]]] = {
    "start": start.run_section,
    "call": call.run_section,
    "callbacks": callbacks.run_section,
    "commands": commands.run_section,
    "spans": spans.run_section,
    "encoding": encoding.run_section,
    "ingest": ingest.run_section,
    "queries": queries.run_section,
    "clickhouse": clickhouse.run_section,
    "traces": traces.run_section,
    "burst": burst.run_section,
    "day": day.run_section,
    "paced": paced.run_section,
    "idle": idle.run_section,
    "system": system.run_section,
    "files": files.run_section,
    "finish": finish.run_section,
    "published": published.run_section,
    "web": web.run_section,
}


def main() -> int:
    """Run; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf", description="Rundial's benchmarks.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS) + "; all of them")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size: whether it works at all")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the report there as well")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"no section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rundial-bench"
    with tempfile.TemporaryDirectory(prefix="rundial-bench-", ignore_cleanup_errors=True) as work:
        plan = Plan(arguments.quick, Path(work), cache)
        _settle_in(plan)
        return _run(arguments.sections or list(SECTIONS), plan, arguments.out)


def _run(names: list[str], plan: Plan, out: Path | None) -> int:
    """Measure and print section by section, so that a run that is cut short has told what it knows."""
    text = heading(repeats=plan.repeats, is_quick=plan.is_quick)
    sys.stdout.write(text)
    has_failed = False
    for name in names:
        found = _measure(name, plan)
        has_failed |= found.why.startswith("failed")
        printed = section(found)
        sys.stdout.write(printed)
        sys.stdout.flush()
        text += printed
        if out is not None:
            out.write_text(text, encoding="utf-8")
    return int(has_failed)


def _settle_in(plan: Plan) -> None:
    """Give this process and its children an environment that is the same on every machine."""
    for name in list(os.environ):
        if name.startswith(STEERING) or name in RANKS:
            del os.environ[name]
    home = str(plan.place("home"))
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    # One thread for a matrix product: with more, the loop would compete with itself.
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    os.environ.update(threads, HOME=home, XDG_CONFIG_HOME=home, PYTHONPATH=os.pathsep.join(paths))
    # The points that a section counts are its own; the system metrics have a section to themselves.
    os.environ["RUNDIAL_SYSTEM_METRICS_INTERVAL_SECONDS"] = "3600"
    # An installed package is compiled once, not at each import; what we compile stays out of the checkout.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(plan.cache / "pycache")


def _measure(name: str, plan: Plan) -> Section:
    sys.stderr.write(f"{name} …")
    sys.stderr.flush()
    began = monotonic()
    try:
        found = Section(name, SECTIONS[name](plan))
    except Skipped as error:
        found = Section(name, [], str(error))
    except Exception as error:  # noqa: BLE001 - one section that fails must not cost the others
        found = Section(name, [], f"failed: {type(error).__name__}: {error}")
    sys.stderr.write(f" {monotonic() - began:.0f} s\n")
    return found


if __name__ == "__main__":
    sys.exit(main())
