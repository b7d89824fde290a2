"""Following a run that is still going on."""

from __future__ import annotations

from typing import Any, cast

import pytest

from rundial.api.client import Client
from rundial.cli.follow import look_on
from rundial.cli.output import Output
from rundial.cli.target import Place
from rundial.errors import RundialRequestError

PLACE = Place("w", "p")


class _Run:
    """A client whose run goes through these statuses, one a question; a number is that HTTP status."""

    def __init__(self, *statuses: str | int) -> None:
        self._statuses = list(statuses)

    def get_run_details(self, **asked: str) -> dict[str, Any]:
        """Return the next status."""
        status = self._statuses.pop(0)
        if isinstance(status, int):
            raise RundialRequestError(f"reading run r failed with HTTP {status}", status)
        return {"projectId": f"prj_{asked['project_slug']}", "status": status}


def _looks(*statuses: str | int, is_following: bool) -> list[tuple[str, int]]:
    client, seen = cast(Client, _Run(*statuses)), []
    look_on(
        Output(),
        client,
        PLACE,
        "r",
        lambda *look: seen.append(look),
        interval_s=0.001,
        is_following=is_following,
    )
    return seen


def test_one_look_without_follow() -> None:
    """Without --follow a running run is read once."""
    assert _looks("running", is_following=False) == [("prj_p", 0)]


def test_following_looks_once_more_after_the_end() -> None:
    """The last look comes after the run was seen to be over, so that nothing at its end is missed."""
    assert len(_looks("running", "running", "completed", is_following=True)) == 3


def test_following_a_run_that_is_over_ends_at_once() -> None:
    """Every final status ends it."""
    for status in ("completed", "failed", "aborted", "crashed"):
        assert len(_looks(status, is_following=True)) == 1


def test_server_that_is_away_is_said_once_and_asked_again(capsys: pytest.CaptureFixture[str]) -> None:
    """Once each time that it went away, and nothing is looked at twice."""
    seen = _looks("running", 503, 502, "running", 503, "completed", is_following=True)

    assert [number for _, number in seen] == [0, 1, 2]
    assert capsys.readouterr().err.count("Still following") == 2


def test_refusal_ends_it() -> None:
    """A key that was revoked meanwhile is not tried again."""
    with pytest.raises(RundialRequestError):
        _looks("running", 401, is_following=True)
