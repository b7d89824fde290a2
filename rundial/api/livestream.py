"""What is stored of a run, as it comes: a stream of server-sent events, read to its end and joined again.

Blocks while nothing happens; whoever has other things to do reads it on a thread of its own. A stream that
breaks off is opened again where it was, so nothing is missed and nothing comes twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

from rundial.api import answers
from rundial.api.exchange import Answer
from rundial.errors import RundialRequestError

if TYPE_CHECKING:
    import urllib3

    from rundial.api.client import Client

LINES = "/api/v1/stream/logs"
POINTS = "/api/v1/stream/metrics"
# How a stream ends that there is no coming back to.
FINAL = frozenset({"over", "deleted"})
# The server says something every 15 s, if only that it lives.
SILENCE_S = 45.0
AGAIN_S = 1.0
MAX_LINE_BYTES = 4 << 20
MAX_ERROR_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One event of a stream.

    Attributes:
        name: `open` once it stands, `line` or `points`, `end` with the server's reason; `cut` is this side's
            word for a stream that broke off and is about to be opened again.
        data: The facts of the event.
        place: Where a stream that is opened again goes on.
    """

    name: str
    data: Mapping[str, Any]
    place: str


def live_events(
    client: Client,
    path: str,
    query: Mapping[str, object],
    *,
    stop: Event,
    place: str = "",
) -> Iterator[LiveEvent]:
    """Yield events until `stop` is set or the run is over, opening the stream again whenever it breaks off.

    Args:
        client: Of the server.
        path: Of the stream.
        query: `projectId`, `runId`, and what of it; with `follow` "false" it ends with what is there.
        stop: Ends it, at the next event.
        place: Go on there, that of an event before; empty begins with what comes next.

    Raises:
        RundialRequestError: The server refuses the stream, or does not know it.
    """
    is_opened = False
    while not stop.is_set():
        try:
            for event in _once(client, path, query, place):
                place = event.place or place
                if event.name != "open" or not is_opened:
                    yield event
                is_opened = True
                if stop.is_set() or _is_last(event, query):
                    return
        except RundialRequestError as error:
            if not is_opened or (error.status_code or 503) < 500:
                raise
            yield LiveEvent("cut", {"reason": str(error)}, place)
        stop.wait(AGAIN_S)


def _is_last(event: LiveEvent, query: Mapping[str, object]) -> bool:
    is_final = event.data.get("reason") in FINAL
    return event.name == "end" and (is_final or query.get("follow") == "false")


def _once(client: Client, path: str, query: Mapping[str, object], place: str) -> Iterator[LiveEvent]:
    import urllib3

    what = f"following {query.get('runId')}"
    url, headers = client.caller.stream_of(path, query)
    if place:
        headers["last-event-id"] = place
    pool = urllib3.PoolManager(maxsize=1, retries=False)
    try:
        response = pool.request(
            "GET",
            url,
            headers=headers,
            redirect=False,
            preload_content=False,
            timeout=urllib3.Timeout(connect=10.0, read=SILENCE_S),
        )
        if response.status != 200 or "event-stream" not in response.headers.get("content-type", ""):
            found = {name.lower(): value for name, value in response.headers.items()}
            body = response.read(MAX_ERROR_BYTES)
            answer = Answer(status=response.status, headers=found, body=body)
            answers.interpret(answer, what=what, endpoint=client.endpoint)
            raise RundialRequestError(
                f"{what}: {client.endpoint} has no such stream. Upgrade the server", 404
            )
        yield from _events(response)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise RundialRequestError(
            f"{what}: {client.endpoint} broke off ({type(error).__name__}). Try again in a moment"
        ) from error
    finally:
        pool.clear()


def _events(response: urllib3.BaseHTTPResponse) -> Iterator[LiveEvent]:
    name, data, place = "", "", ""
    for line in _lines(response):
        field, _, text = line.partition(":")
        text = text.removeprefix(" ")
        if field == "event":
            name = text
        elif field == "data":
            data += text
        elif field == "id":
            place = text
        elif not line and data:
            try:
                found = json.loads(data)
            except ValueError as error:
                raise OSError("an event holds no JSON") from error
            yield LiveEvent(name, found if isinstance(found, dict) else {}, place)
            name = data = ""


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[str]:
    """Yield lines as they come: a stream is sent in chunks, and each is handed on as it arrives."""
    waiting = b""
    for piece in response.stream(65_536):
        *lines, waiting = (waiting + piece).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r").decode("utf-8", "replace")
        if len(waiting) > MAX_LINE_BYTES:
            raise OSError("the server sends a line without an end")
