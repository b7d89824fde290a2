"""Following a run that is still going on."""

from __future__ import annotations

from typing import Any, cast

from rundial.api.client import Client
from rundial.cli.follow import looks
from rundial.cli.target import Place

PLACE = Place("w", "p")


class _Run:
    """A client whose run goes through these statuses, one a question."""

    def __init__(self, *statuses: str) -> None:
        self._statuses = list(statuses)

    def get_run_details(self, **asked: str) -> dict[str, Any]:
        """Return the next status."""
        return {"projectId": f"prj_{asked['project_slug']}", "status": self._statuses.pop(0)}


def _looks(*statuses: str, is_following: bool) -> list[str]:
    client = cast(Client, _Run(*statuses))
    return list(looks(client, PLACE, "r", interval_s=0.001, is_following=is_following))


def test_one_look_without_follow() -> None:
    """Without --follow a running run is read once."""
    assert _looks("running", is_following=False) == ["prj_p"]


def test_following_looks_once_more_after_the_end() -> None:
    """The last look comes after the run was seen to be over, so that nothing at its end is missed."""
    assert len(_looks("running", "running", "completed", is_following=True)) == 3


def test_following_a_run_that_is_over_ends_at_once() -> None:
    """Every final status ends it."""
    for status in ("completed", "failed", "aborted", "crashed"):
        assert len(_looks(status, is_following=True)) == 1
