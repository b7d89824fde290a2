"""OTLP/gRPC: the three Export calls, into the same rows by the same rules as OTLP/HTTP.

A call is let in by its metadata alone: nobody's message is read before its key was. Messages are unpacked
here and not by gRPC, so that the bounds on a body, packed and unpacked, are those of HTTP.

A refusal is one of gRPC's codes, with the hint in its details. What may be sent again carries a RetryInfo;
what does not, may not.

Source:
    OTLP 1.x, "OTLP/gRPC Failures" and "OTLP/gRPC Throttling".

Tasks: all of it on the server's event loop; gRPC's own threads move bytes alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from starlette.datastructures import Headers

from rundial.errors import ConfigError
from rundial.server.authentication import authenticate
from rundial.server.bodies import unpack
from rundial.server.doors import Doors
from rundial.server.ingest import answer, decode
from rundial.server.keys import Principal
from rundial.server.pace import Pace
from rundial.server.problems import Problem
from rundial.server.rows import Decoded, Refusals, Signal
from rundial.server.security import host_name
from rundial.server.services import Services, need_scope
from rundial.server.taking import SCOPES, need_room, take
from rundial.server.turns import Turn, Turns

_log: Final = logging.getLogger("rundial.server")

DEFAULT_PORT: Final = 4317
CALLS: Final[dict[Signal, str]] = {
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
}
_CODES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    410: "FAILED_PRECONDITION",
    # As a message that gRPC itself finds too large; without a RetryInfo it is not to be sent again.
    413: "RESOURCE_EXHAUSTED",
    415: "UNIMPLEMENTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    507: "RESOURCE_EXHAUSTED",
}
_GZIP: Final = b"\x1f\x8b"
# A request begins with the tag of its first field, so these can begin a packed one alone.
_ZLIB: Final = b"\x78"


class GrpcDoor:
    """The listening gRPC server.

    Args:
        services: What the calls work with.
        pace: Counts the requests of each key, those of HTTP too.
        doors: The certificate, and the port; 0 takes a free one.
        host: The name or address to bind.
    """

    def __init__(self, services: Services, pace: Pace, doors: Doors, *, host: str) -> None:
        self._services = services
        self._pace = pace
        self._doors = doors
        self._host = host_name(host)
        self._server: Any = None
        # Who may send a message now; the others wait, and gRPC holds 64 KiB of each at most.
        self._turns = Turns()

    async def open(self) -> str:
        """Listen, and return the URL that an exporter is given.

        Raises:
            ConfigError: The address cannot be used.
        """
        import grpc

        options = [
            ("grpc.max_receive_message_length", self._services.bodies.max_wire_bytes),
            ("grpc.per_message_decompression", 0),
            # Otherwise a second server on the port would share it without a word.
            ("grpc.so_reuseport", 0),
        ]
        self._server = grpc.aio.server(options=options)
        for signal, name in CALLS.items():
            method: Any = grpc.stream_unary_rpc_method_handler(partial(self._export, signal))
            handler = grpc.method_handlers_generic_handler(name, {"Export": method})
            self._server.add_generic_rpc_handlers((handler,))
        shown = f"[{self._host}]" if ":" in self._host else self._host
        try:
            port = self._bind(f"{shown}:{self._doors.grpc_port}")
        except RuntimeError as error:
            raise ConfigError(
                f"cannot listen for gRPC on {shown}:{self._doors.grpc_port}; "
                "choose another --grpc-port (0 takes a free one)"
            ) from error
        await self._server.start()
        return f"{self._doors.scheme}://{shown}:{port}"

    async def close(self, grace_s: float) -> None:
        """Take no further call and finish those that are running; after `grace_s` seconds end them."""
        if self._server is not None:
            await self._server.stop(grace_s)

    def _bind(self, address: str) -> int:
        import grpc

        certificate = self._doors.certificate
        if certificate is None:
            return int(self._server.add_insecure_port(address))
        # Both were read, and found to belong together, before the start.
        key = (self._doors.private_key or certificate).read_bytes()
        credentials = grpc.ssl_server_credentials([(key, certificate.read_bytes())])
        return int(self._server.add_secure_port(address, credentials))

    async def _export(self, signal: Signal, messages: object, context: Any) -> bytes:
        """Answer a call; the stream of messages is unused, for it is read when the call has been let in."""
        started_s = time.monotonic()
        status = 500
        try:
            refusals = await self._taken(signal, context)
            status = 200
        except Problem as problem:
            status = problem.status
            await _refuse(context, problem)
            raise  # not reached: a refusal ends the call
        except asyncio.CancelledError:
            status = 499
            raise
        except Exception as error:
            _log.error("gRPC export of %s failed", signal, exc_info=error)
            failure = Problem(500, "the server failed", "see the server's log", retry_after_s=5)
            await _refuse(context, failure)
            raise  # not reached: a refusal ends the call
        finally:
            route = f"/{CALLS[signal]}/Export"
            telemetry = self._services.telemetry
            telemetry.count_request("POST", route, status, time.monotonic() - started_s)
        return bytes(answer(signal, refusals).SerializeToString())

    async def _taken(self, signal: Signal, context: Any) -> Refusals:
        services = self._services
        shown = [value for key, value in context.invocation_metadata() or () if key == "authorization"]
        headers = Headers(raw=[(b"authorization", str(value).encode()) for value in shown])
        principal = await authenticate(services, headers)
        self._pace.take(principal)
        principal = need_scope(principal, *SCOPES[signal])
        need_room(services)
        body = await self._read(context, principal)
        return await take(services, principal, signal, _decoding(signal, body))

    async def _read(self, context: Any, principal: Principal) -> bytes:
        timeout_s = self._services.bodies.timeout_s
        async with self._turns.one(principal.key_id) as turn:
            reading = asyncio.ensure_future(context.read())
            try:
                await asyncio.wait(
                    (reading, turn.given_up), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
                )
                if not reading.done():
                    raise _too_slow(turn, timeout_s)
                message = reading.result()
            finally:
                reading.cancel()
        if not isinstance(message, bytes):
            raise Problem(400, "the call ended before its message", "send one message in a call")
        return message


def _too_slow(turn: Turn, timeout_s: float) -> Problem:
    if turn.given_up.done():
        return Problem(408, "the message took too long while others waited", retry_after_s=1)
    return Problem(408, f"the message took longer than {timeout_s:.0f} s")


def _decoding(signal: Signal, message: bytes) -> Callable[[], Decoded]:
    encoding = "gzip" if message.startswith(_GZIP) else "deflate" if message.startswith(_ZLIB) else ""
    return lambda: decode(signal, unpack(message, encoding))


async def _refuse(context: Any, problem: Problem) -> None:
    """End a call with a problem; always raises."""
    import grpc

    code = getattr(grpc.StatusCode, _CODES.get(problem.status, "INTERNAL"))  # one of our own names
    details = f"{problem.message}. {problem.hint}" if problem.hint else problem.message
    await context.abort(code, details, _retry_info(code, details, problem.retry_after_s))


def _retry_info(code: Any, details: str, retry_after_s: int | None) -> tuple[tuple[str, bytes], ...]:
    """When to come back, as gRPC's richer errors say it, and as OpenTelemetry's exporter reads it."""
    if retry_after_s is None:
        return ()
    from google.protobuf.any_pb2 import Any as AnyMessage
    from google.protobuf.duration_pb2 import Duration
    from google.rpc.error_details_pb2 import RetryInfo
    from google.rpc.status_pb2 import Status

    info = RetryInfo(retry_delay=Duration(seconds=retry_after_s))
    packed = AnyMessage()
    packed.Pack(info)
    status = Status(code=code.value[0], message=details, details=[packed])
    return (
        ("grpc-status-details-bin", status.SerializeToString()),
        ("google.rpc.retryinfo-bin", info.SerializeToString()),
    )
