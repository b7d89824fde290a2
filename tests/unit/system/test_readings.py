"""Several sources read together."""

from __future__ import annotations

import logging

import pytest

from rundial.system.readings import Readings


def test_a_source_that_fails_costs_its_own_values_only(caplog: pytest.LogCaptureFixture) -> None:
    """What a hardened machine hides does not hide the rest, and is told of once, for who looks."""

    def hidden() -> dict[str, float]:
        raise PermissionError("/proc/diskstats")

    read = Readings([lambda: {"a": 1.0}, hidden, lambda: {"b": 2.0}])
    with caplog.at_level(logging.DEBUG, "rundial"):
        assert read() == {"a": 1.0, "b": 2.0}
        assert read() == {"a": 1.0, "b": 2.0}

    assert [record.levelname for record in caplog.records] == ["DEBUG"]
