"""What `pip install rundial` brings, and beside what it can be installed."""

from __future__ import annotations

from typing import Any

import pytest
import tomlkit
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.conftest import ROOT

RUNTIME = {
    "click",
    "opentelemetry-api",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-sdk",
    "psutil",
    "tomlkit",
    "urllib3",
}
EXTRAS = {
    "server",
    "s3",
    "grpc",
    "postgres",
    "clickhouse",
    "parquet",
    "media",
    "demo",
    "cli",
    "docs",
    "integrations",
    "test-integrations",
    "dev",
}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The `[project]` table."""
    found: dict[str, Any] = tomlkit.parse((ROOT / "pyproject.toml").read_text()).unwrap()["project"]
    return found


def test_runtime_dependencies_are_these_seven(project: dict[str, Any]) -> None:
    """A training image gains seven packages and no framework."""
    assert {Requirement(text).name for text in project["dependencies"]} == RUNTIME


def test_runtime_dependencies_are_ranges(project: dict[str, Any]) -> None:
    """Rundial installs beside other trackers: nothing is pinned, and every floor is said."""
    for text in project["dependencies"]:
        operators = {spec.operator for spec in Requirement(text).specifier}
        assert ">=" in operators, text
        assert not operators & {"==", "===", "~="}, text


def test_python_range_is_the_one_that_is_promised(project: dict[str, Any]) -> None:
    """3.10 to 3.13 can install it and 3.9 cannot."""
    supported = SpecifierSet(project["requires-python"])

    assert all(supported.contains(version) for version in ("3.10.0", "3.11.7", "3.12.1", "3.13.0"))
    assert not supported.contains("3.9.18")


def test_extras_are_the_documented_ones(project: dict[str, Any]) -> None:
    """Each extra that the README names exists, and no other."""
    assert set(project["optional-dependencies"]) == EXTRAS


def test_licence_and_typing_marker_are_shipped(project: dict[str, Any]) -> None:
    """Users get the licence's text and the types."""
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert (ROOT / "rundial" / "py.typed").is_file()
