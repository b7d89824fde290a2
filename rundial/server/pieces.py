"""A large OTLP request in pieces: decoding then takes what a piece takes, not what the body would. Pure.

Two bytes can spell a message that takes fifty in memory, so sixteen megabytes of them would take half a
gigabyte. Up to `PIECE_BYTES` a body is decoded as it is; a larger one is cut between its records, with
resource and scope repeated around each share, before any of it is parsed.

Source:
    opentelemetry-proto 1.x: request.1 is a resource's group, its 2 a scope's, and its 2 again a record's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from rundial.server.problems import Problem, invalid
from rundial.server.rows import Signal
from rundial.signals.split import split_request
from rundial.signals.wire import BYTES, delimited, fields

PIECE_BYTES: Final = 2**19
# A prompt of a few million letters is one record, and programs that send it cannot make it smaller.
MAX_RECORD_BYTES: Final = 8 * 2**20
MAX_FIELDS: Final = 250_000
# A record larger than a piece is a long text or a large value, and not so many small ones.
MAX_MESSAGES: Final = 50_000
REQUESTS: Final[Mapping[Signal, type[Any]]] = {
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
    "traces": ExportTraceServiceRequest,
}
_GROUP: Final = 1
_INNER: Final = 2


def pieces(signal: Signal, body: bytes, *, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
    """Cut a request into requests of about `piece_bytes`, together the same records in the same order.

    Raises:
        Problem: 413, it has too many parts, or one too large to decode; 400, it is no request.
    """
    if len(body) <= piece_bytes:
        yield body
        return
    try:
        yield from _Cutter(signal, piece_bytes).cut(body)
    except ValueError as error:
        raise invalid(
            f"the body is not an OTLP {signal} request", "send OTLP/HTTP: protobuf or JSON, as its type says"
        ) from error


class _Cutter:
    """Cuts one request; counts what it looks at, so that a hostile one costs no more than a large one."""

    def __init__(self, signal: Signal, piece_bytes: int) -> None:
        self._signal: Signal = signal
        self._piece_bytes = piece_bytes
        self._fields = 0

    def cut(self, body: bytes) -> Iterator[bytes]:
        """Yield the pieces."""
        held: list[bytes] = []
        size = 0
        for group in self._groups(body):
            if size and size + len(group) > self._piece_bytes:
                yield b"".join(held)
                held, size = [], 0
            if len(group) > self._piece_bytes:
                yield from self._halved(group)
            else:
                held.append(group)
                size += len(group)
        if held:
            yield b"".join(held)

    def _groups(self, body: bytes) -> Iterator[bytes]:
        """Yield requests of one resource and one scope each, of no more than a piece unless one record is."""
        for _, is_resource, start, stop in self._fields_of(body, 0, len(body), _GROUP):
            if not is_resource:
                continue
            head, scopes = self._opened(body, start, stop)
            for scope_start, scope_stop in scopes:
                scope_head, records = self._opened(body, scope_start, scope_stop)
                for share in _shares(body, records, self._piece_bytes):
                    yield delimited(_GROUP, head + delimited(_INNER, scope_head + share))

    def _opened(self, body: bytes, start: int, stop: int) -> tuple[bytes, list[tuple[int, int]]]:
        """Split a group into its head, as it stands, and where the messages of its field 2 are."""
        head: list[bytes] = []
        inner: list[tuple[int, int]] = []
        for whole, is_inner, at, end in self._fields_of(body, start, stop, _INNER):
            if is_inner:
                inner.append((at, end))
            else:
                head.append(body[whole:end])
        found = b"".join(head)
        if len(found) > PIECE_BYTES:
            raise Problem(413, f"a resource or scope is larger than {PIECE_BYTES:,} bytes", "send less of it")
        return found, inner

    def _fields_of(
        self, body: bytes, start: int, stop: int, number: int
    ) -> Iterator[tuple[int, bool, int, int]]:
        """Yield (start, whether it is the message of that number, body start, end) of each field."""
        for found, wire_type, whole, at, end in fields(body, start, stop):
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise Problem(
                    413, f"the request has more than {MAX_FIELDS:,} parts", "send it in several requests"
                )
            yield whole, found == number and wire_type == BYTES, at, end

    def _halved(self, request: bytes) -> Iterator[bytes]:
        """Yield a request of one record in parts: a metric's points may be divided, nothing else."""
        waiting = [request]
        while waiting:
            each = waiting.pop()
            halves = None
            if self._signal == "metrics" and len(each) > self._piece_bytes:
                halves = split_request("metrics", each)
            if halves is not None:
                waiting += [halves[1][0], halves[0][0]]
            elif len(each) > MAX_RECORD_BYTES:
                raise Problem(
                    413, f"one record is larger than {MAX_RECORD_BYTES:,} bytes", "make the record smaller"
                )
            else:
                _weigh(self._signal, each)
                yield each


def _shares(body: bytes, records: list[tuple[int, int]], most_bytes: int) -> Iterator[bytes]:
    """Yield records one after the other, a piece of them at a time; at least one."""
    held: list[bytes] = []
    size = 0
    for start, stop in records:
        if size and size + stop - start > most_bytes:
            yield b"".join(held)
            held, size = [], 0
        held.append(delimited(_INNER, body[start:stop]))
        size += len(held[-1])
    if held:
        yield b"".join(held)


def _weigh(signal: Signal, request: bytes) -> None:
    """Refuse what would be too many messages once it is parsed, by what the protocol says is one."""
    waiting = [(REQUESTS[signal].DESCRIPTOR, 0, len(request))]
    messages = 0
    while waiting:
        kind, start, stop = waiting.pop()
        for number, wire_type, _, at, end in fields(request, start, stop):
            field = kind.fields_by_number.get(number)
            if field is not None and field.message_type is not None and wire_type == BYTES:
                messages += 1
                waiting.append((field.message_type, at, end))
                if messages > MAX_MESSAGES:
                    raise Problem(
                        413, f"one record has more than {MAX_MESSAGES:,} values", "make the record smaller"
                    )
