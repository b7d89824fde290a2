"""The program `rundial`: its commands, and how it ends.

Exit status: 0 for success, 2 for authentication and authorization, 1 for everything else, usage
errors and losses included. Errors are one line and a next step on stderr, or one JSON object with
`--json`; tracebacks only with `--debug`. A reader that has gone away ends the program quietly.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from rundial.cli.failure import FAILED, describe
from rundial.cli.lazily import LazyCommands, Source
from rundial.cli.options import Flags, Group, flags_of, global_options, wants_json
from rundial.cli.output import as_json, write

COMMANDS = {
    "artifact": Source(
        "rundial.cli.artifact:group", "List, show, use, remove, collect and verify artifacts."
    ),
    "auth": Source("rundial.cli.auth:group", "Log in and out; make and end keys and agents."),
    "completion": Source(
        "rundial.cli.completion:completion",
        ('Print what makes a shell complete commands and names; eval "$(rundial completion bash)".'),
    ),
    "config": Source("rundial.cli.config:group", "Show and change what the profile says."),
    "demo": Source(
        "rundial.cli.demo:demo",
        "Train a network on handwritten digits and show what a server of its own has stored.",
    ),
    "doctor": Source(
        "rundial.cli.doctor:doctor",
        "Check the server, the key, the clock, the spool, the ring and the versions.",
    ),
    "doctor-capabilities": Source("rundial.cli.doctor:capabilities", "Show what the server says it can do."),
    "evals": Source("rundial.cli.evals:group", "List evaluation runs, show one, compare two."),
    "import": Source(
        "rundial.cli.imports:group",
        "Import what other trackers have left on disk; again it changes nothing.",
    ),
    "init": Source(
        "rundial.cli.initial:init",
        "Set up this account: check the server, log in, choose a target, make a first run.",
    ),
    "logs": Source("rundial.cli.logs:group", "Read a run's text."),
    "metrics": Source("rundial.cli.metrics:group", "Read a run's series."),
    "profile": Source("rundial.cli.profile:group", "Name the servers that you use."),
    "project": Source("rundial.cli.project:group", "List projects."),
    "redact": Source(
        "rundial.cli.redact:redact",
        "Show the environment of a run started here, and a config, with secrets taken out.",
    ),
    "run": Source(
        "rundial.cli.run:group", "List, show, watch and compare runs; start, end, tag and delete them."
    ),
    "server": Source(
        "rundial.cli.server:server",
        "Run a Rundial server until it is told to stop, or manage its data and who may use it.",
    ),
    "sync": Source("rundial.cli.sync:sync", "Deliver what ended processes have left in spool directories."),
    "target": Source("rundial.cli.targets:group", "Choose the workspace and project that commands mean."),
    "traces": Source("rundial.cli.traces:group", "Read a run's spans."),
    "workspace": Source("rundial.cli.workspace:group", "List and make workspaces."),
}


class Program(Group):
    """The top of the command tree; turns every end into an exit status."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the program and exit, or, not standalone, return the exit status."""
        given = list(sys.argv[1:] if args is None else args)
        flags = Flags()
        extra.setdefault("obj", flags)
        status = FAILED
        try:
            status = _status(
                super().main(given, prog_name or "rundial", complete_var, standalone_mode=False, **extra)
            )
            sys.stdout.flush()
        except Exception as error:  # noqa: BLE001 - the boundary: every end becomes an exit status
            status = _report(error, flags, given)
        except KeyboardInterrupt as error:
            status = _report(error, flags, given)
        if not standalone_mode:
            return status
        sys.exit(status)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C ends it in our words instead of click's."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise click.Abort from error


def _status(returned: object) -> int:
    """Read a command's return value: an exit status, or nothing for success."""
    return returned if isinstance(returned, int) else 0


def _report(error: BaseException, flags: Flags, args: Sequence[str]) -> int:
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        _silence()
        return FAILED
    failure = describe(error)
    if flags.debug or "--debug" in args:
        import traceback  # only who asks for one pays for it

        traceback.print_exception(error)
    try:
        if wants_json(flags, args):
            told = {"message": failure.message, "exitCode": failure.exit_code}
            if failure.next_step:
                told["hint"] = failure.next_step
            write(sys.stderr, [as_json({"ok": False, "error": told})])
        else:
            # The terminal has just shown ^C at the start of this line.
            lines = [""] if isinstance(error, click.Abort) and sys.stderr.isatty() else []
            lines.append(f"rundial: {failure.message}")
            write(sys.stderr, lines + ([f"  {failure.next_step}"] if failure.next_step else []))
    except BrokenPipeError:
        _silence()
    return failure.exit_code


def _silence() -> None:
    """Let the interpreter's last flush go nowhere instead of into a closed pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


main = Program(
    "rundial",
    commands=LazyCommands(COMMANDS),
    help="The flight recorder for training runs and agents.",
    params=global_options(is_hidden=False),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
main.epilog = "Exit status: 0 success, 1 failure, 2 not authenticated or not authorized."


@click.pass_context
def _welcome(ctx: click.Context) -> None:
    flags_of(ctx)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


main.callback = _welcome
