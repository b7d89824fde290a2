"""`rundial redact`: what would leave this machine, after the policy for secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from rundial.cli.failure import CommandError
from rundial.cli.options import Command
from rundial.cli.output import Output, as_json, shown
from rundial.cli.target import output_of


@click.command("redact", cls=Command)
@click.option("--dry-run", is_flag=True, help="Show what would be sent; there is nothing else to do.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A config, JSON or TOML, as it would be sent.",
)
@click.option("--diff", "with_diff", is_flag=True, help="Also what differs from the commit (capture_diff).")
@click.pass_context
def redact(ctx: click.Context, /, *, dry_run: bool, config_file: Path | None, with_diff: bool) -> None:
    """Show the environment of a run started here, and a config, with secrets taken out."""
    from rundial.api.environment import gathered
    from rundial.api.gatherer import Program
    from rundial.signals import redaction
    from rundial.signals.attributes import as_body

    if not dry_run:
        raise CommandError(
            "`rundial redact` changes nothing and sends nothing", "Say so: rundial redact --dry-run"
        )
    found: dict[str, Any] = {"environment": gathered(Program(), with_diff=with_diff)}
    if config_file is not None:
        found["config"] = redaction.redact(as_body(_read(config_file)))
    output = output_of(ctx)
    output.result(found, lambda: _lines(output, found))


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            import tomlkit

            found: object = tomlkit.parse(text).unwrap()
        else:
            found = json.loads(text)
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read: {error}", "Give a JSON or TOML file") from error
    if not isinstance(found, dict):
        raise CommandError(f"{path} holds no mapping", "A config is names and values")
    return found


def _lines(output: Output, found: dict[str, Any]) -> list[str]:
    lines = []
    for part, values in found.items():
        lines.append(output.paint(part, "bold"))
        lines += [f"  {name}  {_value(name, value)}" for name, value in values.items()]
    return lines


def _value(name: str, value: object) -> str:
    if name == "packages" and isinstance(value, dict):
        return f"{len(value)} (all of them with --json)"
    return (
        shown(value) if isinstance(value, (str, int, float)) or value is None else as_json({"": value})[5:-1]
    )
