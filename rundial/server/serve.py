"""Starting and stopping the server process.

SIGTERM and SIGINT: no new connections, every request that was accepted is finished and committed, the
writer ends, the process leaves with status 0. kill -9 at any moment loses nothing that was acknowledged.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.types import ASGIApp

from rundial.clock import SystemClock
from rundial.errors import ConfigError
from rundial.server.app import build_app, open_services
from rundial.server.blobs.opening import BlobOptions
from rundial.server.doors import Doors
from rundial.server.livestreams import Streams
from rundial.server.logs import LogFormat, set_up
from rundial.server.owner import KEY_FILE
from rundial.server.ownotel import open_otel
from rundial.server.pace import Pace
from rundial.server.patience import HEAD_TIMEOUT_S, patient
from rundial.server.runlife import DEFAULT_SILENCE_S
from rundial.server.security import host_name
from rundial.server.services import Services
from rundial.server.store.engine import is_shared

if TYPE_CHECKING:
    from rundial.server.grpcdoor import GrpcDoor

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8787
_GRACE_S: Final = 20
_KEEP_ALIVE_S: Final = 75
_BACKLOG: Final = 512
# SQLite's driver gives up the interpreter's lock at each statement; at the usual 5 ms the writer would
# wait that long to get it back whenever another thread decodes.
_SWITCH_INTERVAL_S: Final = 0.0005


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a server logs and leaves.

    Attributes:
        drain_s: How long to go on answering, but no longer ready, once told to stop, seconds: a balancer
            needs it to look elsewhere. A second signal stops at once.
        log_format: What is written to stderr: warnings in words, or every request as JSON.
    """

    drain_s: float = 0.0
    log_format: LogFormat = "text"


@dataclass(frozen=True, slots=True)
class Ready:
    """What a started server tells whoever started it.

    Attributes:
        url: Where it answers, without a trailing slash.
        server_id: Which server it is, whatever its URL.
        owner_key_path: File with the owner's API key (mode 0600).
        data_dir: Where everything is kept.
        grpc_url: Where it takes OTLP/gRPC, None where it does not.
    """

    url: str
    server_id: str
    owner_key_path: Path
    data_dir: Path
    grpc_url: str | None = None

    def owner_key(self) -> str | None:
        """The owner's key, None when its file was moved away."""
        try:
            return self.owner_key_path.read_text("utf-8").strip() or None
        except FileNotFoundError:
            return None


def serve(  # noqa: PLR0913 -- one argument an option of the command
    host: str,
    port: int,
    data_dir: str | os.PathLike[str],
    *,
    doors: Doors | None = None,
    on_ready: Callable[[Ready], None] | None = None,
    silence_s: float = DEFAULT_SILENCE_S,
    database: str | None = None,
    events: str | None = None,
    conduct: Conduct | None = None,
    blobs: str | None = None,
) -> None:
    """Run the server until it is told to stop.

    When it takes requests, `on_ready` is called, and then
    `Rundial is listening on http://HOST:PORT` (or https) is written to stdout; before it, where there is a
    gRPC port, `Rundial takes OTLP/gRPC on http://HOST:PORT`.

    Args:
        host: Address to bind; only loopback is reachable from this machine alone.
        port: Port to bind; 0 takes a free one.
        data_dir: Made with mode 0700 when it is missing.
        doors: Names, certificate, rate and gRPC port; the usual ones when None.
        on_ready: Called on the event loop's thread once requests are taken.
        silence_s: How long a run that sent heartbeats may be silent before it has crashed, seconds.
        database: As `open_engines`; on PostgreSQL any number of servers share one, and may share a
            data directory.
        events: As `open_services`.
        conduct: How to log and to leave.
        blobs: `s3://bucket/prefix` to keep artifacts in; None is the data directory.

    Raises:
        ConfigError: The address is taken, or the directory, the database or the certificate cannot be used.
    """
    doors = doors or Doors()
    tls = doors.tls()
    conduct = conduct or Conduct()
    need_grpc(host, doors)
    set_up(conduct.log_format)
    directory = Path(data_dir).resolve()
    lock = claim(directory, is_shared=is_shared(directory, database))
    try:
        listener = listen(host, port)
        with listener:
            otel = open_otel(frozenset({listener.getsockname()[1]}))
            services = open_services(
                directory,
                SystemClock(),
                silence_s=silence_s,
                database=database,
                events=events,
                blob_options=BlobOptions(url=blobs),
                otel=otel,
            )
            url = _url(doors.scheme, host, listener)
            ready = Ready(url, services.server_id, directory / KEY_FILE, directory)
            pace = Pace(doors.requests_per_minute, services.clock)
            config = config_of(build_app(services, doors, host=host, pace=pace), doors, tls)
            sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_INTERVAL_S))
            # What the modules hold stays until the end; each look through it costs requests 25 ms.
            gc.collect()
            gc.freeze()
            # An answer of thousands of objects is no garbage: fewer looks, each at what is young.
            gc.set_threshold(10_000, 20, 20)
            drain = _Drain(services.draining, conduct.drain_s)
            door = _grpc_door(services, pace, doors, host)
            _run(_Announcing(config, services.streams, ready, on_ready, drain, door), listener)
    finally:
        os.close(lock)


def config_of(
    app: ASGIApp,
    doors: Doors | None = None,
    tls: ssl.SSLContext | None = None,
    *,
    head_timeout_s: float = HEAD_TIMEOUT_S,
) -> uvicorn.Config:
    """How uvicorn serves the application; a request's head may take `head_timeout_s` seconds to come."""
    proxies = list(doors.trusted_proxies) if doors is not None else []
    config = uvicorn.Config(
        app,
        http=patient(head_timeout_s),
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        ws="none",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
        # Otherwise anyone on loopback could name another address in a header and be counted as that.
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
    )
    config.load()
    # uvicorn's own context would take old ciphers; ours was read and checked before the start.
    config.ssl = tls
    return config


def need_grpc(host: str, doors: Doors) -> None:
    """Check that gRPC can be spoken where it is wanted.

    Raises:
        ConfigError: The library is not there, or the port is taken.
    """
    if doors.grpc_port is None:
        return
    try:
        import grpc  # noqa: F401 -- only whether it is there
    except ImportError as error:
        raise ConfigError(
            "--grpc-port needs grpcio, which is not installed; pip install 'rundial[grpc]'"
        ) from error
    if doors.grpc_port:
        # gRPC's own failure comes late and says little.
        listen(host, doors.grpc_port).close()


def _grpc_door(services: Services, pace: Pace, doors: Doors, host: str) -> GrpcDoor | None:
    if doors.grpc_port is None:
        return None
    from rundial.server.grpcdoor import GrpcDoor

    return GrpcDoor(services, pace, doors, host=host)


@dataclass(frozen=True, slots=True)
class _Drain:
    """How a server leaves: the event that says so, and how long it still answers then, seconds."""

    has_begun: threading.Event
    drain_s: float


class Leaving(uvicorn.Server):
    """uvicorn's server with a second door for gRPC; leaves by both before it closes the store.

    Args:
        config: As uvicorn's.
        streams: Those of the application's services; they end before the requests that are open are awaited.
        grpc_door: Opened with the server, where there is one.

    Attributes:
        grpc_url: Where it takes OTLP/gRPC, once started; None where it does not.
    """

    def __init__(self, config: uvicorn.Config, streams: Streams, grpc_door: GrpcDoor | None = None) -> None:
        super().__init__(config)
        self._streams = streams
        self._grpc_door = grpc_door
        self.grpc_url: str | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start."""
        await super().startup(sockets)
        if self._grpc_door is not None and not self.should_exit:
            self.grpc_url = await self._grpc_door.open()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Leave."""
        self._streams.close()
        if self._grpc_door is not None:
            clock = asyncio.get_running_loop().time
            grace_s, began_s = self.config.timeout_graceful_shutdown or _GRACE_S, clock()
            # Calls that are running are answered first: with HTTP's end the store is closed.
            await self._grpc_door.close(grace_s)
            # Both doors together have one time of grace; requests were answered meanwhile.
            self.config.timeout_graceful_shutdown = max(1, round(grace_s - clock() + began_s))
        await super().shutdown(sockets)


class _Announcing(Leaving):
    """A server that says once that it is ready, and drains before it leaves."""

    def __init__(
        self,
        config: uvicorn.Config,
        streams: Streams,
        ready: Ready,
        on_ready: Callable[[Ready], None] | None,
        drain: _Drain,
        grpc_door: GrpcDoor | None = None,
    ) -> None:
        super().__init__(config, streams, grpc_door)
        self._ready = ready
        self._on_ready = on_ready
        self._drain = drain
        self._loop: asyncio.AbstractEventLoop | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to leave at the first signal, and go at once at a further one, as at SIGKILL.

        What was answered is committed, and survives that. While the server drains, the second ends only that.
        """
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        is_first = not self._drain.has_begun.is_set()
        self._drain.has_begun.set()
        if is_first and self._loop is not None and self._drain.drain_s > 0:
            # From a signal's handler, on the loop's own thread, and the loop may be asleep.
            self._loop.call_soon_threadsafe(
                self._loop.call_later, self._drain.drain_s, super().handle_exit, sig, frame
            )
        else:
            super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then announce."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.should_exit:
            return
        if self.grpc_url is not None:
            self._ready = replace(self._ready, grpc_url=self.grpc_url)
            sys.stdout.write(f"Rundial takes OTLP/gRPC on {self.grpc_url}\n")
        if self._on_ready is not None:
            self._on_ready(self._ready)
        sys.stdout.write(f"Rundial is listening on {self._ready.url}\n")
        sys.stdout.flush()


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    if threading.current_thread() is threading.main_thread():
        # uvicorn raises the signal again once it is done; with these in place that ends in a plain return.
        previous = {each: signal.signal(each, lambda *_: None) for each in (signal.SIGTERM, signal.SIGINT)}
    else:
        previous = {}
    try:
        asyncio.run(server.serve(sockets=[listener]))
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)


def claim(directory: Path, *, is_shared: bool) -> int:
    """Make the directory and lock it, against other processes unless the database lets them in.

    The lock goes with the process, however that ends, or with the descriptor that is returned.

    Raises:
        ConfigError: Another process has it, or the directory cannot be used.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"the data directory {directory} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ConfigError(
            f"another server is using {directory}; stop it, or give this one its own directory with --data"
        ) from error
    return descriptor


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket.

    Raises:
        ConfigError: The address is taken or is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # The protocol is named: asyncio turns Nagle's algorithm off only where it reads TCP there, and
        # with it on each answer waits 40 ms for the client's acknowledgement.
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another port (0 takes a free one)"
        ) from error
    return listener


def _url(scheme: str, host: str, listener: socket.socket) -> str:
    name = host_name(host)
    shown = f"[{name}]" if ":" in name else name
    return f"{scheme}://{shown}:{listener.getsockname()[1]}"
