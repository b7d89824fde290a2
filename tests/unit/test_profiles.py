"""Profiles and keys on disk."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial import profiles
from rundial.errors import ConfigError

HERE = "http://127.0.0.1:8787"


def _write_config(text: str) -> Path:
    Path(profiles.directory()).mkdir(parents=True, exist_ok=True)
    Path(profiles.config_path()).write_text(text)
    return Path(profiles.config_path())


def test_nothing_on_disk_is_no_profile() -> None:
    """An account that never used Rundial has no profile and no key, and that is no error."""
    known = profiles.load()

    assert (known.active, known.key_for(HERE)) == (None, None)
    assert not Path(profiles.directory()).exists()


def test_first_local_server_becomes_the_active_profile() -> None:
    """After the first `rundial server`, scripts of the account find it with no setting."""
    profiles.store_local(HERE, "rdk_one", "default-workspace")

    active = profiles.load().active
    assert active is not None
    assert (active.name, active.endpoint, active.workspace) == ("local", HERE, "default-workspace")
    assert profiles.load().key_for(HERE) == "rdk_one"


def test_local_server_leaves_the_active_profile_alone() -> None:
    """Starting a server never redirects an account that works with another one."""
    _write_config('version = 2\nactive_profile = "team"\n[profiles.team]\nendpoint = "https://rd.example"\n')

    profiles.store_local(HERE, "rdk_one", "default-workspace")

    known = profiles.load()
    assert known.active_name == "team"
    assert known.named("local").endpoint == HERE


def test_users_comments_and_other_profiles_survive_a_change() -> None:
    """The file is the user's own: what they wrote into it stays."""
    path = _write_config('# mine\nversion = 2\n[profiles.team]\nendpoint = "https://rd.example" # the team\n')

    profiles.store_local(HERE, "rdk_one", "default-workspace")

    assert "# mine" in path.read_text()
    assert '"https://rd.example" # the team' in path.read_text()


def test_key_is_returned_for_its_own_endpoint_only() -> None:
    """A stored key never goes to another server, port, scheme or path."""
    profiles.store_local(HERE, "rdk_one", "default-workspace")

    known = profiles.load()
    others = ["http://127.0.0.1:8788", "https://127.0.0.1:8787", "http://localhost:8787", f"{HERE}/x"]
    assert [known.key_for(other) for other in others] == [None] * 4


def test_key_does_not_follow_an_endpoint_edited_by_hand() -> None:
    """Pointing a profile elsewhere does not take its key along."""
    profiles.store_local(HERE, "rdk_one", "default-workspace")
    path = Path(profiles.config_path())
    path.write_text(path.read_text().replace(HERE, "http://evil.example"))

    assert profiles.load().key_for("http://evil.example") is None


def test_key_of_an_entry_under_another_endpoints_name_is_refused() -> None:
    """The address decides, not the hash that names the entry."""
    profiles.store_local(HERE, "rdk_one", "default-workspace")
    secrets = json.loads(Path(profiles.secrets_path()).read_text())
    (entry,) = secrets.values()
    name = profiles.service("local", "http://evil.example")
    Path(profiles.secrets_path()).write_text(json.dumps({name: entry}))

    assert profiles.load().key_for("http://evil.example") is None


def test_two_local_servers_both_keep_their_keys() -> None:
    """A second server on another port does not lock anyone out of the first."""
    profiles.store_local(HERE, "rdk_one", "default-workspace")
    profiles.store_local("http://127.0.0.1:9000", "rdk_two", "default-workspace")

    known = profiles.load()
    assert (known.key_for(HERE), known.key_for("http://127.0.0.1:9000")) == ("rdk_one", "rdk_two")


def test_keys_of_local_servers_are_bounded() -> None:
    """Servers on ever new ports do not fill the secrets file."""
    for port in range(9000, 9040):
        profiles.store_local(f"http://127.0.0.1:{port}", f"rdk_{port}", "default-workspace")

    assert len(json.loads(Path(profiles.secrets_path()).read_text())) == 16
    assert profiles.load().key_for("http://127.0.0.1:9039") == "rdk_9039"


def test_files_are_for_the_owner_alone() -> None:
    """Nobody else on the machine can read a key or the folder it is in."""
    profiles.store_local(HERE, "rdk_one", "default-workspace")

    modes = [Path(profiles.directory()), Path(profiles.config_path()), Path(profiles.secrets_path())]
    assert [stat.S_IMODE(path.stat().st_mode) for path in modes] == [0o700, 0o600, 0o600]


def test_unchanged_profile_is_not_written_again() -> None:
    """Restarting the same server touches no file."""
    profiles.store_local(HERE, "rdk_one", "default-workspace")
    before = [path.stat() for path in (Path(profiles.config_path()), Path(profiles.secrets_path()))]

    profiles.store_local(HERE + "/", "rdk_one", "default-workspace")

    after = [path.stat() for path in (Path(profiles.config_path()), Path(profiles.secrets_path()))]
    assert [(s.st_ino, s.st_mtime_ns) for s in before] == [(s.st_ino, s.st_mtime_ns) for s in after]


def test_broken_config_names_the_place_and_stays_as_it_is() -> None:
    """A typo in the file costs a message with line and column, never the file."""
    path = _write_config("version = 2\n[profiles.team\n")

    with pytest.raises(ConfigError, match=r"line 2,? col(umn)? \d+"):
        profiles.load()
    with pytest.raises(ConfigError):
        profiles.store_local(HERE, "rdk_one", "default-workspace")

    assert path.read_text() == "version = 2\n[profiles.team\n"
    assert not Path(profiles.secrets_path()).exists()


def test_broken_secrets_are_neither_shown_nor_overwritten() -> None:
    """A damaged secrets file is reported without its content and stays as it is."""
    profiles.store_local(HERE, "rdk_one", "default-workspace")
    Path(profiles.secrets_path()).write_text('{"a": {"api_key": "rdk_secret"')

    with pytest.raises(ConfigError) as raised:
        profiles.store_local(HERE, "rdk_two", "default-workspace")

    assert "rdk_secret" not in str(raised.value)
    assert "rdk_secret" in Path(profiles.secrets_path()).read_text()


@pytest.mark.parametrize(
    "text",
    ["version = 3\n", 'version = "2"\n', "profiles = 1\n", "[profiles]\nteam = 1\n", "[profiles.'a b']\n"],
)
def test_config_of_another_shape_is_refused(text: str) -> None:
    """A file that Rundial does not understand is never guessed at."""
    _write_config(text)

    with pytest.raises(ConfigError, match=r"config\.toml"):
        profiles.load()


def test_unknown_profile_names_the_known_ones() -> None:
    """A mistyped profile is answered with those that there are."""
    profiles.store_local(HERE, "rdk_one", "default-workspace")

    with pytest.raises(ConfigError, match=r"'lokal'.*known: local"):
        profiles.load().named("lokal")


def test_profiles_do_not_print_their_secrets() -> None:
    """No traceback or log line that shows the profiles shows a key."""
    profiles.store_local(HERE, "rdk_one", "default-workspace")

    assert "rdk_one" not in repr(profiles.load())


@pytest.mark.parametrize(
    ("given_text", "normal"),
    [
        (" http://LocalHost:8787/ ", "http://localhost:8787"),
        ("https://rd.example:443", "https://rd.example"),
        ("HTTP://[::1]:80/base/", "http://[::1]/base"),
    ],
)
def test_one_server_has_one_spelling(given_text: str, normal: str) -> None:
    """A trailing slash or a capital letter does not make a stored key disappear."""
    assert profiles.normalise(given_text) == normal


@pytest.mark.parametrize(
    "wrong", ["", "127.0.0.1:8787", "ftp://a", "http://", "http://a:x", "http://a?b=c", "http://a#b"]
)
def test_what_is_no_address_is_refused(wrong: str) -> None:
    """A wrong endpoint is a ConfigError at once, not a puzzling failure later."""
    with pytest.raises(ConfigError):
        profiles.normalise(wrong)


def test_password_in_an_endpoint_is_refused_and_not_shown() -> None:
    """A secret in a URL is never repeated in an error."""
    with pytest.raises(ConfigError) as raised:
        profiles.normalise("http://me:hunter2@rd.example")

    assert "hunter2" not in str(raised.value)


@given(st.text())
def test_any_text_is_an_address_or_a_config_error(text: str) -> None:
    """No endpoint, however odd, raises anything but ConfigError, and a normal one stays as it is."""
    try:
        normal = profiles.normalise(text)
    except ConfigError:
        return

    assert profiles.normalise(normal) == normal
