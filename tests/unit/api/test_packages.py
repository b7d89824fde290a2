"""Installed packages, by the names of their directories."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

from rundial.api.packages import MAX_PACKAGES, installed


def test_installed_agrees_with_the_metadata() -> None:
    """Names and versions are those that Python's own, slower way finds."""
    known = {
        each.metadata["Name"].lower().replace("_", "-").replace(".", "-"): each.version
        for each in importlib.metadata.distributions()
    }
    found = installed(sys.path)

    assert {"pytest", "hypothesis", "numpy"} <= set(found)
    assert {name: version for name, version in found.items() if known.get(name) != version} == {}


def test_first_directory_wins(tmp_path: Path) -> None:
    """Of a package that is there twice, the version is the one that is imported."""
    for place, version in (("a", "1.0"), ("b", "2.0")):
        (tmp_path / place / f"My_Tool-{version}.dist-info").mkdir(parents=True)
    (tmp_path / "b" / "old.tool-0.1-py3.11.egg-info").mkdir()
    (tmp_path / "b" / "no version.dist-info").mkdir()
    path = [str(tmp_path / "gone"), str(tmp_path / "a"), str(tmp_path / "b"), "/some.zip"]

    assert installed(path) == {"my-tool": "1.0", "old-tool": "0.1"}


def test_number_of_packages_is_bounded(tmp_path: Path) -> None:
    """A directory of thousands costs no more than its bound."""
    for number in range(MAX_PACKAGES + 10):
        (tmp_path / f"tool{number}-1.dist-info").mkdir()

    assert len(installed([str(tmp_path)])) == MAX_PACKAGES
