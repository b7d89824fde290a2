"""`rundial completion`: what a shell needs to complete commands, options, and names that exist."""

from __future__ import annotations

import sys

import click

from rundial.cli.options import Command
from rundial.cli.output import write

VARIABLE = "_RUNDIAL_COMPLETE"
_INTO = {
    "bash": 'eval "$(rundial completion bash)"        in ~/.bashrc',
    "zsh": 'eval "$(rundial completion zsh)"         in ~/.zshrc',
    "fish": "rundial completion fish | source       in ~/.config/fish/config.fish",
}


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(sorted(_INTO)))
@click.pass_context
def completion(ctx: click.Context, /, shell: str) -> None:
    """Print what makes a shell complete commands and names; eval "$(rundial completion bash)"."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"{shell} is not a shell that can be completed in")
    # Only the function is wanted: click's own `source` asks bash for its version first.
    text = made(ctx.find_root().command, {}, "rundial", VARIABLE)
    script = text.source_template % text.source_vars()
    write(sys.stdout, [f"# {_INTO[shell]}", *script.strip().splitlines()])
