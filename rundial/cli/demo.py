"""`rundial demo`: train a small network, record everything, and read it back from a server."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from rundial.cli.options import Command
from rundial.cli.output import Output, facts, shown
from rundial.cli.server import NEEDS, require
from rundial.cli.target import output_of

if TYPE_CHECKING:
    from rundial.demo.child import ServerChild
    from rundial.demo.flow import Shown

_CHART_WIDTH = 90
_SUMMARY = ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "test/loss", "test/accuracy")


@click.command("demo", cls=Command)
@click.option("--serve", is_flag=True, help="Keep the server up afterwards, until Ctrl-C.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data directory of the server.  [default: a new one under the cache directory]",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port of the server.  [default: a free one]"
)
@click.pass_context
def demo(ctx: click.Context, /, serve: bool, data: Path | None, port: int) -> int:
    """Train a network on handwritten digits and show what a server of its own has stored.

    Touches no profile and none of your settings. Exit status 1 when anything that was logged is
    not stored.
    """
    output = output_of(ctx)
    require("the demo", "demo", ("numpy", "sklearn", *NEEDS))
    from rundial.demo.child import ServerChild, isolated
    from rundial.demo.flow import record

    folder = (data or new_folder()).resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    output.lines([f"data    {folder}"])
    with ends_on_signals(), isolated(folder / "config"), ServerChild(folder, port) as child:
        output.lines([f"server  {child.url}", ""])
        progress = Progress(output)
        try:
            outcome = record(child, folder, progress)
        finally:
            progress.leave()
        output.result(facts_of(outcome, folder, child), lambda: report(output, outcome, folder))
        if serve:
            keep_up(output, child)
    return 0 if outcome.is_equal else 1


def new_folder() -> Path:
    """Make a fresh directory under the user's cache, or under the temporary one if that fails."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    cache = (Path(root) if os.path.isabs(root) else Path.home() / ".cache") / "rundial"
    prefix = time.strftime("demo-%Y%m%d-%H%M%S-")
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=prefix, dir=cache))
    except OSError:
        return Path(tempfile.mkdtemp(prefix=f"rundial-{prefix}"))


class Ended(SystemExit):
    """A signal has asked the program to end."""


@contextmanager
def ends_on_signals() -> Iterator[None]:
    """Make SIGINT, SIGTERM and SIGHUP unwind the program, so that the server is ended with it.

    SIGINT too: a KeyboardInterrupt that happens to pass through an `exec`, as in many an import,
    makes the interpreter die of the signal at its end, whatever was decided in between.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise Ended(1)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    except Ended as error:
        raise click.Abort from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Progress:
    """Follows the training with a bar on stderr; draws nothing for JSON or when quiet."""

    def __init__(self, output: Output) -> None:
        from rundial.demo.render import ProgressBar

        self._make = ProgressBar
        self._is_shown = not output.is_json and not output.is_quiet
        self._bar: ProgressBar | None = None

    def begin(self, steps: int) -> None:
        """Start a bar of so many steps."""
        if self._is_shown:
            self._bar = self._make(sys.stderr, steps, label="training")

    def step(self, done: int, last: Mapping[str, float]) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(done, f"val loss {last['val/loss']:.3f}, accuracy {last['val/accuracy']:.1%}")

    def end(self, last: Mapping[str, float]) -> None:
        """Close the bar with one line."""
        if self._bar is not None:
            self._bar.finish(f"(val accuracy {last['val/accuracy']:.1%})")
            self._bar = None

    def leave(self) -> None:
        """Leave the bar's line when training did not come to its end."""
        if self._bar is not None:
            self._bar.abandon()
            self._bar = None


def facts_of(outcome: Shown, folder: Path, child: ServerChild) -> dict[str, Any]:
    """Return the JSON object of the demonstration."""
    return {
        "run": outcome.run,
        "logged": outcome.logged,
        "stored": outcome.stored,
        "equal": outcome.is_equal,
        "metrics": outcome.metrics,
        "seconds": outcome.seconds,
        "endpoint": child.url,
        "dataDir": str(folder),
        "open": again(folder),
    }


def report(output: Output, outcome: Shown, folder: Path) -> list[str]:
    """Return the summary for a person: what the server has, the chart, and how to go on."""
    from rundial.demo.render import can_carry, chart, columns

    run = outcome.run
    pairs = [
        (
            "run",
            f"{shown(run.get('runId'))} ({shown(run.get('runName'))}), {output.status(run.get('status'))}",
        )
    ]
    pairs += [
        (name, f"{outcome.stored[name]:>7,} stored of {number:,} logged")
        for name, number in outcome.logged.items()
    ]
    pairs += [(name, f"{outcome.metrics[name]:>10.4f}") for name in _SUMMARY if name in outcome.metrics]
    verdict = (
        output.paint("Everything that was logged is stored.", "green")
        if outcome.is_equal
        else output.paint("NOT everything that was logged is stored.", "red")
    )
    picture = chart(outcome.loss, width=columns(_CHART_WIDTH), is_ascii=not can_carry(sys.stdout, "●·┤└─"))
    lines = ["", "Read back from the server:", *(f"  {line}" for line in facts(pairs)), "", *picture, ""]
    return [*lines, f"{verdict} ({outcome.seconds:g} s)", "", "Open the server again:", f"  {again(folder)}"]


def again(folder: Path) -> str:
    """Return the command that starts a server on the demonstration's data."""
    return f"{_program()} server --data {shlex.quote(str(folder))}"


def _program() -> str:
    """How the command was called: from a checkout's environment it is not on PATH."""
    if shutil.which("rundial"):
        return "rundial"
    if Path(sys.argv[0]).name == "rundial":
        return shlex.quote(sys.argv[0])
    return f"{shlex.quote(sys.executable)} -m rundial"


def keep_up(output: Output, child: ServerChild) -> None:
    """Keep the server until Ctrl-C or until it ends by itself."""
    key_file = shlex.quote(str(child.key_file))
    output.lines(
        [
            "",
            f"The server is up at {child.url} until Ctrl-C. Open it in a browser and sign in with the key",
            f"that this prints: cat {key_file}",
            "In another terminal:",
            f"  RUNDIAL_ENDPOINT={child.url} RUNDIAL_API_KEY=$(cat {key_file}) rundial run list",
        ]
    )
    try:
        child.wait()
    except Ended:
        output.note("stopping the server")
