"""The first start, also when it was cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from rundial.errors import ConfigError
from rundial.server import keys
from rundial.server.app import close_services, open_services
from rundial.server.store.apikeys import find_key
from tests.support.clock import ManualClock


def _opens(data: Path, key: str, clock: ManualClock) -> bool:
    services = open_services(data, clock)
    try:
        parts = keys.parse(key)
        assert parts is not None
        with services.engines.reading.begin() as connection:
            stored = find_key(connection, parts[0])
        return stored is not None and stored.principal.is_owner and stored.opens_with(parts[1], 0)
    finally:
        close_services(services)


def test_the_first_start_makes_a_key_and_later_ones_keep_it(tmp_path: Path, clock: ManualClock) -> None:
    """The key that a profile stored goes on working."""
    close_services(open_services(tmp_path, clock))
    key = (tmp_path / "owner.key").read_text().strip()

    assert _opens(tmp_path, key, clock)
    assert (tmp_path / "owner.key").read_text().strip() == key


def test_a_start_killed_between_file_and_database_is_finished_by_the_next(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Nobody is left with a server that no key opens."""
    key = keys.render(*keys.generate())
    (tmp_path / "owner.key").write_text(key + "\n")

    assert _opens(tmp_path, key, clock)


def test_a_key_file_that_holds_something_else_is_left_alone(tmp_path: Path, clock: ManualClock) -> None:
    """A file that is not ours is neither used nor overwritten."""
    (tmp_path / "owner.key").write_text("not a key")

    with pytest.raises(ConfigError, match="holds no API key"):
        open_services(tmp_path, clock)

    assert (tmp_path / "owner.key").read_text() == "not a key"


def test_only_the_hash_of_a_key_is_in_the_database(tmp_path: Path, clock: ManualClock) -> None:
    """Whoever copies the database has no key."""
    close_services(open_services(tmp_path, clock))
    secret = (tmp_path / "owner.key").read_text().strip().split("_", 2)[2]

    assert secret.encode() not in (tmp_path / "rundial.db").read_bytes()
    assert keys.digest(secret).encode() in (tmp_path / "rundial.db").read_bytes()
