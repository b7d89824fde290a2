"""`rundial completion`: what a shell needs to complete commands, options, and names that exist."""

from __future__ import annotations

import sys
from typing import Final

import click

from rundial.cli.options import Command
from rundial.cli.output import write

VARIABLE = "_RUNDIAL_COMPLETE"
_INTO = {
    "bash": 'eval "$(rundial completion bash)"        in ~/.bashrc',
    "zsh": 'eval "$(rundial completion zsh)"         in ~/.zshrc',
    "fish": "rundial completion fish | source       in ~/.config/fish/config.fish",
}
# bash breaks words at colons, which names of versions have (`model:v3`): so the line as it was typed is what
# is completed, and of each answer only what comes after the last colon is put into it.
_BASH: Final = """\
%(complete_func)s() {
    local IFS=$'\\n' line="${COMP_LINE:0:COMP_POINT}" word=-1 before="" type value
    [[ $line == *[[:space:]] ]] && word=9999
    local current="${line##*[[:space:]]}"
    [[ $current == *:* && $COMP_WORDBREAKS == *:* ]] && before="${current%%"${current##*:}"}"
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            plain) COMPREPLY+=("${value#"$before"}") ;;
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
        esac
    done < <(COMP_WORDS="$line" COMP_CWORD=$word %(complete_var)s=bash_complete "$1")
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


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
    script = (_BASH if shell == "bash" else text.source_template) % text.source_vars()
    write(sys.stdout, [f"# {_INTO[shell]}", *script.strip().splitlines()])
