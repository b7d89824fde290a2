"""What bash, zsh and fish themselves make of Tab, against a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from rundial.cli.main import main
from tests.support.account import Account
from tests.support.shells import STARTED, Shell

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

# What is the name of something that exists, by the parameter's own name or by what stands for its value.
NAMED = re.compile(
    r"run_ids?|workspace|project|profile|artifacts?|trace_id|agent|eval_run|\w+_eval_run_id|RUN_ID|SLUG|AGENT"
)
# `profile create NAME` and `workspace create NAME` make something new.
NEW = {"profile create name", "workspace create name"}


@pytest.mark.parametrize("shell", STARTED)
def test_tab_completes_commands_and_whatever_has_a_name(account: Account, shell: str, tmp_path: Path) -> None:
    """In the shell itself: the word is completed as a person sees it."""
    weights = tmp_path / "weights"
    weights.write_text("1")
    assert account.rundial("artifact", "put", str(weights), "--project", "digits").status == 0
    run = account.run_id
    spans = account.rundial("traces", "tail", run, "--project", "digits", "--json").found["spans"]
    trace = spans[0]["traceId"]

    with Shell(shell, environment={"XDG_CONFIG_HOME": str(account.config)}, place=tmp_path) as typing:
        for typed, becomes in (
            ("metrics pl", "metrics plot "),
            (f"run status {run[:12]}", f"run status {run} "),
            (f"artifact ls --run {run[:12]}", f"artifact ls --run {run} "),
            (f"traces show {run} --trace {trace[:5]}", f"traces show {run} --trace {trace} "),
            ("artifact show weig", "artifact show weights "),
            ("artifact get weights:lat", "artifact get weights:latest "),
            ("run list --project dig", "run list --project digits "),
            ("server user ls --workspace def", "server user ls --workspace default-workspace "),
            ("target ls --profile lo", "target ls --profile local "),
            ("config set project dig", "config set project digits "),
        ):
            typing.completed(f"rundial {typed}", f"rundial {becomes}")


def test_completion_offers_commands_and_names(account: Account) -> None:
    """Tab completes what exists: commands, runs, projects, profiles."""

    def offered(*words: str) -> list[str]:
        typed = {"COMP_WORDS": " ".join(("rundial", *words)), "COMP_CWORD": str(len(words))}
        done = account.rundial(_RUNDIAL_COMPLETE="bash_complete", **typed)
        return [line.partition(",")[2] for line in done.stdout.splitlines() if line]

    assert "list" in offered("run", "l")
    assert account.run_id in offered("run", "status", "run_")
    assert offered("evals", "show", "nothing@") == []
    assert "digits" in offered("run", "list", "--project", "dig")
    assert offered("run", "list", "--profile", "lo") == ["local"]
    assert "--project" in offered("run", "list", "--pro")


def test_every_name_that_exists_is_offered() -> None:
    """A new command's run, project or artifact is completed like those of the others."""

    def parameters(command: click.Command, path: str) -> Iterator[tuple[str, click.Parameter]]:
        yield from ((f"{path} {each.name}".strip(), each) for each in command.params)
        if isinstance(command, click.Group):
            for name, child in command.commands.items():
                yield from parameters(child, f"{path} {name}".strip())

    offered = {
        path: param._custom_shell_complete is not None
        for path, param in parameters(main, "")
        if {param.name, param.metavar} & {*filter(NAMED.fullmatch, (param.name or "", param.metavar or ""))}
    }

    assert len(offered) > 100
    assert {path for path, is_offered in offered.items() if not is_offered} - NEW == set()
