"""What `rundial server` does beside serving."""

from __future__ import annotations

from pathlib import Path

import pytest

from rundial import profiles
from rundial.cli.failure import CommandError
from rundial.cli.output import Output
from rundial.cli.server import default_data, reachable, remember, require


def test_missing_extra_names_what_to_install() -> None:
    """Without the extra, the answer is the command that installs it."""
    with pytest.raises(CommandError, match=r"the server needs rundial_no_such_module") as raised:
        require("the server", "server", ("json", "rundial_no_such_module"))
    assert raised.value.next_step == "Install it: pip install 'rundial[server]'"


def test_installed_extra_is_no_error() -> None:
    """With the extra there is nothing to say."""
    require("the server", "server", ("json",))


def test_server_that_is_ready_becomes_the_local_profile() -> None:
    """Its address and key are where the account's scripts look."""
    remember(Output(), "http://127.0.0.1:9000", "rdk_one")

    assert profiles.load().key_for("http://127.0.0.1:9000") == "rdk_one"


def test_profile_that_cannot_be_stored_is_only_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A broken config file does not keep a server from serving."""
    Path(profiles.directory()).mkdir(parents=True)
    Path(profiles.config_path()).write_text("[broken\n")
    remember(Output(), "http://127.0.0.1:9000", "rdk_one")

    told = capsys.readouterr().err
    assert "was not stored" in told
    assert "rdk_one" not in told


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("http://0.0.0.0:8787", "http://127.0.0.1:8787"),
        ("http://[::]:8787", "http://[::1]:8787"),
        ("http://10.0.0.1:8787", "http://10.0.0.1:8787"),
    ],
)
def test_server_on_every_interface_is_stored_by_its_loopback_address(url: str, seen: str) -> None:
    """A wildcard is an address to listen on, not one to connect to."""
    assert reachable(url) == seen


def test_data_directory_follows_xdg(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data goes where the account keeps its data."""
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_data() == home / ".local" / "share" / "rundial"

    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_data() == Path("/data/rundial")
