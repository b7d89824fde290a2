"""`rundial server`: run a server on this machine and keep its key as the profile `local`.

Its commands (`user`, `key`) talk to a running server, wherever it is: see `rundial.cli.people`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from rundial.cli import people, storage
from rundial.cli.failure import CommandError
from rundial.cli.options import Group
from rundial.cli.output import Output, as_json, write
from rundial.cli.target import output_of
from rundial.errors import ConfigError

if TYPE_CHECKING:
    from rundial.server.doors import Doors
    from rundial.server.serve import Conduct, Ready

WORKSPACE = "default-workspace"
NEEDS = ("starlette", "uvicorn", "sqlalchemy", "argon2", "zstandard", "prometheus_client")


@click.group("server", cls=Group)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--grpc-port",
    type=click.IntRange(0, 65535),
    help="Port for OTLP/gRPC too, usually 4317; 0 takes a free one.  [default: none]",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data directory.  [default: $XDG_DATA_HOME/rundial, else ~/.local/share/rundial]",
)
@click.option(
    "--database",
    envvar="RUNDIAL_DATABASE",
    metavar="URL",
    help="postgresql://user:password@host/name, shared by any number of servers; or $RUNDIAL_DATABASE.  "
    "[default: an SQLite file in the data directory]",
)
@click.option(
    "--events",
    envvar="RUNDIAL_EVENTS",
    metavar="URL",
    help="clickhouse://user:password@host:8123/database to keep points, text lines and spans in; or "
    "$RUNDIAL_EVENTS.  [default: the database]",
)
@click.option(
    "--blobs",
    metavar="URL",
    help="s3://bucket/prefix to keep artifacts in, with boto3's own credentials.  "
    "[default: the data directory]",
)
@click.option(
    "--allowed-host", multiple=True, metavar="NAME", help="Answer to this Host name too; repeatable."
)
@click.option(
    "--crashed-after",
    "silence_s",
    type=click.FloatRange(1, 30 * 86_400),
    default=90,
    show_default=True,
    metavar="SECONDS",
    help="Show a run as crashed when its heartbeats, one every 30 s, have stopped for so long.",
)
@click.option(
    "--ssl-certfile",
    type=click.Path(dir_okay=False, path_type=Path),
    help="PEM file with the certificate chain; the server then speaks HTTPS alone.",
)
@click.option(
    "--ssl-keyfile",
    type=click.Path(dir_okay=False, path_type=Path),
    help="PEM file with the certificate's key, when it is not in the same file.",
)
@click.option(
    "--trusted-proxy",
    multiple=True,
    metavar="ADDRESS",
    help="Believe the X-Forwarded-For and X-Forwarded-Proto of this proxy; repeatable.",
)
@click.option(
    "--rate-limit",
    type=click.IntRange(0),
    default=60_000,
    show_default=True,
    metavar="REQUESTS",
    help="Requests a minute that one key may send, beyond which it is told to wait; 0 sets no bound.",
)
@click.option(
    "--drain",
    "drain_s",
    type=click.FloatRange(0, 3_600),
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="Once told to stop, answer for so long without being ready, for a balancer to look elsewhere.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Log warnings in words, or each request as a JSON object, to stderr.",
)
@click.pass_context
def server(  # noqa: PLR0913 -- one argument an option
    ctx: click.Context,
    /,
    host: str,
    port: int,
    data: Path | None,
    database: str | None,
    events: str | None,
    blobs: str | None,
    silence_s: float,
    **outside: Any,
) -> None:
    """Run a Rundial server until it is told to stop, or manage its data and who may use it.

    Without a command, a server is run. The first start makes an owner key in the data directory and stores
    it as the profile `local`, so that training scripts and the other commands of this account find the
    server by themselves.
    """
    if ctx.invoked_subcommand is not None:
        return
    output = output_of(ctx)
    require("the server", "server", NEEDS)
    from rundial.server.serve import serve

    conduct = _conduct(drain_s=outside.pop("drain_s"), log_format=outside.pop("log_format"))
    doors = _doors(**outside)
    if doors.certificate is None and not is_loopback(host):
        output.note(
            f"listening on {host} without --ssl-certfile: keys and passwords cross the network readable; "
            "give a certificate, or keep a proxy with TLS before this server"
        )

    def on_ready(ready: Ready) -> None:
        key = ready.owner_key()
        if key is not None:
            remember(output, reachable(ready.url), key)
            output.note(f"web UI: {reachable(ready.url)}, sign in with the key in {ready.owner_key_path}")
        found = {"endpoint": ready.url, "serverId": ready.server_id, "dataDir": str(ready.data_dir)}
        if ready.grpc_url is not None:
            found["grpcEndpoint"] = ready.grpc_url
        write_json(output, found | {"keyFile": str(ready.owner_key_path)}, stdout)

    stdout = sys.stdout
    # The server announces itself in words; where JSON is wanted, stdout carries the object alone.
    with redirect_stdout(sys.stderr) if output.is_json else nullcontext():
        place = data or default_data()
        serve(
            host,
            port,
            place,
            doors=doors,
            on_ready=on_ready,
            silence_s=silence_s,
            database=database,
            events=events,
            conduct=conduct,
            blobs=blobs,
        )


def _doors(
    *,
    allowed_host: tuple[str, ...],
    ssl_certfile: Path | None,
    ssl_keyfile: Path | None,
    trusted_proxy: tuple[str, ...],
    rate_limit: int,
    grpc_port: int | None,
) -> Doors:
    from rundial.server.doors import Doors

    return Doors(allowed_host, ssl_certfile, ssl_keyfile, trusted_proxy, rate_limit, grpc_port)


def _conduct(*, drain_s: float, log_format: str) -> Conduct:
    from rundial.server.serve import Conduct

    return Conduct(drain_s, "json" if log_format == "json" else "text")


def is_loopback(host: str) -> bool:
    """Whether an address is one that only this machine reaches."""
    return host.strip("[]").lower() in {"localhost", "::1"} or host.startswith("127.")


def write_json(output: Output, found: Mapping[str, object], stream: TextIO) -> None:
    """Print the object of a server that is ready, where JSON is wanted."""
    if output.is_json:
        write(stream, [as_json({"ok": True, **found})])


def reachable(url: str) -> str:
    """Return the address at which this machine reaches a server that listens on every interface."""
    return url.replace("//0.0.0.0", "//127.0.0.1").replace("//[::]", "//[::1]")


def default_data() -> Path:
    """Return where a server keeps its data when nothing says where."""
    root = os.environ.get("XDG_DATA_HOME", "")
    return (Path(root) if os.path.isabs(root) else Path.home() / ".local" / "share") / "rundial"


def remember(output: Output, url: str, key: str) -> None:
    """Store a server that is ready as the profile `local`.

    A profile that cannot be stored costs the convenience, never the server: it is said, and the
    server goes on.
    """
    from rundial import profiles

    try:
        profiles.store_local(url, key, WORKSPACE)
    except (ConfigError, OSError) as error:
        output.note(f"the profile `local` was not stored: {error}")


def require(what: str, extra: str, modules: tuple[str, ...]) -> None:
    """Raise with the command that installs an extra when it is not there.

    Raises:
        CommandError: One of the modules is missing.
    """
    from importlib.util import find_spec

    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise CommandError(
            f"{what} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed",
            f"Install it: pip install 'rundial[{extra}]'",
        )


for command in storage.COMMANDS:
    server.add_command(command)
server.add_command(people.users)
server.add_command(people.keys)
