"""`rundial sync`: deliver what processes that are gone have left behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rundial.cli.options import Command, flags_of
from rundial.cli.output import Output, count, shown, some
from rundial.cli.progress import counted
from rundial.cli.target import output_of
from rundial.reasons import SIGNALS

if TYPE_CHECKING:
    from rundial.api.adopt import OnProgress, SyncProgress, SyncResult

ALL = (*SIGNALS, "artifacts")
DEFAULT_DIRECTORY = ".rundial_spool"


@click.command("sync", cls=Command)
@click.argument("directories", metavar="[DIR]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--to", metavar="URL", help="Deliver to this server, also what was recorded for another one.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0.1, 86_400),
    default=60.0,
    show_default=True,
    help="Seconds to spend in all; what is not delivered by then waits for the next sync.",
)
@click.pass_context
def sync(ctx: click.Context, /, directories: tuple[Path, ...], to: str | None, timeout_s: float) -> int:
    """Deliver what ended processes have left in spool directories.

    DIR is a spool directory, .rundial_spool by default. What a live process owns is left alone, and
    a second sync of the same directory delivers nothing twice. Exit status 1 when something waits or
    was refused for good, or when a run would not have been started as it was, had the server been
    asked; its data is kept as an attempt of its own. 2 when the server refuses the key.
    """
    from rundial.api.adopt import sync as adopt

    output = output_of(ctx)
    with _watched(output) as on_progress:
        report = adopt(
            directories or (default_directory(),),
            endpoint=flags_of(ctx).endpoint or os.environ.get("RUNDIAL_ENDPOINT") or None,
            api_key=os.environ.get("RUNDIAL_API_KEY") or None,
            to=to,
            timeout_s=timeout_s,
            on_progress=on_progress,
        )
    results = report.results
    found: dict[str, Any] = {"directories": [_facts(result) for result in results]}
    found |= {fate: _total(results, fate) for fate in ("rejected", "waiting")}
    output.result(found, lambda: _lines(results))
    if any(result.is_refused for result in results):
        return 2
    return 0 if all(_is_whole(result) for result in results) else 1


@contextmanager
def _watched(output: Output) -> Iterator[OnProgress]:
    """Give what is told how far the sync is: a bar on a terminal, one line on stderr elsewhere."""
    is_said = sys.stderr.isatty()

    with counted(output, "syncing", shown=count) as on_records:

        def tell(progress: SyncProgress) -> None:
            nonlocal is_said
            if not is_said:
                output.note("delivering what ended processes left behind")
                is_said = True
            text = f"{shown(progress.run_id)} ({progress.number} of {progress.of})"
            on_records(progress.answered, progress.total, text)

        yield tell


def default_directory() -> Path:
    """Return the spool directory that a run in this directory would use."""
    return Path(os.environ.get("RUNDIAL_SPOOL_DIR") or DEFAULT_DIRECTORY)


def _facts(result: SyncResult) -> dict[str, Any]:
    return {
        "path": str(result.path),
        "runId": result.run_id,
        "delivered": dict(result.delivered),
        "rejected": dict(result.rejected),
        "waiting": dict(result.waiting),
        "why": result.why,
        "conflict": result.conflict,
    }


def _is_refused_in_part(result: SyncResult) -> bool:
    return any(result.rejected.values())


def _is_whole(result: SyncResult) -> bool:
    return not (result.conflict or _is_refused_in_part(result)) and (result.is_live or not result.why)


def _waits(result: SyncResult) -> bool:
    return any(result.waiting.values())


def _total(results: Sequence[SyncResult], name: str) -> dict[str, int]:
    return {signal: sum(getattr(result, name).get(signal, 0) for result in results) for signal in ALL}


def _lines(results: Sequence[SyncResult]) -> list[str]:
    if not results:
        return ["nothing was left behind: there is nothing to deliver"]
    lines = []
    for result in results:
        lines.append(f"{shown(result.run_id)}  delivered {_words(result.delivered)}")
        if _is_refused_in_part(result):
            from rundial.spool.rejected import KEPT

            lines.append(
                f"  the server refused {_words(result.rejected)} for good; copies of what it refused "
                f"whole are kept in {shown(result.path.parent.parent / KEPT)}"
            )
        if _waits(result):
            lines.append(f"  {_words(result.waiting)} wait in {shown(result.path)}: {shown(result.why)}")
        elif result.why:
            lines.append(f"  {shown(result.why)}")
        if result.conflict:
            lines.append(f"  conflict: {shown(result.conflict)}")
    return lines


def _words(numbers: Mapping[str, int]) -> str:
    shown_ones = [*SIGNALS, *(["artifacts"] if numbers.get("artifacts") else [])]
    return ", ".join(some(numbers.get(signal, 0), signal.removesuffix("s")) for signal in shown_ones)
