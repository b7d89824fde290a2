"""Which server, key, workspace and project a command means."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click
import pytest

from rundial import profiles
from rundial.api.client import Client
from rundial.cli.failure import CommandError
from rundial.cli.main import main
from rundial.cli.options import Flags
from rundial.cli.target import Place, session_of

HERE = "http://127.0.0.1:8787"
THERE = "http://127.0.0.1:9999"


class _Answers:
    """A client that knows workspaces and projects, and nothing else."""

    def __init__(self, workspaces: list[str], projects: list[str]) -> None:
        self._workspaces = workspaces
        self._projects = projects

    def list_workspaces(self) -> list[dict[str, Any]]:
        """Return them."""
        return [{"workspaceSlug": slug} for slug in self._workspaces]

    def list_projects(self, *, workspace_slug: str) -> list[dict[str, Any]]:
        """Return them."""
        return [{"projectSlug": slug} for slug in self._projects]


def _client(workspaces: list[str], projects: list[str]) -> Client:
    return cast(Client, _Answers(workspaces, projects))


def _context(**flags: Any) -> click.Context:
    return click.Context(main, obj=Flags(**flags))


def test_nothing_set_means_the_local_server() -> None:
    """Without any setting the commands ask the address that `rundial server` listens on."""
    assert session_of(_context()).target.endpoint == HERE


def test_flags_win_over_environment_and_environment_over_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearer a setting is to the command, the more it counts."""
    profiles.store_local(HERE, "rdk_one", "from-profile")
    assert session_of(_context()).target.workspace == "from-profile"

    monkeypatch.setenv("RUNDIAL_WORKSPACE", "from-env")
    monkeypatch.setenv("RUNDIAL_ENDPOINT", THERE)
    target = session_of(_context()).target
    assert (target.endpoint, target.workspace) == (THERE, "from-env")

    target = session_of(_context(endpoint="http://flag"), workspace="from-flag").target
    assert (target.endpoint, target.workspace) == ("http://flag", "from-flag")


def test_stored_key_stays_with_its_endpoint() -> None:
    """`--endpoint` elsewhere does not send the stored key there."""
    profiles.store_local(HERE, "rdk_one", "w")

    assert session_of(_context()).client().api_key == "rdk_one"
    assert session_of(_context(endpoint=THERE)).client().api_key is None


def test_key_of_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """RUNDIAL_API_KEY is used instead of a stored key."""
    profiles.store_local(HERE, "rdk_one", "w")
    monkeypatch.setenv("RUNDIAL_API_KEY", "rdk_env")

    assert session_of(_context()).client().api_key == "rdk_env"


def test_only_workspace_and_project_need_no_name() -> None:
    """A server with one project answers without being told which."""
    session = session_of(_context())

    assert session.place(_client(["w"], ["p"])) == Place("w", "p")


@pytest.mark.parametrize(
    ("projects", "words"), [([], "there is no project"), (["a", "b"], "this key sees 2 projects: a, b")]
)
def test_several_or_none_is_an_error_that_says_what_to_do(projects: list[str], words: str) -> None:
    """The commands do not guess between projects."""
    with pytest.raises(CommandError, match=words) as raised:
        session_of(_context()).place(_client(["w"], projects))
    assert "--project" in (raised.value.next_step or "")


def test_profile_flag_selects_a_profile() -> None:
    """`--profile` counts for one command and changes nothing on disk."""
    profiles.store_local(HERE, "rdk_one", "w")
    path = Path(profiles.config_path())
    path.write_text(path.read_text() + f'\n[profiles.other]\nendpoint = "{THERE}"\nworkspace = "o"\n')
    before = path.read_bytes()
    target = session_of(_context(profile="other")).target

    assert (target.endpoint, target.workspace) == (THERE, "o")
    assert path.read_bytes() == before
