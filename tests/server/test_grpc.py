"""OTLP over gRPC: the same rows, rights and bounds as over HTTP, each refusal with its own code."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from rundial.server.bodies import MAX_PLAIN_BYTES, BodyReader
from rundial.server.doors import Doors
from rundial.server.grpcdoor import CALLS
from rundial.server.keys import METRICS_WRITE, TRACES_WRITE
from rundial.server.rows import Signal
from tests.server.test_otlp_json import bodies
from tests.support import otlp
from tests.support.clock import ManualClock
from tests.support.server import LocalServer, fresh_id
from tests.support.waiting import wait_until

TIMEOUT_S = 15.0


@pytest.fixture
def door(tmp_path: Path, clock: ManualClock) -> Iterator[LocalServer]:
    """A server with a gRPC port."""
    with LocalServer(tmp_path / "data", clock, grpc_port=0) as server:
        yield server


def export(
    server: LocalServer,
    signal: Signal,
    body: bytes,
    *,
    key: str | None = None,
    compression: grpc.Compression = grpc.Compression.NoCompression,
) -> bytes:
    """Make one Export call with a request's bytes; returns the answer's."""
    chosen = server.key if key is None else key
    metadata = (("authorization", f"Bearer {chosen}"),) if chosen else ()
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(server.grpc_address, options=options) as channel:
        call = channel.unary_unary(f"/{CALLS[signal]}/Export")
        answer = call(body, metadata=metadata, timeout=TIMEOUT_S, compression=compression)
    assert isinstance(answer, bytes)
    return answer


def refused(server: LocalServer, signal: Signal, body: bytes, **how: object) -> grpc.RpcError:
    """Make a call that must fail."""
    with pytest.raises(grpc.RpcError) as caught:
        export(server, signal, body, **how)  # type: ignore[arg-type]  # passed on as they are
    return caught.value


def retry_after_s(error: grpc.RpcError) -> tuple[int, int] | None:
    """When a refusal says to come back, in both of its forms; None when it does not."""
    found = dict(error.trailing_metadata())
    if "grpc-status-details-bin" not in found:
        return None
    status = Status.FromString(found["grpc-status-details-bin"])
    assert status.code == error.code().value[0]
    (packed,) = status.details
    info = RetryInfo()
    assert packed.Unpack(info)
    return info.retry_delay.seconds, RetryInfo.FromString(
        found["google.rpc.retryinfo-bin"]
    ).retry_delay.seconds


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_every_signal_is_stored_once_over_both_doors(
    door: LocalServer, compression: grpc.Compression
) -> None:
    """A Collector may be switched from HTTP to gRPC in mid-run."""
    run = fresh_id()
    for signal, body in bodies(run).items():
        assert door.export(signal, body).status == 200
        assert export(door, signal, body, compression=compression) == b""

    assert door.details(run)["counts"] == {"points": 3, "lines": 1, "spans": 2}
    assert b'route="/opentelemetry.proto.collector.trace.v1.TraceService/Export"' in door.get("/metrics").body


def test_what_is_refused_of_a_request_is_a_partial_success(door: LocalServer) -> None:
    """The rest of it is kept."""
    run = fresh_id()
    bad = otlp.span(2, "b")
    bad.trace_id = b"short"

    answer = export(door, "traces", otlp.spans(otlp.resource(run), [otlp.span(1, "a"), bad]))

    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    assert (partial.rejected_spans, "trace id" in partial.error_message) == (1, True)
    assert [each["name"] for each in door.spans(run)] == ["a"]


def test_who_may_not_is_told_so_by_code(door: LocalServer) -> None:
    """No key, a wrong one, one that lacks the scope, and one of another project."""
    body = otlp.spans(otlp.resource(fresh_id()), [otlp.span(1, "a")])
    points_alone = door.make_key({METRICS_WRITE})
    door.project_id("other")
    elsewhere = door.make_key({TRACES_WRITE}, project_id=1)

    found = [refused(door, "traces", body, key=key) for key in ("", "rdk_a_b", points_alone, elsewhere)]

    assert [each.code() for each in found] == [
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.PERMISSION_DENIED,
    ]
    assert "owner.key" in str(found[0].details())
    assert [retry_after_s(each) for each in found] == [None] * 4
    projects = door.get("/api/v1/workspaces/default-workspace/projects").json["projects"]
    assert [each["projectSlug"] for each in projects] == ["other"]


def test_a_session_in_a_cookie_opens_nothing(door: LocalServer) -> None:
    """Programs have keys; a cookie is a browser's."""
    with grpc.insecure_channel(door.grpc_address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{CALLS['traces']}/Export")(
            b"", metadata=(("cookie", "rd_session=rds_a_b"),), timeout=TIMEOUT_S
        )

    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_key_that_sends_too_often_is_told_when_to_come_back(tmp_path: Path, clock: ManualClock) -> None:
    """One count for both doors, and the wait is the one that HTTP names."""
    body = otlp.spans(otlp.resource(fresh_id()), [otlp.span(1, "a")])
    doors = Doors(requests_per_minute=12)
    with LocalServer(tmp_path / "data", clock, doors=doors, grpc_port=0) as server:
        assert server.export("traces", body).status == 200
        export(server, "traces", body)
        error = refused(server, "traces", body)
        http = server.export("traces", body)

    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert http.status == 429
    wait_s = int(http.headers["retry-after"])
    assert retry_after_s(error) == (wait_s, wait_s)


def test_a_server_that_cannot_write_is_unavailable_for_a_moment(door: LocalServer) -> None:
    """The same request may be sent again."""
    door.services.writer.close()

    error = refused(door, "traces", otlp.spans(otlp.resource(fresh_id()), [otlp.span(1, "a")]))

    assert (error.code(), retry_after_s(error)) == (grpc.StatusCode.UNAVAILABLE, (1, 1))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\x0a\xff", grpc.StatusCode.INVALID_ARGUMENT),
        (b"junk", grpc.StatusCode.INVALID_ARGUMENT),
        (gzip.compress(b"x" * 1000)[:-9], grpc.StatusCode.INVALID_ARGUMENT),
        (zlib.compress(b"x" * 1000)[:-9], grpc.StatusCode.INVALID_ARGUMENT),
        (gzip.compress(bytes(MAX_PLAIN_BYTES + 1)), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
    ids=["torn", "junk", "torn gzip", "torn deflate", "bomb"],
)
def test_what_is_no_request_is_refused_in_words(
    door: LocalServer, body: bytes, code: grpc.StatusCode
) -> None:
    """And not to be sent again as it is."""
    error = refused(door, "metrics", body)

    assert (error.code(), retry_after_s(error), bool(error.details())) == (code, None, True)


def test_a_bomb_in_grpcs_own_compression_is_not_unpacked(door: LocalServer) -> None:
    """The bound on what a message unpacks to is that of HTTP."""
    error = refused(door, "metrics", bytes(MAX_PLAIN_BYTES + 1), compression=grpc.Compression.Gzip)

    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert f"{MAX_PLAIN_BYTES:,}" in str(error.details())


def test_a_message_over_the_limit_is_refused_before_it_is_read(tmp_path: Path, clock: ManualClock) -> None:
    """By the length that it announces."""
    bodies = BodyReader(max_wire_bytes=1000)
    with LocalServer(tmp_path / "small", clock, bodies=bodies, grpc_port=0) as small:
        error = refused(small, "metrics", bytes(1001))

    assert (error.code(), retry_after_s(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, None)


def test_a_call_without_a_message_is_refused(door: LocalServer) -> None:
    """A client that ends its side at once has sent nothing."""
    metadata = (("authorization", f"Bearer {door.key}"),)
    with grpc.insecure_channel(door.grpc_address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.stream_unary(f"/{CALLS['logs']}/Export")(iter(()), metadata=metadata, timeout=TIMEOUT_S)

    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_other_calls_are_not_there(door: LocalServer) -> None:
    """The door has three."""
    with grpc.insecure_channel(door.grpc_address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{CALLS['logs']}/Delete")(b"", timeout=TIMEOUT_S)

    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_slow_message_ends_and_keeps_nobody_out(tmp_path: Path, clock: ManualClock) -> None:
    """Clients that begin a call and send nothing hold a place for a bounded time; others wait for it."""
    is_over = threading.Event()

    def silence() -> Iterator[bytes]:
        is_over.wait(TIMEOUT_S)
        yield from ()

    reader = BodyReader(timeout_s=0.2)
    body = otlp.spans(otlp.resource("run"), [otlp.span(1, "a")])
    with LocalServer(tmp_path / "data", clock, bodies=reader, grpc_port=0) as server:
        metadata = (("authorization", f"Bearer {server.key}"),)
        with grpc.insecure_channel(server.grpc_address) as channel:
            call = channel.stream_unary(f"/{CALLS['logs']}/Export")
            stuck = [call.future(silence(), metadata=metadata, timeout=TIMEOUT_S) for _ in range(20)]
            assert export(server, "traces", body) == b""
            assert {each.code() for each in stuck} == {grpc.StatusCode.DEADLINE_EXCEEDED}
            assert "took longer" in str(stuck[0].details())
            is_over.set()


@pytest.mark.timeout(60)  # others wait for seconds
def test_calls_that_say_nothing_keep_nobody_out(door: LocalServer) -> None:
    """Another key is let in at once, and another call of the same key in seconds."""
    is_over = threading.Event()

    def silence() -> Iterator[bytes]:
        is_over.wait(50)
        yield from ()

    body = otlp.spans(otlp.resource("run"), [otlp.span(1, "a")])
    other = door.make_key([TRACES_WRITE])
    metadata = (("authorization", f"Bearer {door.key}"),)
    with grpc.insecure_channel(door.grpc_address) as channel:
        call = channel.stream_unary(f"/{CALLS['logs']}/Export")
        stuck = [call.future(silence(), metadata=metadata, timeout=50) for _ in range(20)]
        assert export(door, "traces", body, key=other) == b""
        assert not any(each.done() for each in stuck)
        assert export(door, "traces", body) == b""
        ended = next(each for each in stuck if each.done())
        is_over.set()

    assert ended.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert ended.details() == "the message took too long while others waited"


def test_calls_and_requests_that_hang_are_waited_for_once(tmp_path: Path, clock: ManualClock) -> None:
    """A server leaves within its time of grace, by whichever doors its clients hang."""
    is_over = threading.Event()

    def silence() -> Iterator[bytes]:
        is_over.wait(TIMEOUT_S)
        yield from ()

    with LocalServer(tmp_path / "data", clock, grpc_port=0, grace_s=4) as server:
        metadata = (("authorization", f"Bearer {server.key}"),)
        host, port = server.url.removeprefix("http://").split(":")
        head = f"POST /v1/logs HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {server.key}\r\n"
        with (
            grpc.insecure_channel(server.grpc_address) as channel,
            socket.create_connection((host, int(port))) as hanging,
        ):
            hanging.sendall(
                f"{head}content-type: application/x-protobuf\r\ncontent-length: 9\r\n\r\n1".encode()
            )
            call = channel.stream_unary(f"/{CALLS['logs']}/Export").future(silence(), metadata=metadata)
            wait_until(lambda: server.services.bodies.held_bytes == 1, TIMEOUT_S)

            started_s = monotonic()
            server.stop()

            assert 3 < monotonic() - started_s < 7.5
            is_over.set()
            call.cancel()


def test_a_server_that_leaves_answers_the_calls_that_it_has(door: LocalServer) -> None:
    """Whoever was let in before the end is told what became of it."""
    may_write = threading.Event()
    door.services.writer.submit(lambda _connection: may_write.wait(TIMEOUT_S))
    body = otlp.spans(otlp.resource("run"), [otlp.span(1, "a")])
    with ThreadPoolExecutor() as pool:
        under_way = pool.submit(export, door, "traces", body)
        wait_until(lambda: door.services.writer.waiting_weight > 0, TIMEOUT_S)
        leaving = pool.submit(door.stop)
        wait_until(lambda: door.services.streams.is_closed, TIMEOUT_S)
        assert not under_way.done()
        may_write.set()
        assert under_way.result(TIMEOUT_S) == b""
        leaving.result(TIMEOUT_S)
    assert refused(door, "traces", body).code() == grpc.StatusCode.UNAVAILABLE
