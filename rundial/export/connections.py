"""Connections whose whole request has one deadline, and that another thread can cut.

urllib3's timeouts are for each `recv`: a server that sends a byte now and then holds a
client for ever. Here every wait of a request (each address, the handshake, a proxy's
answer, headers, body) draws on the same budget. Only the resolver cannot be hurried.

Threads: one request at a time, on the sender thread; `Attempt.abort` from any thread.
"""

from __future__ import annotations

import io
import socket
import ssl
import sys
from functools import partial
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

if TYPE_CHECKING:
    from rundial.clock import Clock


class Attempt:
    """The one request under way: its deadline and its socket.

    Threads: the sender's, but for `abort`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._deadline_s = 0.0
        self._socket: socket.socket | None = None
        self.is_aborted = False

    def begin(self, timeout_s: float) -> None:
        """Start a request that may take `timeout_s` seconds in all."""
        self._deadline_s = self._clock.monotonic_s() + timeout_s

    def left_s(self) -> float:
        """Return the seconds left, always above 0.

        Raises:
            TimeoutError: None are left, or the request was aborted.
        """
        left = self._deadline_s - self._clock.monotonic_s()
        if left <= 0 or self.is_aborted:
            raise TimeoutError("aborted" if self.is_aborted else "the request's time is up")
        return left

    def watch(self, sock: socket.socket) -> None:
        """Let `abort` cut this socket, and give its next wait what is left."""
        self._socket = sock
        sock.settimeout(self.left_s())

    def abort(self) -> None:
        """End the request under way at once, and every later one; any thread."""
        self.is_aborted = True
        sock = self._socket
        if sock is None:
            return
        try:
            # The plain method: SSLSocket's own drops its TLS state under the reading thread.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        except OSError:
            return  # not connected any more, which is what was wanted

    def connect(self, host: str, port: int, options: Any) -> socket.socket:
        """Connect to the first address that answers.

        Raises:
            OSError: No address did; the last one's error.
        """
        error: OSError | None = None
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            try:
                for option in options or ():
                    sock.setsockopt(*option)
                self.watch(sock)
                sock.connect(address)
            except OSError as reason:
                sock.close()
                error = reason
            else:
                return sock
        raise error or OSError("the name has no address")


class _Reader(io.RawIOBase):
    """A socket's reading end that gives each `recv` only what is left of the request's time."""

    def __init__(self, inner: io.RawIOBase, sock: socket.socket, attempt: Attempt) -> None:
        self._inner = inner
        self._socket = sock
        self._attempt = attempt

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._attempt.watch(self._socket)
        return self._inner.readinto(buffer)

    def close(self) -> None:
        self._inner.close()
        super().close()


class _Response(HTTPResponse):
    """An answer read under the request's deadline."""

    def __init__(self, attempt: Attempt, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw: Any = self.fp
        self.fp = io.BufferedReader(_Reader(raw.detach(), sock, attempt))


def _connect(connection: HTTPConnection, attempt: Attempt) -> socket.socket:
    host = connection.host.strip("[]")
    try:
        sock = attempt.connect(host, connection.port, connection.socket_options)
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, "no connection in time") from error
    except OSError as error:
        raise NewConnectionError(connection, "no connection") from error
    sys.audit("http.client.connect", connection, host, connection.port)
    return sock


class _PlainConnection(HTTPConnection):
    def __init__(self, *args: Any, attempt: Attempt, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._attempt = attempt
        self.response_class: Any = partial(_Response, attempt)

    def _new_conn(self) -> socket.socket:
        return _connect(self, self._attempt)

    def send(self, data: Any) -> None:
        _prepare_to_send(self, self._attempt)
        super().send(data)


class _TlsConnection(HTTPSConnection):
    def __init__(self, *args: Any, attempt: Attempt, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._attempt = attempt
        self.response_class: Any = partial(_Response, attempt)

    def _new_conn(self) -> socket.socket:
        return _connect(self, self._attempt)

    def send(self, data: Any) -> None:
        _prepare_to_send(self, self._attempt)
        super().send(data)


def _prepare_to_send(connection: HTTPConnection, attempt: Attempt) -> None:
    sock = connection.sock
    if isinstance(sock, socket.socket):
        # A kept connection still has the last request's shrunken timeout.
        attempt.watch(sock)


class PlainPool(HTTPConnectionPool):
    """Kept connections to one http origin."""

    ConnectionCls = _PlainConnection


class TlsPool(HTTPSConnectionPool):
    """Kept connections to one https origin."""

    ConnectionCls = _TlsConnection


def tls_context(
    ca_file: str | None, client_certificate: str | None, client_key: str | None
) -> ssl.SSLContext:
    """Return a context that verifies the server.

    Args:
        ca_file: PEM file of trusted roots; None trusts the system's.
        client_certificate: PEM file that this client shows; None shows none.
        client_key: Its key, when it is in a file of its own.

    Raises:
        OSError: A file cannot be read, or is no certificate (`ssl.SSLError`).
    """
    context = ssl.create_default_context(cafile=ca_file)
    if urllib3.__version__.startswith("1."):  # type: ignore[attr-defined] # set, but not in __all__
        # urllib3 1 names no host to the context when it is an address, and compares it itself.
        context.check_hostname = False
    if client_certificate is not None:
        context.load_cert_chain(client_certificate, client_key)
    return context
