"""The options that every command takes, before or after its name, and the classes that carry them.

`rundial --json run list` and `rundial run list --json` are the same: each command parses the
global options too and writes what was given into one `Flags` of the invocation. A command that has
an option of the same name of its own keeps its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from rundial.cli.failure import CommandError, nearest
from rundial.cli.lazily import LazyCommands
from rundial.cli.names import profile_names, project_slugs, workspace_slugs

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


@dataclass(slots=True)
class Flags:
    """The global options as given; None and False mean not given."""

    profile: str | None = None
    endpoint: str | None = None
    output_format: str | None = None
    json_output: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False
    non_interactive: bool = False
    debug: bool = False
    allow_plaintext_store: bool = False
    # The command's own --format says nothing about how it prints.
    owns_format: bool = False


def flags_of(ctx: click.Context) -> Flags:
    """Return the invocation's flags; every context of it shares them."""
    return ctx.find_root().ensure_object(Flags)


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> object:
    if value and param.name is not None:
        setattr(flags_of(ctx), param.name, value)
    return value


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from rundial.version import __version__

    click.echo(f"rundial {__version__}")
    ctx.exit(0)


def global_options(*, is_hidden: bool) -> list[click.Option]:
    """Return fresh global options, hidden from the help of a command below the top."""

    def option(*names: str, **settings: Any) -> click.Option:
        return click.Option(
            names, callback=_keep, expose_value=False, hidden=is_hidden, is_eager=True, **settings
        )

    return [
        option(
            "--profile",
            metavar="NAME",
            help="Use this profile instead of the active one.",
            shell_complete=profile_names,
        ),
        option("--endpoint", metavar="URL", help="Address of the server."),
        option("--json", "json_output", is_flag=True, help="Print one JSON object on one line."),
        option("--format", "output_format", type=click.Choice(["human", "json"]), help="Print text or JSON."),
        option("--quiet", is_flag=True, help="Print no tables and no notes."),
        option("--verbose", is_flag=True, help="Say on stderr which server and profile are used."),
        option("--no-color", is_flag=True, help="Print no colours; NO_COLOR does the same."),
        option("--non-interactive", is_flag=True, help="Never ask anything."),
        option(
            "--allow-plaintext-store",
            is_flag=True,
            help="Without a keyring, keep secrets in a file that only you can read.",
        ),
        option("--debug", is_flag=True, help="Print tracebacks."),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            hidden=is_hidden,
            help="Print the version.",
        ),
    ]


class _TakesGlobals(click.Command):
    """Parses the global options beside the command's own."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = super().get_params(ctx)
        if ctx.parent is None:
            return own  # the program lists them itself, visibly
        taken = {name for param in own for name in param.opts}
        return own + [extra for extra in self._extras() if not taken & set(extra.opts)]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Say where the options stand that are hidden here."""
        super().format_epilog(ctx, formatter)
        if ctx.parent is not None:
            formatter.write_paragraph()
            formatter.write_text("The options of `rundial --help`, such as --json, are taken here too.")

    def _extras(self) -> list[click.Option]:
        # Made once: click compares parameters by identity between parsing and processing.
        if not hasattr(self, "_global_options"):
            self._global_options = global_options(is_hidden=True)
        return self._global_options


class Command(_TakesGlobals):
    """A command that takes the global options after its name too."""


class Group(_TakesGlobals, click.Group):
    """A group that takes them too, and names the nearest command for an unknown one."""

    command_class = Command

    def __init__(self, *args: Any, **settings: Any) -> None:
        # click's own answer to a bare group is its whole help as an error; ours is one line.
        settings.setdefault("invoke_without_command", True)
        super().__init__(*args, **settings)
        self.callback = self.callback or _name_commands

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands; those that are imported late are not imported for it."""
        if not isinstance(self.commands, LazyCommands):
            super().format_commands(ctx, formatter)
            return
        with formatter.section("Commands"):
            formatter.write_dl(self.commands.lines())

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands; those that are imported late are not imported for it."""
        if not isinstance(self.commands, LazyCommands):
            return super().shell_complete(ctx, incomplete)
        from click.shell_completion import CompletionItem

        known = [(name, line) for name, line in self.commands.lines() if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=line) for name, line in known), *options]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is answered with the nearest that there is."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            close = nearest(args[0], self.list_commands(ctx))
            hint = f"Did you mean `{ctx.command_path} {close}`? " if close else ""
            raise CommandError(
                f"no command {args[0]!r} in `{ctx.command_path}`", f"{hint}See: {ctx.command_path} --help"
            )
        return super().resolve_command(ctx, args)


@click.pass_context
def _name_commands(ctx: click.Context) -> None:
    group = ctx.command
    if ctx.invoked_subcommand is None and isinstance(group, click.Group):
        raise CommandError(
            f"`{ctx.command_path}` needs a command: {', '.join(group.list_commands(ctx))}",
            f"See: {ctx.command_path} --help",
        )


def wants_json(flags: Flags | None, args: Sequence[str]) -> bool:
    """Whether an error is printed as JSON, also when the arguments could not be parsed."""
    if flags is not None and (flags.json_output or flags.output_format == "json"):
        return True
    if flags is not None and flags.owns_format:
        return "--json" in args
    before = list(args[: args.index("--")] if "--" in args else args)
    pairs = itertools.pairwise(before)
    return "--json" in before or "--format=json" in before or ("--format", "json") in pairs


def placed(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--workspace` and `--project`."""
    project = click.option(
        "--project",
        metavar="SLUG",
        help="Project; the profile's, else the workspace's only one.",
        shell_complete=project_slugs,
    )
    return in_workspace(project(command))


def in_workspace(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--workspace`."""
    option = click.option(
        "--workspace",
        metavar="SLUG",
        help="Workspace; the profile's, else the key's only one.",
        shell_complete=workspace_slugs,
    )
    return option(command)


def words_of(given: Sequence[str]) -> list[str]:
    """Return the words of a repeatable option that also takes `a,b`."""
    return [word.strip() for item in given for word in item.split(",") if word.strip()]
