"""Looking again and again at a run that is still going on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from rundial.cli.output import Output
from rundial.cli.target import Place
from rundial.errors import RundialRequestError

if TYPE_CHECKING:
    from rundial.api.client import Client

OVER = frozenset({"completed", "failed", "aborted", "crashed"})


def is_away(error: RundialRequestError) -> bool:
    """Whether a server did not answer, or not as itself: it may be back in a moment."""
    return (error.status_code or 503) >= 500


class Away:
    """Says once, on stderr, that a server went away; again when it was back in between.

    Args:
        output: How this invocation prints.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._is_said = False

    def say(self, why: str) -> None:
        """Note why nothing comes."""
        if not self._is_said:
            self._output.note(f"rundial: {why}. Still following")
        self._is_said = True

    def end(self) -> None:
        """Note that it answers."""
        self._is_said = False


def look_on(  # noqa: PLR0913 -- what to look at, and how
    output: Output,
    client: Client,
    place: Place,
    run_id: str,
    look: Callable[[str, int], None],
    *,
    interval_s: float,
    is_following: bool,
) -> None:
    """Call `look` with the run's project id and its number, from 0, each time that a look is due.

    The first comes at once. While following, further ones come every `interval_s` seconds until the
    run is over, and one after that, so that its last records are seen; Ctrl-C ends it as well, and a server
    that is away for a while does not.

    Raises:
        RundialRequestError: The first look failed, or one was refused.
    """
    wait, away, number = threading.Event(), Away(output), 0
    while True:
        try:
            details = client.get_run_details(
                workspace_slug=place.workspace, project_slug=place.project, run_id=run_id
            )
            look(str(details.get("projectId", "")), number)
            number += 1
            # The status was read before the look: a run that was over then has nothing new after it.
            if not is_following or details.get("status") in OVER:
                return
            away.end()
        except RundialRequestError as error:
            if not number or not is_away(error):
                raise
            away.say(str(error))
        except KeyboardInterrupt:
            if not number:
                raise
            return
        try:
            wait.wait(interval_s)
        except KeyboardInterrupt:
            return
