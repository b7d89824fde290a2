"""`rundial profile`: the account's named targets."""

from __future__ import annotations

import click

from rundial.cli.config import whole
from rundial.cli.names import profile_names
from rundial.cli.options import Group, flags_of
from rundial.cli.output import shown, table
from rundial.cli.target import output_of

group = Group("profile", help="Name the servers that you use.")


@group.command("ls")
@click.pass_context
def listing(ctx: click.Context, /) -> None:
    """List the profiles; the active one is marked."""
    from rundial import profiles

    known = profiles.load()

    def human() -> list[str]:
        if not known.by_name:
            return ["there are no profiles; make one: rundial init, or rundial profile create NAME"]
        rows = [
            [
                "*" if name == known.active_name else "",
                name,
                shown(each.endpoint),
                shown(each.workspace),
                shown(each.project),
            ]
            for name, each in sorted(known.by_name.items())
        ]
        return table(["", "profile", "endpoint", "workspace", "project"], rows)

    found = whole(known)
    output_of(ctx).result({"activeProfile": found["active_profile"], "profiles": found["profiles"]}, human)


@group.command("create")
@click.argument("name")
@click.option("--activate/--no-activate", default=True, show_default=True, help="Make it the active one.")
@click.pass_context
def create(ctx: click.Context, /, name: str, *, activate: bool) -> None:
    """Make a profile; --endpoint names its server."""
    from rundial import profilechanges, profiles

    profilechanges.create(name, endpoint=flags_of(ctx).endpoint, is_activated=activate)
    found = {"profile": name, "activeProfile": profiles.load().active_name}
    output_of(ctx).result(found, lambda: [f"made profile {name}" + (", the active one" if activate else "")])


@group.command("use")
@click.argument("name", shell_complete=profile_names)
@click.pass_context
def use(ctx: click.Context, /, name: str) -> None:
    """Make a profile the active one."""
    from rundial import profilechanges

    profilechanges.use(name)
    said = f"the active profile is {name}"
    output_of(ctx).result({"message": said, "profile": name}, lambda: [said])


@group.command("delete")
@click.argument("name", shell_complete=profile_names)
@click.pass_context
def delete(ctx: click.Context, /, name: str) -> None:
    """Remove a profile and the secrets that are stored for it."""
    from rundial import profilechanges, profiles

    profilechanges.delete(name)
    known = profiles.load()
    said = f"profile {shown(name)} is gone, with its secrets"
    lines = [said]
    if known.active_name is None and known.by_name:
        # The other one may be another server's, so a person chooses.
        lines.append(
            f"  no profile is active now; choose one: rundial profile use {sorted(known.by_name)[0]}"
        )
    found = {"message": said, "profile": name, "activeProfile": known.active_name}
    output_of(ctx).result(found, lambda: lines)
