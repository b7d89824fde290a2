"""`rundial server backup` and `rundial server copy`: what is done with a server's data as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rundial.cli.options import Command
from rundial.cli.output import facts, table
from rundial.cli.progress import counted
from rundial.cli.target import output_of

if TYPE_CHECKING:
    from rundial.server.store.clickhouse.connection import ClickHouse
    from rundial.server.store.engine import Engines

_PLACE = "A data directory, or postgresql://user:password@host/name."


@click.command("backup", cls=Command)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The server's data directory.  [default: as `rundial server`]",
)
@click.pass_context
def backup(ctx: click.Context, /, directory: Path, data: Path | None) -> None:
    """Copy a server's SQLite database into DIR, consistent, while the server runs.

    A server started with `--data DIR` opens the copy as its own. The owner's key file is not copied: the
    keys that opened the server open the copy. For PostgreSQL use pg_dump; for a server with ClickHouse,
    `rundial server copy`.
    """
    from rundial.cli.server import NEEDS, default_data, require

    output = output_of(ctx)
    require("a backup", "server", NEEDS)
    from rundial.server.store.backup import back_up

    with counted(output, "backup", shown="{:,}".format) as on_progress:
        made = back_up(data or default_data(), directory, on_progress=on_progress)
    size = made.stat().st_size
    output.result(
        {"file": str(made), "bytes": size}, lambda: facts([("file", str(made)), ("bytes", f"{size:,}")])
    )


@click.command("copy", cls=Command)
@click.option("--from", "source", required=True, metavar="PLACE", help=_PLACE)
@click.option("--to", "target", required=True, metavar="PLACE", help=f"{_PLACE} It must be empty.")
@click.option("--from-events", metavar="URL", help="The ClickHouse where the source has its points.")
@click.option("--to-events", metavar="URL", help="A ClickHouse to put them in. It must be empty.")
@click.pass_context
def copy(
    ctx: click.Context, /, source: str, target: str, from_events: str | None, to_events: str | None
) -> None:
    """Copy everything from one database to another, and count it there.

    The source is read in one state and stays as it is; what a server writes to it meanwhile is not copied,
    so stop the server first when the copy is to take its place. A copy that is cut off is begun again in an
    empty database; no server opens what it left. `-` takes an URL from $RUNDIAL_DATABASE, or $RUNDIAL_EVENTS.
    """
    from rundial.cli.server import NEEDS, require

    output = output_of(ctx)
    require("a copy", "server", NEEDS)
    from rundial.server.store.transfer import copy_all

    with (
        _opened(source, is_new=False) as reading,
        _opened(target, is_new=True) as writing,
        _opened_events(from_events, is_new=False) as read_events,
        _opened_events(to_events, is_new=True) as written_events,
    ):
        with counted(output, "copy", shown="{:,}".format) as on_progress:
            counts = copy_all(
                reading,
                writing,
                source_events=read_events,
                target_events=written_events,
                on_progress=lambda name, done, total: on_progress(done, total, name),
            )
        where = {"from": reading.where, "to": writing.where}
        if read_events is not None:
            where["fromEvents"] = read_events.where
        if written_events is not None:
            where["toEvents"] = written_events.where
    rows = [[name, f"{count:,}"] for name, count in counts.items() if count]
    output.result({**where, "rows": counts}, lambda: table(["table", "rows"], rows, right=frozenset({1})))


@contextmanager
def _opened_events(url: str | None, *, is_new: bool) -> Iterator[ClickHouse | None]:
    """Open a ClickHouse, where there is one."""
    if url is None:
        yield None
        return
    from rundial.server.store.clickhouse.connection import ClickHouse, address_of

    given = os.environ.get("RUNDIAL_EVENTS", "") if url == "-" else url
    opened = ClickHouse(address_of(given), is_made=is_new)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def _opened(place: str, *, is_new: bool) -> Iterator[Engines]:
    """Open a place; a new directory is kept from servers meanwhile."""
    from rundial.errors import ConfigError
    from rundial.server.serve import claim
    from rundial.server.store.engine import FILE_NAME, open_engines

    release: Callable[[], None] = _nothing
    if place == "-":
        place = os.environ.get("RUNDIAL_DATABASE", "")
    if "://" in place:
        engines = open_engines(Path(), place)
    else:
        directory = Path(place).resolve()
        if is_new:
            descriptor = claim(directory, is_shared=False)

            def release() -> None:
                os.close(descriptor)

        elif not (directory / FILE_NAME).is_file():
            raise ConfigError(f"there is no database in {directory}; name a server's data directory")
        engines = open_engines(directory)
    try:
        yield engines
    finally:
        engines.close()
        release()


def _nothing() -> None:
    return None


COMMANDS = (backup, copy)
