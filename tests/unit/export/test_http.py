"""One POST, one outcome, against a real endpoint that misbehaves."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from rundial.export.http import HttpTransport, Tls
from rundial.export.outcome import Accepted, Outcome, Partial, Pause, Reject, Retry, Split
from tests.support.collector import Collector, partial, redirect
from tests.support.lanes import metrics_body, metrics_frame

_KEY = "Bearer rdk_0123456789"


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


def _post(transport: HttpTransport, url: str, *, timeout_s: float = 5.0, is_gzip: bool = True) -> Outcome:
    frame = metrics_frame([1.0, 2.0], is_gzip=is_gzip)
    headers = {"Authorization": _KEY}
    return transport.post(
        f"{url}/v1/metrics", frame.body, is_gzip=frame.is_gzip, headers=headers, timeout_s=timeout_s
    )


def test_post_delivers_the_body_as_it_is(collector: Collector, transport: HttpTransport) -> None:
    """What lies in the spool is what arrives."""
    assert _post(transport, collector.url) == Accepted()
    assert _post(transport, collector.url, is_gzip=False) == Accepted()

    compressed, plain = collector.requests
    assert compressed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert compressed.plain == plain.body == metrics_body([1.0, 2.0])
    assert compressed.headers["content-type"] == "application/x-protobuf"
    assert compressed.headers["authorization"] == _KEY
    assert [point.value for point in collector.points] == [1.0, 2.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (503, Retry),
        (413, Split),
        (400, Reject),
        (401, Pause),
        ("html", Pause),
        ("huge", Pause),
        (partial(1), Partial),
        ("reset", Retry),
    ],
)
def test_post_turns_every_answer_into_an_outcome(
    collector: Collector, transport: HttpTransport, step: int | str, kind: type[Outcome]
) -> None:
    """Nothing that a server does raises."""
    collector.script.append(step)

    assert isinstance(_post(transport, collector.url), kind)
    assert _post(transport, collector.url) == Accepted()


def test_post_reads_retry_after(collector: Collector, transport: HttpTransport) -> None:
    """A throttling server is heard."""
    collector.script.append(("429", {"Retry-After": "30"}))

    outcome = _post(transport, collector.url)

    assert isinstance(outcome, Retry)
    assert outcome.after_s == 30.0


@pytest.mark.parametrize("step", ["hang", "trickle", "trickle body"])
def test_post_ends_at_its_deadline_whatever_the_server_does(
    collector: Collector, transport: HttpTransport, step: str
) -> None:
    """A server that hangs, or sends a byte now and then, holds delivery up for one deadline."""
    collector.script.append(step)
    begin = time.monotonic()

    outcome = _post(transport, collector.url, timeout_s=0.4)

    assert outcome == Retry(None, "no complete answer within 0.4 s")
    assert 0.3 < time.monotonic() - begin < 3.0


def test_post_to_a_server_that_never_reads_ends_at_its_deadline(transport: HttpTransport) -> None:
    """A large body to a stuck server does not block for ever in sending."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/metrics"

        outcome = transport.post(url, bytes(64 << 20), is_gzip=False, headers={}, timeout_s=0.5)

    assert isinstance(outcome, Retry)


def test_post_after_a_nearly_spent_deadline_has_a_fresh_one(
    collector: Collector, transport: HttpTransport
) -> None:
    """A slow request does not shorten the next one on the same connection."""
    _post(transport, collector.url, timeout_s=2.0)
    collector.script.append("hang")
    _post(transport, collector.url, timeout_s=0.2)

    assert _post(transport, collector.url, timeout_s=2.0) == Accepted()


def test_post_keeps_one_connection(collector: Collector, transport: HttpTransport) -> None:
    """A hundred requests cost one connection, also when some are refused."""
    collector.script += [200, 503, partial(1), 400, ("429", {}, b"slow down")] * 10

    for _ in range(100):
        _post(transport, collector.url)

    assert len(collector.requests) == 100
    assert collector.connections == 1


def test_post_never_follows_a_redirect(collector: Collector, transport: HttpTransport) -> None:
    """The key never leaves the origin that it belongs to."""
    with Collector() as other:
        collector.rules = [redirect(f"{other.url}/v1/metrics", status=307)]
        outcome = _post(transport, collector.url)

        assert isinstance(outcome, Pause)
        assert outcome.status == 307
        assert other.requests == []


def test_post_shows_no_key_that_a_server_echoes(collector: Collector, transport: HttpTransport) -> None:
    """A server's words are quoted without the key in them."""
    words = b'{"error":{"message":"unknown key rdk_0123456789"}}'
    collector.script.append((401, {"Content-Type": "application/json"}, words))

    outcome = _post(transport, collector.url)

    assert isinstance(outcome, Pause)
    assert "unknown key ***" in outcome.why
    assert "rdk_" not in outcome.why


def test_post_uses_the_password_in_a_url_and_never_shows_it(
    collector: Collector, transport: HttpTransport
) -> None:
    """An endpoint with user information authenticates by it."""
    url = f"http://me:hunter2@127.0.0.1:{collector.port}/v1/metrics"

    assert transport.post(url, b"", is_gzip=False, headers={}, timeout_s=5.0) == Accepted()
    assert collector.requests[0].headers["authorization"] == "Basic bWU6aHVudGVyMg=="


def test_post_without_a_server_is_a_retry_that_names_the_reason(transport: HttpTransport) -> None:
    """A server that is not up yet costs patience."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        outcome = _post(transport, f"http://me:hunter2@127.0.0.1:{unused.getsockname()[1]}")

    assert outcome == Retry(None, "no connection: Connection refused")


@pytest.mark.parametrize("url", ["ftp://host", "host", "http://[::1", ""])
def test_post_to_a_bad_address_is_a_pause(transport: HttpTransport, url: str) -> None:
    """A mistyped endpoint keeps the data and says what to check."""
    outcome = _post(transport, url)

    assert isinstance(outcome, Pause)
    assert "check the endpoint" in outcome.why


@pytest.mark.parametrize("key", ["Bearer rdk_one\r\nx: y", "Bearer rdk_é\u20ac"])
def test_post_with_an_unsendable_key_is_a_pause_that_does_not_show_it(
    collector: Collector, transport: HttpTransport, key: str
) -> None:
    """A key with a line break in it neither raises nor reaches a log."""
    outcome = transport.post(
        f"{collector.url}/v1/metrics", b"", is_gzip=False, headers={"authorization": key}, timeout_s=5.0
    )

    assert isinstance(outcome, Pause)
    assert "rdk_" not in outcome.why


def test_post_with_a_missing_ca_file_is_a_pause() -> None:
    """A wrong certificate setting keeps the data and says what to check."""
    outcome = _post(HttpTransport(Tls(ca_file="/nowhere/ca.pem")), "https://127.0.0.1:1")

    assert isinstance(outcome, Pause)
    assert "No such file" in outcome.why


def test_abort_ends_a_request_that_hangs(collector: Collector, transport: HttpTransport) -> None:
    """A process that leaves does not wait for a stuck server."""
    collector.script.append("hang")
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(_post(transport, collector.url, timeout_s=60.0)))
    thread.start()
    assert collector.wait_for_requests(1)

    transport.abort()
    thread.join(5.0)

    assert not thread.is_alive()
    assert isinstance(outcomes[0], Retry)
