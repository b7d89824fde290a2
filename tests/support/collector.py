"""A real OTLP/HTTP endpoint that can misbehave on command.

It listens on a free loopback port, decodes what it accepts with `opentelemetry-proto`,
remembers every request and tells waiting tests about each, so that no test sleeps.

    with Collector([503, ("429", {"Retry-After": "2"}), "hang", partial(2)]) as collector:
        ...
        assert collector.wait_for(lambda: len(collector.points) == 3)

One step of the script answers one request; when the script is used up, the rules answer
(see `too_large`, `key_required`, `refused_if`, `redirect`), and what no rule refuses is
stored with 200. Steps: a status (int or str), `(status, headers)` or
`(status, headers, body)`, a rule, or one of

    "hang"           reads the request, never answers
    "trickle"        sends its headers one byte at a time, for ever
    "trickle body"   sends its body one byte at a time, for ever
    "reset"          resets the connection
    "html"           200 with a login page
    "huge"           200 with a protobuf body of 1 MiB
    "lost answer"    stores the request, then resets the connection
    "half answer"    stores the request, then resets the connection in the middle of its answer

`cut_at` resets connections before any of that, in the middle of a request's body.

Threads: one a connection; everything public may be called from any.
"""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.decoded import Log, Point, Span, stored, walk

_POLL_S = 0.02
_TRICKLE_S = 0.02
_RESPONSES: dict[str, tuple[type[Any], type[Any], str]] = {
    "/v1/metrics": (ExportMetricsServiceRequest, ExportMetricsServiceResponse, "rejected_data_points"),
    "/v1/logs": (ExportLogsServiceRequest, ExportLogsServiceResponse, "rejected_log_records"),
    "/v1/traces": (ExportTraceServiceRequest, ExportTraceServiceResponse, "rejected_spans"),
}


@dataclass(frozen=True)
class Request:
    """One request as it came.

    Attributes:
        path: Path and query.
        headers: By lower-case name.
        body: As it was sent.
        connection: Number of the TCP connection it came on, from 1.
        at_s: When it had come, by `time.monotonic`.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    at_s: float = field(default_factory=time.monotonic)

    @property
    def is_gzip(self) -> bool:
        """Whether the body is compressed."""
        return self.headers.get("content-encoding") == "gzip"

    @property
    def plain(self) -> bytes:
        """The body uncompressed."""
        return gzip.decompress(self.body) if self.is_gzip else self.body

    def message(self) -> Any:
        """The body as a protobuf message."""
        return _RESPONSES[self.path.partition("?")[0]][0].FromString(self.plain)

    def records(self) -> list[Any]:
        """The points, log records or spans inside, as protobuf messages."""
        return [record for record, _, _ in walk(self.message())]


@dataclass(frozen=True)
class Partial:
    """A step: store, but claim that some items were refused.

    Attributes:
        rejected: How many are claimed.
        message: The words about it.
        is_refused: Which are not stored; None stores all.
    """

    rejected: int
    message: str = "refused by the script"
    is_refused: Callable[[Any], bool] | None = None


Answer: TypeAlias = "int | str | Partial | tuple[Any, ...]"
Rule: TypeAlias = Callable[[Request], "Answer | None"]
Step: TypeAlias = "Answer | Rule"


def partial(rejected: int, message: str = "refused by the script") -> Partial:
    """Accept, and report so many rejected items."""
    return Partial(rejected, message)


def too_large(above_bytes: int) -> Rule:
    """Answer 413 to plain bodies above a size."""
    return lambda request: 413 if len(request.plain) > above_bytes else None


def key_required(key: str) -> Rule:
    """Answer 401 until requests carry this key."""
    return lambda request: None if request.headers.get("authorization") == f"Bearer {key}" else 401


def refused_if(is_bad: Callable[[Any], bool], status: int = 400) -> Rule:
    """Answer 400 when a record matches."""
    return lambda request: status if any(map(is_bad, request.records())) else None


def partial_if(is_bad: Callable[[Any], bool]) -> Rule:
    """Store all records but those that match, and say how many those are."""

    def refuse(request: Request) -> Answer | None:
        count = sum(map(is_bad, request.records()))
        return Partial(count, is_refused=is_bad) if count else None

    return refuse


def gzip_refused(status: int = 400) -> Rule:
    """Answer 400 to compressed bodies."""
    return lambda request: status if request.is_gzip else None


def redirect(url: str, status: int = 302) -> Rule:
    """Send every request elsewhere."""
    return lambda _: (status, {"Location": url})


@dataclass
class Collector:
    """The endpoint; a context manager.

    Attributes:
        script: Steps that answer one request each; may be extended while it runs.
        rules: What answers when the script is used up.
        port: 0 takes a free one; the one it has while it runs.
        cut_at: Bytes of a body, by path and size, behind which the connection is reset; None reads all.
        tls: What it shows of itself; None speaks plain HTTP.
    """

    script: list[Step] = field(default_factory=list)
    rules: Sequence[Rule] = ()
    port: int = 0
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    connections: int = 0
    cut_at: Callable[[str, int], int | None] = lambda _path, _size: None

    def __post_init__(self) -> None:
        self.script = list(self.script)
        self.changed = threading.Condition()
        self._released = threading.Event()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Base URL, such as `http://127.0.0.1:43210`."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def events(self) -> list[Log]:
        """Stored log records with an event name."""
        return [log for log in self.logs if log.event_name]

    @property
    def lines(self) -> list[Log]:
        """Stored log records without one."""
        return [log for log in self.logs if not log.event_name]

    def __enter__(self) -> Collector:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Collector:
        """Listen; after a `stop`, on the same port again."""
        self._released.clear()
        self._server = _Server(self, self.port)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Cut every connection and stop listening; idempotent. What was stored stays."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        self._released.set()
        server.shutdown()
        server.cut()
        server.server_close()
        self._thread.join()

    def release(self) -> None:
        """Let the requests that hang or trickle go, without an answer."""
        self._released.set()

    def wait_for(self, is_reached: Callable[[], bool], deadline_s: float = 10.0) -> bool:
        """Wait until a condition holds that requests can change; False at the deadline."""
        with self.changed:
            return self.changed.wait_for(is_reached, deadline_s)

    def wait_for_requests(self, count: int, deadline_s: float = 10.0) -> bool:
        """Wait until so many requests have come; False at the deadline."""
        return self.wait_for(lambda: len(self.requests) >= count, deadline_s)

    def answer(self, request: Request) -> Answer:
        """Remember a request and say how it is answered."""
        with self.changed:
            self.requests.append(request)
            step: Step | None = self.script.pop(0) if self.script else None
            self.changed.notify_all()
        rules: Iterable[Rule] = self.rules
        if callable(step):
            rules, step = (step, *rules), None
        if step is not None:
            return step
        return next((answer for rule in rules if (answer := rule(request)) is not None), 200)

    def store(self, request: Request, is_refused: Callable[[Any], bool] | None = None) -> None:
        """Keep what a request holds, less what is refused."""
        records = walk(request.message())
        found = [stored(*record) for record in records if is_refused is None or not is_refused(record[0])]
        with self.changed:
            self.points.extend(record for record in found if isinstance(record, Point))
            self.logs.extend(record for record in found if isinstance(record, Log))
            self.spans.extend(record for record in found if isinstance(record, Span))
            self.changed.notify_all()

    def stay(self, seconds: float | None = None) -> bool:
        """Wait until released, at most so long; True when released."""
        return self._released.wait(seconds)


class _Server(ThreadingHTTPServer):
    # Not daemons: server_close() then waits for them, and no socket outlives a test.
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, collector: Collector, port: int) -> None:
        self.collector = collector
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)
        if collector.tls is not None:
            self.socket = collector.tls.wrap_socket(self.socket, server_side=True)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        with self.collector.changed:
            self.collector.connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        """End the connections that clients keep."""
        for connection in list(self._open):
            _cut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong here; a client that leaves in mid-answer is what many tests are about."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together

    def setup(self) -> None:
        super().setup()
        self.number = self.server.collector.connections

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length", "0"))
        cut_at = self.server.collector.cut_at(self.path, size)
        if cut_at is not None:
            self.rfile.read(cut_at)
            self._reset()
            return
        body = self.rfile.read(size)
        if len(body) < size:
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.path, headers, body, self.number)
        try:
            answer = self.server.collector.answer(request)
        except (DecodeError, KeyError, OSError, EOFError):
            answer = (400, {"Content-Type": "text/plain"}, b"not an OTLP request")
        if isinstance(answer, str) and not answer.isdigit():
            self._misbehave(answer, request)
            return
        if isinstance(answer, Partial):
            self._send(200, {}, self._accept(request, answer))
            return
        given = answer if isinstance(answer, tuple) else (answer,)
        status, extra, body = (*given, *({}, b"")[len(given) - 1 :])
        if int(status) == 200 and not body:
            body = self._accept(request, None)
        self._send(int(status), extra, body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _accept(self, request: Request, refused: Partial | None) -> bytes:
        self.server.collector.store(request, refused.is_refused if refused is not None else None)
        answer = _RESPONSES[request.path.partition("?")[0]]
        response: Message = answer[1]()
        if refused is not None:
            partial_success: Any = response.partial_success  # type: ignore[attr-defined] # of all three
            setattr(partial_success, answer[2], refused.rejected)
            partial_success.error_message = refused.message
        return response.SerializeToString()

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        sent = {"Content-Type": "application/x-protobuf", "Content-Length": str(len(body)), **headers}
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _misbehave(self, how: str, request: Request) -> None:
        collector = self.server.collector
        if how == "html":
            self._send(200, {"Content-Type": "text/html"}, b"<html><body>Log in</body></html>")
            return
        if how == "huge":
            self._send(200, {}, b"\x7a\xff\xff\x3f" + b"x" * (1 << 20))
            return
        self.close_connection = True
        if how == "hang":
            collector.stay()
        elif how in ("trickle", "trickle body"):
            self._trickle(is_body=how == "trickle body")
        elif how in ("reset", "lost answer", "half answer"):
            if how != "reset":
                collector.store(request)
            if how == "half answer":
                self._send(200, {"Content-Length": "100"}, b"\n")
            self._reset()
        else:
            raise ValueError(f"unknown step {how!r}")

    def _reset(self) -> None:
        self.close_connection = True
        # A lingering time of 0 makes close() send a reset instead of an end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _trickle(self, *, is_body: bool) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        if is_body:
            self.wfile.write(b"Content-Type: application/x-protobuf\r\nContent-Length: 1000000\r\n\r\n")
        else:
            self.wfile.write(b"X-Slow: ")
        while not self.server.collector.stay(_TRICKLE_S):
            self.wfile.write(b"x")
            self.wfile.flush()


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was faster
