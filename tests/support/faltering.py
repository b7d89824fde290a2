"""A server between a command and the real one, which breaks off or hangs in the middle of an export."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.error import HTTPError
from urllib.request import Request, urlopen

_KEPT = ("authorization", "content-type", "cookie", "accept")


class Faltering:
    """Hands everything on, and fails exports after so many pages.

    Args:
        target: The real server.
        fails_after: Pages of an export after which it closes the connection; None never does.
        hangs_after: Pages after which it answers nothing any more; None never does.
        lacks: Begin of the paths that it knows nothing of, as a server of another time.

    Attributes:
        exports: Pages that were asked for.
        is_hanging: Set once a page is not answered.
    """

    def __init__(
        self,
        target: str,
        *,
        fails_after: int | None = None,
        hangs_after: int | None = None,
        lacks: tuple[str, ...] = (),
    ) -> None:
        self.target = target
        self.exports = 0
        self.is_hanging = threading.Event()
        self._is_over = threading.Event()
        self._fails_after = fails_after
        self._hangs_after = hangs_after
        self._lacks = lacks
        faltering = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                faltering._answer(self, None)

            def do_POST(self) -> None:
                faltering._answer(self, self.rfile.read(int(self.headers["content-length"])))

            def log_message(self, format: str, *args: object) -> None:
                """Nobody reads them."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Faltering:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def heal(self) -> None:
        """Fail no more."""
        self._fails_after = self._hangs_after = None

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes | None) -> None:
        if "/export/" in handler.path:
            if self._hangs_after is not None and self.exports >= self._hangs_after:
                self.is_hanging.set()
                self._is_over.wait(60)
                return
            if self._fails_after is not None and self.exports >= self._fails_after:
                handler.close_connection = True
                return
            self.exports += 1
        path = handler.path
        if self._lacks and path.startswith(self._lacks):
            path = "/api/v1/there-is-no-such-route"
        headers = {name: handler.headers[name] for name in _KEPT if handler.headers[name]}
        request = Request(self.target + path, data=body, headers=headers)
        try:
            with urlopen(request, timeout=30) as found:
                status, kind, content = found.status, found.headers["content-type"], found.read()
        except HTTPError as error:
            status, kind, content = error.code, error.headers["content-type"], error.read()
        handler.send_response(status)
        handler.send_header("content-type", kind or "application/json")
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
