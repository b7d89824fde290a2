"""What another process learns from `meta.json`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rundial.errors import SpoolError
from rundial.spool import meta as meta_file
from rundial.value import changed
from tests.unit.spool.builders import meta


def test_meta_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    """An adopter knows all that the owner knew."""
    written = changed(
        meta(),
        lane_endpoints={"traces": "http://tempo:4318/v1/traces", "logs": None},
        drops={"points": {"queue_full": 3}},
        extra={"note": [1, "two"]},
        state="closed",
    )
    meta_file.save(str(tmp_path), written, sync=True)

    assert meta_file.load(str(tmp_path)) == written
    assert (tmp_path / "meta.json").stat().st_mode & 0o777 == 0o600


def test_meta_stores_no_password_of_an_endpoint(tmp_path: Path) -> None:
    """No secret in a file, whatever a user put into a URL."""
    written = changed(
        meta(),
        endpoint="https://anna:hunter2@tracker.example:8443/base",
        lane_endpoints={"logs": "http://bob:hunter2@[::1]:4318/v1/logs"},
    )
    meta_file.save(str(tmp_path), written, sync=False)

    assert "hunter2" not in (tmp_path / "meta.json").read_text()
    read = meta_file.load(str(tmp_path))
    assert read.endpoint == "https://tracker.example:8443/base"
    assert read.lane_endpoints == {"logs": "http://[::1]:4318/v1/logs"}


def test_meta_of_a_later_version_is_refused() -> None:
    """An old program leaves a newer one's data alone."""
    with pytest.raises(SpoolError, match="version 2"):
        meta_file.decode(json.dumps({"version": 2}).encode(), "meta.json")


def test_meta_without_a_version_is_refused() -> None:
    """A file that does not say what it is, is not taken for ours."""
    stored = json.loads(meta_file.encode(meta()))
    del stored["version"]

    with pytest.raises(SpoolError, match="version 0"):
        meta_file.decode(json.dumps(stored).encode(), "meta.json")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"version": 1}', b'{"version": "x"}', b"\xff"])
def test_meta_that_cannot_be_understood_is_refused(content: bytes) -> None:
    """Nobody guesses where another process's data should go."""
    with pytest.raises(SpoolError, match="left as it is"):
        meta_file.decode(content, "meta.json")


def test_meta_with_an_unknown_fact_is_read() -> None:
    """A fact that a later minor version adds does not strand the data."""
    stored = json.loads(meta_file.encode(meta()))

    assert meta_file.decode(json.dumps({**stored, "colour": "red"}).encode(), "meta.json") == meta()
