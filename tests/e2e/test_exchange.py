"""One control request against real sockets that misbehave."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from rundial.api.client import Client
from rundial.errors import RundialRequestError

pytestmark = pytest.mark.e2e

Behaviour = Callable[[socket.socket, threading.Event], None]


@contextmanager
def _listener(behave: Behaviour) -> Iterator[tuple[str, list[bytes]]]:
    """Accept connections on a free port and do with each what is said; yield the URL and what was sent."""
    over, heard = threading.Event(), list[bytes]()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)

        def accept() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(5)
                    heard.append(connection.recv(65536))
                    behave(connection, over)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", heard
        finally:
            over.set()
            thread.join(10)


def _hang(connection: socket.socket, over: threading.Event) -> None:
    over.wait(10)


def _trickle(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    try:
        while not over.wait(0.05):
            connection.sendall(b" ")
    except OSError:
        over.wait(0)  # the client has given up, which is what it is here to do


def _close(connection: socket.socket, over: threading.Event) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def _html(connection: socket.socket, over: threading.Event) -> None:
    body = b"<html>sign in</html>"
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


@pytest.mark.parametrize("behave", [_hang, _trickle])
def test_silent_or_trickling_server_costs_no_more_than_the_timeout(behave: Behaviour) -> None:
    """A call is over within its timeout, whatever the server does with the time."""
    with _listener(behave) as (url, _):
        started_s = time.monotonic()
        with pytest.raises(RundialRequestError, match="could not be reached"):
            Client(url, request_timeout_seconds=0.5).health()
        elapsed_s = time.monotonic() - started_s

    assert elapsed_s < 3


@pytest.mark.parametrize(
    ("behave", "words"), [(_close, "connection was closed"), (_html, "an HTML page where JSON was expected")]
)
def test_broken_answers_are_told_in_words(behave: Behaviour, words: str) -> None:
    """A dropped connection and a login page are one line of advice, never a traceback."""
    with _listener(behave) as (url, _), pytest.raises(RundialRequestError, match=words):
        Client(url).health()


def test_refused_connection_is_told_in_words() -> None:
    """No server at the address is said as such."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with pytest.raises(RundialRequestError, match="connection was refused"):
        Client(f"http://127.0.0.1:{port}").health()


def test_redirect_takes_the_key_nowhere() -> None:
    """A server that redirects elsewhere does not make the client send its key there."""
    with _listener(_close) as (elsewhere, heard_elsewhere):

        def redirect(connection: socket.socket, over: threading.Event) -> None:
            connection.sendall(
                f"HTTP/1.1 302 Found\r\nlocation: {elsewhere}/x\r\ncontent-length: 0\r\n\r\n".encode()
            )

        with _listener(redirect) as (url, heard), pytest.raises(RundialRequestError, match="redirect"):
            Client(url, api_key="rdk_secret").whoami()

    assert b"rdk_secret" in heard[0]
    assert heard_elsewhere == []


@pytest.mark.parametrize("key", ["rdk_sécret\n", "rdk_sécret\r\nx: y", "rdk_s\x00écret", "秘密écret"])
def test_key_that_http_cannot_carry_is_refused_without_being_shown(key: str) -> None:
    """A key with a stray newline is an error that does not repeat the key."""
    with _listener(_html) as (url, _), pytest.raises(RundialRequestError) as raised:
        Client(url, api_key=key).whoami()

    assert "cret" not in str(raised.value)
    assert "cret" not in repr(raised.value.__cause__)
