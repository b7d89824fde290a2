"""A model that always says the same, behind OpenAI's HTTP API.

A mock, because no model can be had where the tests run; the library and its instrumentation are real, and so
are the requests between them and this server.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "small-model-2026"
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 80},
}
CALL = {"id": "call-1", "type": "function", "function": {"name": "search", "arguments": '{"query": "rings"}'}}
PIECES = ("A ring ", "is a buffer.")


class _Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked["model"] == "broken":
            self._answer(500, "application/json", json.dumps({"error": {"message": "out of order"}}))
        elif asked.get("stream"):
            self._answer(200, "text/event-stream", "".join(f"data: {piece}\n\n" for piece in _pieces()))
        else:
            self._answer(200, "application/json", json.dumps(_whole(has_tools="tools" in asked)))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, kind: str, body: str) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _whole(*, has_tools: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(PIECES)}
    if has_tools:
        message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    choice = {"index": 0, "finish_reason": "tool_calls" if has_tools else "stop", "message": message}
    return {**_head("chat.completion"), "choices": [choice], "usage": USAGE}


def _pieces() -> Iterator[str]:
    for piece in PIECES:
        choice: dict[str, Any] = {"index": 0, "delta": {"role": "assistant", "content": piece}}
        yield json.dumps({**_head("chat.completion.chunk"), "choices": [choice]})
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    yield json.dumps({**_head("chat.completion.chunk"), "choices": [last], "usage": USAGE})
    yield "[DONE]"


def _head(kind: str) -> dict[str, Any]:
    return {"id": "answer-1", "object": kind, "created": 1_800_000_000, "model": MODEL}


@contextmanager
def serving() -> Iterator[str]:
    """Serve the model; yields the URL that OpenAI's client takes as its base."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    thread = threading.Thread(target=server.serve_forever, name="model-server")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
