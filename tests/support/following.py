"""Reading a server's streams of events, as a browser does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import urllib3

from tests.support.server import Caller

DEADLINE_S = 10.0


@contextmanager
def following(
    server: Caller, path: str, run: str, *, last: str = "", beats: str = "", **more: object
) -> Iterator[Iterator[dict[str, Any]]]:
    """Events of a stream about a run, as they come.

    Args:
        server: Where.
        path: Of the stream.
        run: The run's id.
        last: Go on behind this event.
        beats: Not empty to be given the comments, too.
        more: Further arguments; a list is given as often as it has items.
    """
    pool = urllib3.PoolManager(retries=False, timeout=DEADLINE_S)
    headers = {"authorization": f"Bearer {server.key}"} | ({"last-event-id": last} if last else {})
    fields = [("projectId", server.project_id()), ("runId", run)]
    for name, value in more.items():
        fields += [(name, str(each)) for each in (value if isinstance(value, list) else [value])]
    answer = pool.request("GET", f"{server.url}{path}", fields=fields, headers=headers, preload_content=False)
    assert answer.status == 200, answer.read()
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = _events(answer)
    try:
        yield found if beats else (each for each in found if "comment" not in each)
    finally:
        answer.close()
        pool.clear()


def _events(answer: urllib3.response.BaseHTTPResponse) -> Iterator[dict[str, Any]]:
    held: dict[str, Any] = {}
    for line in answer:
        text = line.decode().rstrip("\n")
        if not text and held:
            yield held
            held = {}
        elif text:
            name, _, value = text.partition(": ")
            held[name or "comment"] = json.loads(value) if name == "data" else value
