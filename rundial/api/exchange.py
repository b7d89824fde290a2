"""One control request over HTTP, one answer, within one deadline.

The deadline covers all of it, name resolution and a server that trickles its answer included:
the request runs on a thread of its own, and the caller waits no longer than it said. Redirects
are never followed, so the key never leaves the origin that it was meant for, and an answer is
read up to a cap. This is for the few requests of the control and query API; telemetry goes
through `rundial.export`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import urllib3

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Attributes:
        method: HTTP method.
        url: Absolute address.
        headers: All headers; the key is among them, so it is kept out of `repr`.
        body: JSON as bytes, or None.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status.
        headers: By lower-case name.
        body: At most 64 MiB.
        set_cookies: The `Set-Cookie` headers, of which there may be several; kept out of `repr`.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes
    set_cookies: tuple[str, ...] = field(default=(), repr=False)


class NoAnswerError(Exception):
    """Nothing usable came back; `str()` says why in a few words."""


class Exchange(Protocol):
    """How the client reaches a server."""

    def __call__(self, request: Request, *, timeout_s: float) -> Answer:
        """Send one request.

        Raises:
            NoAnswerError: No answer within `timeout_s` seconds, no connection, or too long an answer.
        """
        ...


class HttpExchange:
    """The real one, on urllib3 with keep-alive.

    Threads: callable from any; one short-lived daemon thread a request.
    """

    def __init__(self, *, ca_certs: str | None = None) -> None:
        self._ca_certs = ca_certs
        self._pool = self._new_pool()

    def __call__(self, request: Request, *, timeout_s: float) -> Answer:
        """Send one request; see `Exchange`."""
        if self._pid != os.getpid():
            # Forked: the open connections are the parent's, and two processes on one get each
            # other's answers.
            self._pool = self._new_pool()
        attempt = _Attempt(self._pool, request, timeout_s)
        thread = threading.Thread(target=attempt.work, name="rundial-request", daemon=True)
        thread.start()
        thread.join(timeout_s)
        if attempt.error is not None:
            raise NoAnswerError(attempt.error)
        if attempt.answer is None:
            attempt.is_abandoned = True
            raise NoAnswerError(f"no complete answer within {timeout_s:g} s")
        return attempt.answer

    def close(self) -> None:
        """Close idle connections; idempotent."""
        self._pool.clear()

    def _new_pool(self) -> urllib3.PoolManager:
        self._pid = os.getpid()
        return urllib3.PoolManager(maxsize=2, retries=False, ca_certs=self._ca_certs)


class _Attempt:
    """One request's state between its thread and the caller that waits for it."""

    def __init__(self, pool: urllib3.PoolManager, request: Request, timeout_s: float) -> None:
        self._pool = pool
        self._request = request
        self._timeout_s = timeout_s
        self.is_abandoned = False
        self.answer: Answer | None = None
        self.error: str | None = None

    def work(self) -> None:
        try:
            self.answer = self._exchange()
        except urllib3.exceptions.HTTPError as error:
            self.error = _words(error)
        except OSError as error:
            self.error = f"{type(error).__name__}: {error}"
        except ValueError:
            # The exception's own text would quote the header, and with it the key.
            self.error = "the API key or the address holds a character that HTTP cannot carry"

    def _exchange(self) -> Answer:
        request = self._request
        response = self._pool.request(
            request.method,
            request.url,
            body=request.body,
            headers=dict(request.headers),
            redirect=False,
            preload_content=False,
            timeout=urllib3.Timeout(connect=self._timeout_s, read=self._timeout_s),
        )
        body = bytearray()
        try:
            for piece in response.stream(_READ_BYTES):
                body += piece
                if len(body) > MAX_ANSWER_BYTES or self.is_abandoned:
                    response.close()
                    raise urllib3.exceptions.HTTPError(
                        f"the answer is longer than {MAX_ANSWER_BYTES:,} bytes"
                    )
        finally:
            response.release_conn()
        headers = {name.lower(): value for name, value in response.headers.items()}
        cookies = tuple(response.headers.getlist("set-cookie"))
        return Answer(status=response.status, headers=headers, body=bytes(body), set_cookies=cookies)


def _words(error: BaseException) -> str:
    """Say what went wrong without urllib3's object addresses."""
    name = type(error).__name__
    cause = getattr(error, "reason", None) or error.__cause__ or error.__context__
    if isinstance(error, urllib3.exceptions.NewConnectionError) or isinstance(
        cause, (ConnectionRefusedError, urllib3.exceptions.NewConnectionError)
    ):
        return "the connection was refused" if "refused" in str(error) else "no connection could be made"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(error, urllib3.exceptions.SSLError):
        return f"the TLS handshake failed ({cause or error})"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "the connection was closed before an answer came"
    return f"{name}: {error}"
