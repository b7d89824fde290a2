"""A Collector of the simplest kind: what `tests.support.collector` has stored, sent on to a server."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.error import HTTPError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

from tests.support.collector import Answer, Request, Rule
from tests.support.program import ServerProgram

_KEPT = ("content-type", "content-encoding")


def replay(requests: Iterable[Request], server: ServerProgram) -> None:
    """Send requests on as they came, with the server's own key in the place of the client's."""
    for request in requests:
        headers = {name: text for name, text in request.headers.items() if name in _KEPT}
        headers["authorization"] = f"Bearer {server.key}"
        sent = HttpRequest(server.url + request.path, request.body, headers)
        with urlopen(sent, timeout=10) as answer:
            assert answer.status == 200


def forward(server: ServerProgram, *, times: int = 1) -> Rule:
    """Send each request on to a server when it comes, perhaps more than once, and give its last answer."""

    def pass_on(request: Request) -> Answer:
        return [_sent(request, server) for _ in range(times)][-1]

    return pass_on


def _sent(request: Request, server: ServerProgram) -> Answer:
    headers = {name: text for name, text in request.headers.items() if name in (*_KEPT, "authorization")}
    sent = HttpRequest(server.url + request.path, request.body, headers)
    try:
        with urlopen(sent, timeout=10) as answer:
            return answer.status, {"Content-Type": answer.headers["content-type"]}, answer.read()
    except HTTPError as error:
        return error.code, {}, error.read()
