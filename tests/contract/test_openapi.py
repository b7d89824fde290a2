"""The API's own description: complete, true, and checked against a real server by schemathesis."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import run

import pytest

from rundial.server import app
from rundial.server.described import DESCRIBED
from rundial.server.openapi import document, operations
from tests.support.program import ServerProgram

BUDGET_S = 200


def test_every_route_is_described_and_every_description_is_a_route() -> None:
    """A route that is added without its row in `rundial.server.described` fails here."""
    routes = {(method, route.path) for method, route in operations(app._ROUTES)}

    assert sorted(routes - set(DESCRIBED)) == []
    assert sorted(set(DESCRIBED) - routes) == []


def test_operations_have_names_of_their_own() -> None:
    """Generated clients have one function for each."""
    found = document(app._ROUTES)
    names = [each["operationId"] for path in found["paths"].values() for each in path.values()]

    assert len(names) == len(set(names)) == len(DESCRIBED)


@pytest.mark.fault
@pytest.mark.timeout(BUDGET_S + 60)
def test_the_server_answers_as_its_description_says(tmp_path: Path) -> None:
    """No request that the description allows, or forbids, makes it fail or answer something else."""
    report = tmp_path / "report.txt"
    with ServerProgram(tmp_path / "data") as server, report.open("w") as out:
        options = [
            f"{server.url}/api/v1/openapi.json",
            f"--header=authorization: Bearer {server.key}",
            "--checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
            "--phases=coverage,fuzzing",
            "--max-time=75",
            "--exclude-path=/api/v1/stream/logs",
            "--exclude-path=/api/v1/stream/metrics",
            "--exclude-path=/api/v1/auth/logout",
            "--max-examples=8",
            "--seed=1",
            "--generation-database=none",
            "--request-timeout=20",
            "--no-color",
        ]
        command = [sys.executable, "-m", "schemathesis.cli", "run", *options]
        found = run(command, stdout=out, stderr=out, timeout=BUDGET_S, check=False, cwd=tmp_path)

    assert found.returncode == 0, report.read_text()[-6_000:]
