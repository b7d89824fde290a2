"""Answers of every size and encoding, and the ways through which a request leaves."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Iterator

import psutil
import pytest

from rundial.export.http import HttpTransport
from rundial.export.outcome import Accepted, Outcome, Partial, Pause, Reject, Retry
from tests.support.collector import Collector
from tests.support.lanes import metrics_frame
from tests.support.waiting import wait_until

CAP_BYTES = 64 * 1024
REFUSED = b"\x0a\x06\x08\x02\x12\x02no"
OK = (200, {}, b"\x0a\x00")


@pytest.fixture
def collector() -> Iterator[Collector]:
    """An endpoint that accepts, unless a test scripts it."""
    with Collector() as endpoint:
        yield endpoint


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    """A transport whose connections are closed afterwards."""
    transport = HttpTransport()
    yield transport
    transport.close()


def post(transport: HttpTransport, url: str, headers: dict[str, str] | None = None) -> Outcome:
    """Send two points."""
    frame = metrics_frame([1.0, 2.0])
    return transport.post(f"{url}/v1/metrics", frame.body, is_gzip=True, headers=headers or {}, timeout_s=5.0)


def padded(size: int) -> bytes:
    """Return an OTLP answer of exactly so many bytes, most of them in a field that nobody knows."""
    head = b"\x0a\x00\x7a" + bytes([(size - 6) & 0x7F | 0x80, (size - 6) >> 7 & 0x7F | 0x80, size - 6 >> 14])
    return head + bytes(size - 6)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(REFUSED, mtime=0)),
        ("GZip", gzip.compress(REFUSED, mtime=0)),
        ("deflate", zlib.compress(REFUSED)),
        ("gzip", REFUSED),
        ("identity", REFUSED),
    ],
)
def test_compressed_answer_is_understood(
    collector: Collector, transport: HttpTransport, encoding: str, body: bytes
) -> None:
    """A proxy that compresses answers hides no refusal, nor does one that only says it does."""
    collector.script.append((200, {"Content-Encoding": encoding}, body))

    assert post(transport, collector.url) == Partial(2, "no")


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(padded(CAP_BYTES + 1)),
        gzip.compress(REFUSED, mtime=0)[:-4],
        gzip.compress(bytes(100 << 20)),
    ],
    ids=["over the cap", "cut", "bomb"],
)
def test_compressed_answer_that_is_not_whole_is_no_accept(
    collector: Collector, transport: HttpTransport, body: bytes
) -> None:
    """A hostile answer neither fills memory nor deletes data."""
    collector.script.append((200, {"Content-Encoding": "gzip"}, body))

    assert isinstance(post(transport, collector.url), Pause)


@pytest.mark.parametrize(("size", "kind"), [(CAP_BYTES, Accepted), (CAP_BYTES + 1, Pause)])
def test_answer_is_read_up_to_its_cap(
    collector: Collector, transport: HttpTransport, size: int, kind: type[Outcome]
) -> None:
    """A long answer counts as long as all of it can be read."""
    collector.script.append((200, {}, padded(size)))

    assert isinstance(post(transport, collector.url), kind)


@pytest.mark.parametrize(
    ("status", "kind"), [(200, Retry), (299, Retry), (300, Pause), (400, Reject), (503, Retry)]
)
def test_answer_that_breaks_off_counts_by_its_status_only_when_it_refuses(
    transport: HttpTransport, status: int, kind: type[Outcome]
) -> None:
    """Half an accept is none; half a refusal says enough."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_half, args=(listener, status))
        thread.start()
        outcome = post(transport, f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(10)

    assert isinstance(outcome, kind)
    assert ("connection lost" in outcome.why) is (status < 300)  # type: ignore[attr-defined] # all three have it


def answer_half(listener: socket.socket, status: int) -> None:
    """Take one connection, answer with half of what is announced, and hang up."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: 40\r\n\r\n" % status + bytes(20))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)


def test_server_that_hangs_up_without_an_answer_is_a_retry(transport: HttpTransport) -> None:
    """A server that is shutting down costs patience."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: listener.accept()[0].close())
        thread.start()
        outcome = post(transport, f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(10)

    assert isinstance(outcome, Retry)
    assert outcome.after_s is None
    assert outcome.why in ("connection lost: RemoteDisconnected", "connection lost: Connection reset by peer")


def test_name_without_an_address_is_a_retry(transport: HttpTransport) -> None:
    """A name server that is down, or a laptop that is offline, costs patience."""
    outcome = post(transport, "http://no-such-host.invalid")

    assert isinstance(outcome, Retry)
    assert outcome.why.startswith("no connection: ")
    assert "invalid" not in outcome.why


def test_retry_after_a_date_is_counted_from_now(collector: Collector, transport: HttpTransport) -> None:
    """A date in the past is no wish to wait, and one far ahead is read as what it is."""
    for date in ("Tue, 14 Nov 2023 22:13:50 GMT", "Tue, 14 Nov 2223 22:13:50 GMT"):
        collector.script.append(("503", {"Retry-After": date}))
    past, future = (post(transport, collector.url) for _ in range(2))

    assert past == Retry(0.0, "answered 503")
    assert isinstance(future, Retry)
    assert future.after_s is not None
    assert future.after_s > 1e9


def test_location_is_shown_of_a_redirect_alone(collector: Collector, transport: HttpTransport) -> None:
    """Only where a server sends requests elsewhere is its word about where of interest."""
    location = {"Location": "http://elsewhere/x"}
    collector.script += [(status, location) for status in (300, 399, 400, 503)]
    shown = ["elsewhere" in getattr(post(transport, collector.url), "why", "") for _ in range(4)]

    assert shown == [True, True, False, False]


def test_headers_are_sent_and_the_urls_password_does_not_replace_a_key(
    collector: Collector, transport: HttpTransport
) -> None:
    """A key that was given wins over user information in an endpoint."""
    url = f"http://me:hunter2@127.0.0.1:{collector.port}"

    assert post(transport, url, {"Authorization": "Bearer rdk_1", "X-Team": "blue"}) == Accepted()
    headers = collector.requests[0].headers
    assert (headers["authorization"], headers["x-team"]) == ("Bearer rdk_1", "blue")


def test_every_word_of_a_header_is_blotted_out_but_short_ones(
    collector: Collector, transport: HttpTransport
) -> None:
    """An echoed key is hidden with and without its scheme; a word such as "1" garbles no message."""
    said = b"Bearer rdk_0123 and rdk_0123 and 12345678 but 1234567 of team 1"
    collector.script.append((503, {"Content-Type": "text/plain"}, said))
    headers = {"authorization": "Bearer rdk_0123", "x-a": "12345678", "x-b": "1234567", "x-c": "1"}
    outcome = post(transport, collector.url, headers)

    assert outcome == Retry(None, "answered 503: *** and *** and *** but 1234567 of team 1")


def test_request_goes_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, collector: Collector, transport: HttpTransport
) -> None:
    """A cluster whose nodes reach the world through a proxy alone delivers through it."""
    monkeypatch.setenv("http_proxy", f"http://me:hunter2@127.0.0.1:{collector.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    collector.script += [OK, OK, OK]
    outcomes = [post(transport, "http://telemetry.example") for _ in range(2)]
    direct = post(transport, collector.url)

    assert [*outcomes, direct] == [Accepted()] * 3
    assert [request.path for request in collector.requests] == [
        "http://telemetry.example/v1/metrics",
        "http://telemetry.example/v1/metrics",
        "/v1/metrics",
    ]
    seen = [request.headers.get("proxy-authorization") for request in collector.requests]
    assert seen == ["Basic bWU6aHVudGVyMg=="] * 2 + [None]
    assert collector.connections == 2


def test_proxy_that_is_down_is_a_retry(monkeypatch: pytest.MonkeyPatch, transport: HttpTransport) -> None:
    """A proxy that is not up yet costs patience."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        outcome = post(transport, "http://telemetry.example")

    assert outcome == Retry(None, "no connection: Connection refused")


def test_transport_that_was_aborted_sends_nothing_more(
    collector: Collector, transport: HttpTransport
) -> None:
    """Once a process leaves, no request keeps it."""
    assert post(transport, collector.url) == Accepted()
    transport.abort()
    outcome = post(transport, collector.url)

    assert isinstance(outcome, Retry)
    assert len(collector.requests) == 1


def test_closed_transport_has_no_connection_left(collector: Collector, transport: HttpTransport) -> None:
    """A sender that ends leaves no socket behind; closing twice is closing once."""
    process = psutil.Process()
    before = len(process.net_connections())
    post(transport, collector.url)
    transport.close()
    transport.close()

    assert collector.connections == 1
    wait_until(lambda: len(process.net_connections()) <= before, 10.0)
