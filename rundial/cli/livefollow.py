"""`--follow` by the server's stream of a run's text: a line is printed as it is stored.

Thread: one reads the stream; the command's own prints, and looks now and then whether the run is over.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from rundial.cli.follow import OVER
from rundial.cli.lines import Wish, identity, last_lines, tell
from rundial.cli.livereader import Reader
from rundial.cli.output import Output
from rundial.cli.target import Place

if TYPE_CHECKING:
    from rundial.api.client import Client
    from rundial.api.livestream import LiveEvent


def follow(output: Output, client: Client, place: Place, wish: Wish, interval_s: float) -> bool:
    """Print a run's last lines, then each new one, until the run is over or Ctrl-C.

    Returns:
        False when the server streams no text to this key, and nothing was printed.

    Raises:
        RundialRequestError: The run cannot be read, or the stream was refused later on.
    """
    project_id, is_over = _state(client, place, wish.run_id)
    if is_over:
        tell(output, wish.run_id, last_lines(client, project_id, wish))
        return True
    from rundial.api.livestream import LINES

    query = {name: str(value) for name, value in wish.fields(project_id).items() if name != "startMs"}
    reader = Reader(client, LINES, {**query, "follow": "true"})
    try:
        # The stream stands before the last lines are read, so none falls between them.
        after = reader.opened()
        if after is None:
            return False
        rows = last_lines(client, project_id, wish)
        tell(output, wish.run_id, rows)
        known = {identity(row) for row in rows}
        while True:
            after = _printed(output, reader, wish.run_id, known, after, interval_s)
            if _state(client, place, wish.run_id)[1]:
                break
        _rest(output, client, query, wish.run_id, known, after)
    except KeyboardInterrupt:
        return True  # how a person leaves it
    finally:
        reader.stop.set()
    return True


def _state(client: Client, place: Place, run_id: str) -> tuple[str, bool]:
    found = client.get_run_details(workspace_slug=place.workspace, project_slug=place.project, run_id=run_id)
    return str(found.get("projectId", "")), found.get("status") in OVER


def _printed(
    output: Output, reader: Reader, run_id: str, known: set[tuple[object, ...]], after: str, wait_s: float
) -> str:
    """Print what comes for a while; return where the stream stands."""
    end_s = time.monotonic() + wait_s
    while True:
        event = reader.next(end_s)
        if event is None:
            return after
        after = event.place or after
        _print(output, run_id, event, known)
        if time.monotonic() >= end_s:
            return after


def _rest(
    output: Output,
    client: Client,
    query: dict[str, str],
    run_id: str,
    known: set[tuple[object, ...]],
    after: str,
) -> None:
    """Print what was stored up to the end of the run."""
    from rundial.api.livestream import LINES, live_events

    whole = {**query, "follow": "false"}
    for event in live_events(client, LINES, whole, stop=threading.Event(), place=after):
        _print(output, run_id, event, known)


def _print(output: Output, run_id: str, event: LiveEvent, known: set[tuple[object, ...]]) -> None:
    if event.name != "line" or identity(event.data) in known:
        return
    tell(output, run_id, [dict(event.data)])
