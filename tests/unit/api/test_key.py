"""A run's key: set by hand, or followed where it is stored."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest

from rundial import profiles
from rundial.api.key import Key
from rundial.errors import ConfigError

HERE = "http://127.0.0.1:8787"


def store(key: str, endpoint: str = HERE) -> None:
    """Store a key as `rundial server` does."""
    profiles.store_local(endpoint, key, "default-workspace")


def test_a_stored_key_is_followed(home: Path) -> None:
    """Whoever stores another key for the run's server has the run use it."""
    store("rdk_first")
    key = Key("rdk_first", stored_for=HERE)

    store("rdk_second")

    assert key.value == "rdk_second"


def test_a_key_that_is_stored_later_is_found(home: Path) -> None:
    """A run that began without a key takes the first one that is stored."""
    key = Key(None, stored_for=HERE)
    assert key.value is None

    store("rdk_first")

    assert key.value == "rdk_first"


def test_a_key_of_another_server_is_none_for_this_one(home: Path) -> None:
    """A key is never sent to a server that it was not stored for."""
    key = Key("rdk_first", stored_for=HERE)

    store("rdk_other", "http://127.0.0.1:9999")

    assert key.value == "rdk_first"


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_stored_key_that_is_gone_or_unreadable_leaves_the_last_one(home: Path, content: str) -> None:
    """A file that somebody breaks in mid-run costs the run nothing."""
    store("rdk_first")
    key = Key("rdk_first", stored_for=HERE)

    Path(profiles.secrets_path()).write_text(content)

    assert key.value == "rdk_first"
    store_again = Path(profiles.secrets_path())
    store_again.unlink()
    store("rdk_second")
    assert key.value == "rdk_second"


def test_a_given_key_is_not_replaced_by_a_stored_one(home: Path) -> None:
    """What the program says counts, whatever is stored."""
    given, later = Key("rdk_given"), Key("rdk_first", stored_for=HERE)
    later.set("rdk_given")

    store("rdk_stored")

    assert [given.value, later.value] == ["rdk_given", "rdk_given"]


def test_a_key_that_is_set_is_told(home: Path) -> None:
    """Who waits for a key learns of it at once, and after it is there."""
    told: list[str | None] = []
    key = Key("rdk_first")
    key.on_change = lambda: told.append(key.value)

    key.set("  rdk_second\n")
    key.set(None)

    assert told == ["rdk_second", None]


@pytest.mark.parametrize("wrong", [7, b"rdk_secret", "", "  ", "rdk_secret\r\nX: y", "rdk_sécret"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(wrong: Any) -> None:
    """A mistyped key raises where it is set, keeps the former one, and appears in no message."""
    key = Key("rdk_first")

    with pytest.raises(ConfigError) as raised:
        key.set(wrong)

    assert key.value == "rdk_first"
    assert "cret" not in "".join(traceback.format_exception_only(raised.value))


def test_a_key_is_not_printed() -> None:
    """A key reaches no log by way of `repr`."""
    assert [repr(Key("rdk_first")), repr(Key(None))] == ["Key(set)", "Key(None)"]
