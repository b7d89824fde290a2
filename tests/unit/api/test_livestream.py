"""The stream of what is stored of a run, read from a server that breaks off."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rundial.api.client import Client
from rundial.api.livestream import LINES, live_events
from rundial.errors import RundialRequestError

QUERY = {"projectId": "p", "runId": "r", "follow": "true"}


class Streams:
    """A server whose every stream is written down beforehand.

    Attributes:
        seen: The place that each request asked to go on at.
    """

    def __init__(self) -> None:
        self.answers: list[tuple[int, list[str]]] = []
        self.seen: list[str | None] = []
        streams = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                streams.seen.append(self.headers["last-event-id"])
                status, chunks = streams.answers.pop(0)
                self.send_response(status)
                is_stream = status == 200
                self.send_header("content-type", "text/event-stream" if is_stream else "application/json")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for chunk in chunks:
                    data = chunk.encode()
                    self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                    self.wfile.flush()
                # Without the last chunk: the connection breaks off.
                if not is_stream:
                    self.wfile.write(b"0\r\n\r\n")
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                """Nobody reads them."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def streams() -> Iterator[Streams]:
    """It, while it listens."""
    made = Streams()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def _line(number: int) -> str:
    return f"id: {number}\nevent: line\ndata: {json.dumps({'message': f'line {number}'})}\n\n"


def test_stream_that_breaks_off_goes_on_where_it_was(streams: Streams) -> None:
    """No line is missed, and none comes twice."""
    opened = 'id: 6\nevent: open\ndata: {"after":"6"}\n\n'
    # Cut in the middle of a line and of an event, as a network cuts.
    streams.answers = [
        (200, [opened, _line(7)[:9], _line(7)[9:], ": beat\n\n", "id: 8\nevent: li"]),
        (200, [opened, _line(8) + _line(9)]),
    ]
    stop, found = threading.Event(), []
    with Client(streams.url, api_key="rdk_x") as client:
        for event in live_events(client, LINES, QUERY, stop=stop):
            found.append((event.name, event.data.get("message"), event.place))
            if event.place == "9":
                stop.set()

    assert found == [
        ("open", None, "6"),
        ("line", "line 7", "7"),
        ("cut", None, "7"),
        ("line", "line 8", "8"),
        ("line", "line 9", "9"),
    ]
    assert streams.seen == [None, "7"]


def test_stream_of_a_run_that_is_over_is_not_opened_again(streams: Streams) -> None:
    """What the server says last is the end."""
    streams.answers = [(200, ['event: end\ndata: {"reason":"over","status":"completed"}\n\n'])]
    with Client(streams.url, api_key="rdk_x") as client:
        found = list(live_events(client, LINES, QUERY, stop=threading.Event()))

    assert [(event.name, event.data["status"]) for event in found] == [("end", "completed")]


@pytest.mark.parametrize(("status", "code"), [(401, "UNAUTHORIZED"), (403, "FORBIDDEN"), (404, "NOT_FOUND")])
def test_refusal_ends_it_with_the_servers_word(streams: Streams, status: int, code: str) -> None:
    """A key that may not stream is not tried again and again."""
    streams.answers = [(status, [json.dumps({"error": {"code": code, "message": "no"}})])]
    with Client(streams.url, api_key="rdk_x") as client, pytest.raises(RundialRequestError) as caught:
        next(live_events(client, LINES, QUERY, stop=threading.Event()))

    assert caught.value.status_code == status
    assert "rdk_x" not in str(caught.value)


def test_event_that_is_no_json_is_an_error_and_no_traceback(streams: Streams) -> None:
    """Whatever stands in front of the server, its words are not taken for ours."""
    streams.answers = [(200, ["event: line\ndata: <html>\n\n"])]
    with Client(streams.url, api_key="rdk_x") as client, pytest.raises(RundialRequestError):
        next(live_events(client, LINES, QUERY, stop=threading.Event()))
