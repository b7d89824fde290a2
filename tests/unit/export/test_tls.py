"""One POST over TLS, against a real server with a certificate of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rundial.export.http import HttpTransport, Tls
from rundial.export.outcome import Accepted, Outcome, Pause, Retry
from tests.support import certificates
from tests.support.collector import Collector, redirect
from tests.support.lanes import metrics_frame


@pytest.fixture
def pem(tmp_path: Path) -> dict[str, str]:
    """The certificates' and keys' files."""
    return certificates.written(tmp_path)


@pytest.fixture
def collector(pem: dict[str, str]) -> Iterator[Collector]:
    """An endpoint that shows the server's certificate."""
    with Collector(tls=certificates.server_context(pem)) as endpoint:
        yield endpoint


def post(transport: HttpTransport, url: str, *, timeout_s: float = 5.0) -> Outcome:
    """Send two points."""
    frame = metrics_frame([1.0, 2.0])
    return transport.post(
        f"{url}/v1/metrics",
        frame.body,
        is_gzip=True,
        headers={"authorization": "Bearer rdk_1"},
        timeout_s=timeout_s,
    )


def test_trusted_server_takes_what_is_sent_over_one_connection(
    collector: Collector, pem: dict[str, str]
) -> None:
    """A server with a company's own certificate works like any other."""
    transport = HttpTransport(Tls(ca_file=pem["server"]))
    outcomes = [post(transport, collector.url) for _ in range(5)]
    transport.close()

    assert outcomes == [Accepted()] * 5
    assert [point.value for point in collector.points] == [1.0, 2.0] * 5
    assert collector.requests[0].headers["authorization"] == "Bearer rdk_1"
    assert collector.connections == 1


@pytest.mark.parametrize("trusted", [None, "client"])
def test_server_that_is_not_trusted_gets_nothing(
    collector: Collector, pem: dict[str, str], trusted: str | None
) -> None:
    """A key never goes to whoever happens to answer, and the data is kept."""
    transport = HttpTransport(Tls(ca_file=pem[trusted] if trusted else None))
    outcome = post(transport, collector.url)
    transport.close()

    assert isinstance(outcome, Pause)
    assert "certificate is not trusted" in outcome.why
    assert collector.requests == []


def test_server_with_another_hosts_certificate_gets_nothing(
    collector: Collector, pem: dict[str, str]
) -> None:
    """A certificate that is good for another name is none."""
    transport = HttpTransport(Tls(ca_file=pem["server"]))
    outcome = post(transport, f"https://localhost:{collector.port}")
    transport.close()

    assert isinstance(outcome, Pause)
    assert "certificate is not trusted" in outcome.why
    assert collector.requests == []


@pytest.mark.parametrize("step", ["hang", "trickle", "trickle body"])
def test_post_over_tls_ends_at_its_deadline(collector: Collector, pem: dict[str, str], step: str) -> None:
    """Encryption changes nothing about how long a stuck server holds delivery up."""
    transport = HttpTransport(Tls(ca_file=pem["server"]))
    assert post(transport, collector.url) == Accepted()
    collector.script.append(step)
    outcome = post(transport, collector.url, timeout_s=0.4)

    assert outcome == Retry(None, "no complete answer within 0.4 s")
    assert post(transport, collector.url) == Accepted()
    transport.close()


def test_abort_ends_a_request_that_hangs_over_tls(collector: Collector, pem: dict[str, str]) -> None:
    """A process that leaves does not wait for a stuck server, and the cut breaks nothing."""
    transport = HttpTransport(Tls(ca_file=pem["server"]))
    collector.script.append("hang")
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(post(transport, collector.url, timeout_s=60.0)))
    thread.start()
    assert collector.wait_for_requests(1)
    transport.abort()
    thread.join(5.0)

    assert isinstance(outcomes[0], Retry)
    transport.close()


@pytest.mark.parametrize("is_separate", [True, False])
def test_client_certificate_is_shown_where_it_is_asked_for(
    tmp_path: Path, pem: dict[str, str], is_separate: bool
) -> None:
    """A server that takes only known machines takes this one, its key in the same file or in another."""
    both = tmp_path / "both.pem"
    both.write_text(certificates.CLIENT + certificates.CLIENT_KEY)
    shown = (pem["client"], pem["client_key"]) if is_separate else (str(both), None)
    with Collector(tls=certificates.server_context(pem, asks_for_client=True)) as collector:
        known = HttpTransport(Tls(pem["server"], *shown))
        unknown = HttpTransport(Tls(pem["server"]))
        outcomes = post(known, collector.url), post(unknown, collector.url)
        known.close()
        unknown.close()

        assert outcomes[0] == Accepted()
        assert isinstance(outcomes[1], Retry)
        assert len(collector.requests) == 1


def test_certificate_without_its_key_is_a_pause(pem: dict[str, str]) -> None:
    """A wrong certificate setting keeps the data and says what to check."""
    outcome = post(HttpTransport(Tls(None, pem["client"])), "https://127.0.0.1:1")

    assert isinstance(outcome, Pause)
    assert outcome.why.startswith("the TLS files cannot be used")
    assert "check the CA and certificate files" in outcome.why


def test_redirect_from_https_to_http_is_not_followed(collector: Collector, pem: dict[str, str]) -> None:
    """A key that was meant for an encrypted connection never leaves it."""
    with Collector() as plain:
        collector.rules = [redirect(f"{plain.url}/v1/metrics", status=308)]
        transport = HttpTransport(Tls(ca_file=pem["server"]))
        outcome = post(transport, collector.url)
        transport.close()

        assert isinstance(outcome, Pause)
        assert plain.requests == []


def test_plain_and_encrypted_endpoints_are_kept_apart(collector: Collector, pem: dict[str, str]) -> None:
    """One sender serves both, each over its own connection."""
    with Collector() as plain:
        transport = HttpTransport(Tls(ca_file=pem["server"]))
        outcomes = [post(transport, url) for url in (plain.url, collector.url) * 3]
        transport.close()

        assert outcomes == [Accepted()] * 6
        assert (plain.connections, collector.connections) == (1, 1)


def test_server_that_speaks_no_tls_is_a_retry() -> None:
    """A server that was restarted without its certificate costs patience."""
    with Collector() as plain:
        outcome = post(HttpTransport(), plain.url.replace("http:", "https:"), timeout_s=2.0)

    assert isinstance(outcome, Retry)
