"""A Collector of the simplest kind: what `tests.support.collector` has stored, sent on to a server."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

from tests.support.collector import Request
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
