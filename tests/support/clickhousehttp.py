"""ClickHouse's HTTP interface, as far as the client speaks it, before the embedded engine: a program.

A stand-in: no ClickHouse server can be had here. Statements, parameters, blocks of rows and errors are the
engine's own; the interface is ours, so a test over it shows what our side sends, and what we make of answers
that fail or never come, and not how a real server answers. One statement at a time.

    python -m tests.support.clickhousehttp DIRECTORY PORT

says its port on stdout (0 takes a free one). POST `/fail?insert=…` begins a failure:

- `lost` makes each further insert happen and be left without an answer,
- `late` leaves it without an answer, too, and lets it happen once POST `/arrive` is asked,
- `refused` makes it fail before it happens,
- `denied` takes the grants to make tables away,
- `async` is a user's profile with `async_insert` and without waiting, of a server that loses what waits,
- `none` ends that.

POST `/greatest` answers with the bytes of the longest answer and of the longest request since it was asked
before. Every other request needs the user `tester` and `s3cret`.
"""

from __future__ import annotations

import base64
import re
import sys
import tempfile
import threading
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import chdb
import lz4.frame

_AUTHORIZATION = "Basic " + base64.b64encode(b"tester:s3cret").decode()
_DENIED = (
    b"Code: 497. DB::Exception: tester: Not enough privileges. To execute this query, it's necessary to have "
    b"the grant CREATE TABLE ON rundial.points. (ACCESS_DENIED) (version 26.5.1.1)"
)
_CODE = re.compile(r"Code: (\d+)")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: Any = None
    # Held while the engine is used: its database is a state of the connection.
    lock = threading.Lock()
    failing = "none"
    longest_answer = longest_request = 0
    late: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def do_GET(self) -> None:
        """Answer a probe."""
        self._answer(200, b"Ok.\n")

    def do_POST(self) -> None:
        """Run a statement."""
        url = urlsplit(self.path)
        asked = {name: values[-1] for name, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if self.headers.get("transfer-encoding") == "chunked":
            body = self._chunks()
        if url.path == "/greatest":
            found = f"{_Handler.longest_answer} {_Handler.longest_request}"
            _Handler.longest_answer = _Handler.longest_request = 0
            self._answer(200, found.encode())
            return
        if url.path == "/arrive":
            with self.lock:
                for sql, given, rows in _Handler.late:
                    self._query(sql, given, rows)
            _Handler.late.clear()
            self._answer(200, b"")
            return
        _Handler.longest_request = max(_Handler.longest_request, len(body))
        if url.path == "/fail":
            _Handler.failing = asked["insert"]
            self._answer(200, b"")
        elif self.headers.get("authorization") != _AUTHORIZATION:
            self._answer(403, b"Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)")
        else:
            self._run(asked, body)

    def _run(self, asked: dict[str, str], body: bytes) -> None:
        if self.headers.get("content-encoding") == "lz4":
            body = lz4.frame.decompress(body)
        if self.headers.get("content-type", "").startswith("multipart/"):
            asked, body = asked | self._fields(body), b""
        is_insert = body.startswith(b"INSERT")
        head, _, rows = body.partition(b"\n") if is_insert else (body, b"", b"")
        sql = asked.get("query") or head.decode()
        if self.failing == "denied" and sql.startswith("CREATE TABLE"):
            self._answer(403, _DENIED)
            return
        if is_insert and self.failing == "refused":
            self._answer(500, b"Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)")
            return
        if is_insert and self.failing == "late":
            _Handler.late.append((sql, asked, rows))
            self.close_connection = True
            return
        if is_insert and self.failing == "async" and asked.get("async_insert") != "0":
            self._answer(200, b"")
            return
        try:
            with self.lock:
                found = self._query(sql, asked, rows)
        except RuntimeError as error:
            self._answer(500, str(error).encode())
            return
        if is_insert and self.failing == "lost":
            self.close_connection = True
            return
        _Handler.longest_answer = max(_Handler.longest_answer, len(found))
        self._answer(200, found)

    def _query(self, sql: str, asked: dict[str, str], rows: bytes) -> bytes:
        given = {name[6:]: value for name, value in asked.items() if name.startswith("param_")}
        self.engine.query(f"USE {asked.get('database', 'default')}")
        if not rows:
            return bytes(self.engine.query(sql, "TabSeparated", params=given).bytes())
        with tempfile.NamedTemporaryFile() as file:
            file.write(rows)
            file.flush()
            head, _, form = sql.strip().rpartition("FORMAT")
            self.engine.query(f"{head} FROM INFILE '{file.name}' FORMAT {form}")
        return b""

    def _fields(self, body: bytes) -> dict[str, str]:
        head = f"content-type: {self.headers['content-type']}\r\n\r\n".encode()
        parts = BytesParser().parsebytes(head + body).get_payload()
        assert isinstance(parts, list)
        named = {}
        for part in parts:
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            named[str(part.get_param("name", header="content-disposition"))] = payload.decode()
        return named

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        if status >= 400:
            code = _CODE.search(body.decode())
            self.send_header("X-ClickHouse-Exception-Code", code[1] if code else "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a path holds statements."""


def main() -> None:
    """Serve until killed."""
    _Handler.engine = chdb.connect(sys.argv[1])
    with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), _Handler) as server:
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
