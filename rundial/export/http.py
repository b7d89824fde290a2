"""One POST, one outcome.

`HttpTransport` sends a request body as it is, reads the answer under one deadline and a
cap, and never raises: whatever happens on the network is an `Outcome`. Connections are
kept per origin. A redirect is never followed, so the key never leaves its origin; user
information in a URL becomes an `authorization` header and is never shown.

Threads: `post` on one thread at a time; `abort` from any.
"""

from __future__ import annotations

import ssl
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3 import exceptions
from urllib3.util.ssl_match_hostname import CertificateError

from rundial.clock import Clock, SystemClock
from rundial.export.addresses import proxy_for, split_userinfo
from rundial.export.answer import Answer, judge
from rundial.export.backoff import read_retry_after
from rundial.export.connections import Attempt, PlainPool, TlsPool, tls_context
from rundial.export.outcome import Outcome, Pause, Retry, without

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANSWER_CAP_BYTES = 64 * 1024
_READ_BYTES = 16 * 1024
# Shorter header values are words such as "1"; blotting those out would garble every message.
_SHORTEST_SECRET = 8


@dataclass(frozen=True, slots=True)
class Tls:
    """How an https server is recognised, and how this client shows itself.

    Attributes:
        ca_file: PEM file of trusted roots; None trusts the system's.
        client_certificate: PEM file that this client shows; None shows none.
        client_key: Its key, when it is in a file of its own.
    """

    ca_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None


class HttpTransport:
    """OTLP over HTTP with kept connections.

    Proxies come from the usual environment variables; loopback is never proxied.
    """

    def __init__(self, tls: Tls | None = None, *, clock: Clock | None = None) -> None:
        self._tls = tls or Tls()
        self._clock = clock or SystemClock()
        self._attempt = Attempt(self._clock)
        self._managers: dict[str, urllib3.PoolManager] = {}

    def post(
        self, url: str, body: bytes, *, is_gzip: bool, headers: Mapping[str, str], timeout_s: float
    ) -> Outcome:
        """Send one request and say what became of it.

        Args:
            url: Where to; user information in it is sent as `authorization`, never shown.
            body: One OTLP request body, sent as it is.
            is_gzip: Whether the body is compressed already.
            headers: Further headers, such as `authorization`.
            timeout_s: Seconds for all of it: name, connection, request, answer.

        Returns:
            The outcome; every fault of the network is a `Retry`, every fault of the settings
            a `Pause`. Its words hold none of the headers' values.
        """
        self._attempt.begin(timeout_s)
        try:
            address, basic = split_userinfo(url)
            manager = self._manager(address)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            return Pause(None, f"the TLS files cannot be used: {reason} (check the CA and certificate files)")
        except ValueError:
            return Pause(None, "the endpoint is not an http or https address (check the endpoint)")
        sent = {name.lower(): value for name, value in headers.items()}
        if basic is not None:
            sent.setdefault("authorization", basic)
        secrets = _secrets(sent)
        sent["content-type"] = "application/x-protobuf"
        if is_gzip:
            sent["content-encoding"] = "gzip"
        try:
            outcome = judge(self._exchange(manager, address, body, sent))
        except (exceptions.HTTPError, OSError, ValueError) as error:
            outcome = _fault(error, timeout_s)
        return without(outcome, secrets)

    def abort(self) -> None:
        """End the request under way, and every later one, at once; any thread."""
        self._attempt.abort()

    def close(self) -> None:
        """Close the kept connections; idempotent, on the thread that posts."""
        for manager in self._managers.values():
            manager.clear()

    def _exchange(
        self, manager: urllib3.PoolManager, url: str, body: bytes, headers: dict[str, str]
    ) -> Answer:
        left_s = self._attempt.left_s()
        response = manager.request(
            "POST",
            url,
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(connect=left_s, read=left_s),
            retries=False,
            redirect=False,
            preload_content=False,
            enforce_content_length=True,
        )
        try:
            content, is_whole = _read(response)
        except (exceptions.HTTPError, OSError):
            if 200 <= response.status < 300:
                raise
            content, is_whole = b"", False  # the status alone says what a refusal means
        finally:
            # A read to the end has given the connection back; any other must not be used again.
            response.close()
        return Answer(
            response.status,
            response.headers.get("content-type", ""),
            content,
            is_whole,
            read_retry_after(response.headers.get("retry-after"), self._clock.time_unix_ns() / 1e9),
            response.headers.get("location", "") if 300 <= response.status < 400 else "",
        )

    def _manager(self, url: str) -> urllib3.PoolManager:
        proxy = proxy_for(url)
        scheme = url.partition(":")[0].lower()
        key = f"{scheme} {proxy or ''}"
        manager = self._managers.get(key)
        if manager is None:
            manager = self._managers[key] = self._new_manager(scheme, proxy)
        return manager

    def _new_manager(self, scheme: str, proxy: str | None) -> urllib3.PoolManager:
        options: dict[str, Any] = {"maxsize": 1, "retries": False}
        if scheme == "https":
            # Made only here: loading the system's roots costs 20 ms and an http endpoint needs none.
            tls = self._tls
            options["ssl_context"] = tls_context(tls.ca_file, tls.client_certificate, tls.client_key)
            options["cert_reqs"] = "CERT_REQUIRED"
        manager: urllib3.PoolManager
        if proxy is None:
            manager = urllib3.PoolManager(**options)
        else:
            address, basic = split_userinfo(proxy)
            proxy_headers = {"proxy-authorization": basic} if basic else None
            manager = urllib3.ProxyManager(address, proxy_headers=proxy_headers, **options)
        manager.pool_classes_by_scheme = {
            "http": self._pool_factory(PlainPool),
            "https": self._pool_factory(TlsPool),
        }
        return manager

    def _pool_factory(self, pool: type[PlainPool | TlsPool]) -> Any:
        # urllib3 hands a pool's unknown arguments to its connections: so each gets the attempt.
        def make(host: str, port: int, **options: Any) -> PlainPool | TlsPool:
            return pool(host, port, attempt=self._attempt, **options)

        return make


def _read(response: urllib3.BaseHTTPResponse) -> tuple[bytes, bool]:
    """Read an answer up to the cap: what came, and whether that is all of it."""
    content = b""
    while len(content) <= _ANSWER_CAP_BYTES:
        part = response.read(_READ_BYTES, decode_content=False)
        if not part:
            break
        content += part
    else:
        return content[:_ANSWER_CAP_BYTES], False
    if response.headers.get("content-encoding", "identity").lower() in ("gzip", "deflate"):
        return _inflated(content)
    return content, True


def _inflated(content: bytes) -> tuple[bytes, bool]:
    inflater = zlib.decompressobj(wbits=47)  # 32 + 15: gzip or zlib, whichever it is
    try:
        plain = inflater.decompress(content, _ANSWER_CAP_BYTES)
    except zlib.error:
        return content, True
    return plain, inflater.eof


def _secrets(headers: Mapping[str, str]) -> list[str]:
    """Return what must not be shown, longest first: header values and the words in them."""
    words = {word for value in headers.values() for word in (value, *value.split())}
    return sorted((word for word in words if len(word) >= _SHORTEST_SECRET), key=len, reverse=True)


def _fault(error: Exception, timeout_s: float) -> Outcome:
    """Turn a failed exchange into an outcome: bad settings pause, the network is tried again."""
    if _is_untrusted(error):
        return Pause(None, "the server's certificate is not trusted (check the endpoint and the CA file)")
    if isinstance(error, ValueError):
        # The text of this error would hold the header's value, which may be a key.
        return Pause(None, "a header or the endpoint is not valid HTTP (check the API key and the endpoint)")
    if isinstance(error, (TimeoutError, exceptions.TimeoutError)) and not isinstance(
        error, exceptions.NewConnectionError
    ):
        return Retry(None, f"no complete answer within {timeout_s:g} s")
    if isinstance(error, (exceptions.NewConnectionError, exceptions.ProxyError)):
        return Retry(None, f"no connection: {_cause(error)}")
    return Retry(None, f"connection lost: {_cause(error)}")


def _is_untrusted(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (ssl.SSLCertVerificationError, CertificateError)):
            return True
        inner = seen.args[0] if isinstance(seen, exceptions.SSLError) and seen.args else None
        seen = inner if isinstance(inner, BaseException) else seen.__cause__
    return False


def _cause(error: BaseException) -> str:
    """Name the system's reason; urllib3's own texts hold addresses of objects and URLs."""
    seen: BaseException | None = error
    last = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        last = seen
        inner = next((part for part in seen.args if isinstance(part, BaseException)), None)
        seen = inner or seen.__cause__
    return type(last).__name__
