"""`rundial doctor`: whether everything that a run needs works here, and what to type where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from rundial.cli.options import Command
from rundial.cli.output import Output, facts, shown
from rundial.cli.target import session_of


@click.command("doctor", cls=Command)
@click.option("--offline", is_flag=True, help="Leave the server out.")
@click.pass_context
def doctor(ctx: click.Context, /, *, offline: bool) -> int:
    """Check the server, the key, the clock, the spool, the ring and the versions.

    Exit status 1 when something is wrong, 2 when it is the key alone.
    """
    from rundial.cli import checks

    session = session_of(ctx)
    found = checks.local(session) + ([] if offline else checks.remote(session))
    wrong = [each for each in found if not each.is_ok]
    report = {
        "ok": not wrong,
        "endpoint": session.target.endpoint,
        "checks": [each.facts() for each in found],
    }
    session.output.result(report, lambda: _lines(session.output, found))
    if wrong and all(each.name == "auth" for each in wrong):
        return 2
    return 1 if wrong else 0


@click.command("doctor-capabilities", cls=Command)
@click.pass_context
def capabilities(ctx: click.Context, /) -> None:
    """Show what the server says it can do."""
    session = session_of(ctx)
    with session.client() as client:
        found: Mapping[str, Any] = client.get_cli_capabilities()
    session.output.result(
        {"capabilities": found}, lambda: facts((name, shown(value)) for name, value in sorted(found.items()))
    )


def _lines(output: Output, found: list[Any]) -> list[str]:
    width = max(len(each.name) for each in found)
    lines = []
    for each in found:
        word = output.paint("ok  ", "green") if each.is_ok else output.paint("FAIL", "red")
        lines.append(f"{word}  {each.name.ljust(width)}  {shown(each.detail)}")
        if each.next_step:
            lines.append(f"      {' ' * width}  -> {shown(each.next_step)}")
    wrong = sum(not each.is_ok for each in found)
    lines.append("everything is well" if not wrong else f"{wrong} of {len(found)} checks failed")
    return lines
