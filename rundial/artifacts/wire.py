"""HTTP for files: control requests with the key, and bytes to pre-signed URLs without it.

Connections are this part's own, so no upload ever holds up telemetry. A redirect is never followed. What a
server answers is a value: a dictionary, or an `Outcome` that says what becomes of the job. Bytes go out in
blocks, whatever the size of a part, and `stop` ends every transfer at its next block.

Threads: any.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3 import exceptions

from rundial.clock import SystemClock
from rundial.export.addresses import proxy_for, split_userinfo
from rundial.export.backoff import read_retry_after
from rundial.export.connections import tls_context
from rundial.export.outcome import Pause, Reject, Retry

BLOCK_BYTES = 256 * 1024
# A control answer may list 10,000 files with a URL each.
MAX_ANSWER_BYTES = 64 << 20
CONNECT_S = 15.0
# A server verifies what it was sent before it answers; it may take its time, but not for ever.
ANSWER_S = 120.0
_CONNECTIONS = 16
_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504, 507})

Failure = Retry | Pause | Reject


class Refused(NamedTuple):
    """A pre-signed URL was not, or no longer, good for this; another one may be."""

    status: int
    why: str


class Conflict(NamedTuple):
    """The server says what is not there or wrong (409), or that the upload is over (410)."""

    status: int
    body: Mapping[str, Any]


class Stopped(Exception):
    """The transfer was ended from inside, because its process ends."""


class Endpoint(NamedTuple):
    """Where control requests go.

    Attributes:
        url: Of the server, without a trailing slash.
        headers: Returns the headers of the next request, the key among them.
    """

    url: str
    headers: Callable[[], Mapping[str, str]]


class Wire:
    """Requests of one run's files to one server.

    Args:
        endpoint: Where the API is.

    Attributes:
        sent: Bytes uploaded so far.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._pools: dict[str, urllib3.PoolManager] = {}
        # Guards the pools and the count.
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._clock = SystemClock()
        self.sent = 0

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """End every transfer at its next block, and refuse new ones."""
        self._stopping.set()

    def close(self) -> None:
        """Close idle connections."""
        for pool in list(self._pools.values()):
            pool.clear()

    def call(self, path: str, body: Mapping[str, Any] | bytes) -> dict[str, Any] | Failure | Conflict:
        """POST JSON to the API and return its answer; bytes are JSON that is packed already, as gzip."""
        headers = {
            **self._endpoint.headers(),
            "content-type": "application/json",
            "accept": "application/json",
        }
        if isinstance(body, bytes):
            headers["content-encoding"] = "gzip"
            content = body
        else:
            content = json.dumps(body).encode()
        try:
            status, found, answer = self._exchange("POST", self._endpoint.url + path, content, headers)
        except (exceptions.HTTPError, OSError, ValueError) as error:
            return _fault(error)
        return self._judge(status, found, answer)

    def put(
        self, url: str, blocks: Callable[[], Iterator[bytes]], size: int, headers: Mapping[str, str]
    ) -> str | Failure | Refused:
        """Send bytes to a pre-signed URL; return the ETag.

        Args:
            url: Absolute, or relative to the server.
            blocks: Yields the bytes; read once.
            size: How many there are.
            headers: What the signature demands. The key never goes along.

        Raises:
            Stopped: The process ends.
        """
        target = urljoin(self._endpoint.url + "/", url)
        sent = {"content-length": str(size), "content-type": "application/octet-stream"}
        sent.update((name.lower(), str(value)) for name, value in headers.items())
        body: Any = self._counted(blocks()) if size else b""
        try:
            status, found, content = self._exchange("PUT", target, body, sent)
        except (exceptions.HTTPError, OSError, ValueError) as error:
            if self.is_stopping:
                raise Stopped from error
            return _fault(error)
        if 200 <= status < 300:
            return str(found.get("etag") or "")
        if status in (400, 403, 404, 409, 410, 412):
            return Refused(status, f"the store answered {status}: {_message(content)}")
        return self._failure(status, found, content)

    def get(self, url: str, *, offset: int = 0) -> urllib3.BaseHTTPResponse | Failure | Refused:
        """GET a pre-signed URL from an offset on; the caller reads and closes the answer."""
        target = urljoin(self._endpoint.url + "/", url)
        headers = {"range": f"bytes={offset}-"} if offset else {}
        try:
            response = self._request("GET", target, None, headers)
        except (exceptions.HTTPError, OSError, ValueError) as error:
            return _fault(error)
        if response.status in (200, 206):
            return response
        try:
            content = response.read(4096, decode_content=False)
        except (exceptions.HTTPError, OSError) as error:
            return _fault(error)
        finally:
            response.close()
        if response.status in (400, 403, 404, 410, 416):
            return Refused(response.status, f"the store answered {response.status}: {_message(content)}")
        return self._failure(response.status, response.headers, content)

    def _counted(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            if self.is_stopping:
                raise Stopped
            yield block
            with self._lock:
                self.sent += len(block)

    def _exchange(
        self, method: str, url: str, body: Any, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        response = self._request(method, url, body, headers)
        content = bytearray()
        try:
            for piece in response.stream(65_536, decode_content=True):
                content += piece
                if len(content) > MAX_ANSWER_BYTES:
                    raise exceptions.HTTPError("the answer is too long")
        finally:
            # One that was read to its end has given its connection back.
            response.close()
        found = {name.lower(): value for name, value in response.headers.items()}
        return response.status, found, bytes(content)

    def _request(
        self, method: str, url: str, body: Any, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        if self.is_stopping:
            raise Stopped
        address, basic = split_userinfo(url)
        sent = dict(headers)
        if basic is not None:
            sent.setdefault("authorization", basic)
        return self._pool(address).request(
            method,
            address,
            body=body,
            headers=sent,
            timeout=urllib3.Timeout(connect=CONNECT_S, read=ANSWER_S),
            retries=False,
            redirect=False,
            preload_content=False,
        )

    def _pool(self, url: str) -> urllib3.PoolManager:
        proxy = proxy_for(url)
        key = f"{urlsplit(url).scheme} {proxy or ''}"
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                pool = self._pools[key] = _new_pool(urlsplit(url).scheme, proxy)
            return pool

    def _judge(
        self, status: int, headers: Mapping[str, str], content: bytes
    ) -> dict[str, Any] | Failure | Conflict:
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if 200 <= status < 300:
            if isinstance(found, dict):
                return found
            return Pause(status, "the answer is no JSON (check the endpoint)")
        if status in (409, 410) and isinstance(found, dict):
            return Conflict(status, found)
        return self._failure(status, headers, content)

    def _failure(self, status: int, headers: Any, content: bytes) -> Failure:
        why = f"answered {status}: {_message(content)}"
        if status in _RETRYABLE or status >= 500:
            wish = read_retry_after(headers.get("retry-after"), self._clock.time_unix_ns() / 1e9)
            return Retry(wish, why)
        if status in (400, 413, 422):
            return Reject(status, why)
        return Pause(status, why)


def _new_pool(scheme: str, proxy: str | None) -> urllib3.PoolManager:
    options: dict[str, Any] = {"maxsize": _CONNECTIONS, "retries": False}
    if scheme == "https":
        ca_file = os.environ.get("OTEL_EXPORTER_OTLP_CERTIFICATE") or None
        options["ssl_context"] = tls_context(ca_file, None, None)
        options["cert_reqs"] = "CERT_REQUIRED"
    if proxy is None:
        return urllib3.PoolManager(**options)
    address, basic = split_userinfo(proxy)
    return urllib3.ProxyManager(
        address, proxy_headers={"proxy-authorization": basic} if basic else None, **options
    )


def _message(content: bytes) -> str:
    """The server's own words, without what a store's XML or a proxy's HTML may repeat of the request."""
    try:
        error = json.loads(content)["error"]
        return f"{error.get('code', '')} {error.get('message', '')}".strip()[:300]
    except (ValueError, TypeError, KeyError, AttributeError):
        return "no further words"


def _fault(error: Exception) -> Failure:
    seen: BaseException | None = error
    words = type(error).__name__
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            words = seen.strerror
            break
        inner = next((part for part in seen.args if isinstance(part, BaseException)), None)
        seen = inner or seen.__cause__
    if isinstance(error, ValueError) and not isinstance(error, exceptions.HTTPError):
        # The text of this error would hold the header's value, which may be a key.
        return Pause(None, "a header or the address is not valid HTTP (check the API key and the endpoint)")
    return Retry(None, f"no complete answer: {words}")
