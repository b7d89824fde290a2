"""The documentation says what the code does: pages build, examples run, nothing public lacks a page."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import rundial
from rundial.cli.main import main
from rundial.diagnostics import REASONS
from rundial.signals import semconv
from rundial.signals.units import UNITS
from tests.conftest import ROOT
from tests.support import help_page, settings_page
from tests.support.program import ServerProgram

DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DEFECT = re.compile(r"^\| (?P<id>[A-Z]\d+) \|.*\|(?P<tests>[^|]*)\|$", re.MULTILINE)
TEST_ID = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
# Letter of the kind, and which of that kind: those that this version owns.
DEFECT_NUMBERS = {
    "A": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
    "C": (1, 2, 4, 5),
    "D": (1, 2),
    "L": tuple(range(1, 17)),
    "P": tuple(range(1, 11)),
    "S": (1, 2, 3, 4),
    "X": (1, 2, 3, 4, 5, 6, 7, 8),
}
DEFECTS = {f"{kind}{number}" for kind, numbers in DEFECT_NUMBERS.items() for number in numbers}


def _examples() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for number, code in enumerate(EXAMPLE.findall(page.read_text()), start=1):
            yield f"{page.relative_to(ROOT)}-{number}", code


EXAMPLES = dict(_examples())


# Some seconds of work, on whatever is left of the machine.
@pytest.mark.timeout(120)
def test_pages_build_without_a_warning(tmp_path: Path) -> None:
    """No link is dead, and no page is missing from the navigation."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "index.html").is_file()


def test_links_of_the_readme_lead_somewhere() -> None:
    """Nobody who reads the first page meets a dead end."""
    targets = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text())

    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_readme_quick_start_has_at_most_15_lines() -> None:
    """The first program that a newcomer reads fits in one look."""
    (example,) = EXAMPLE.findall((ROOT / "README.md").read_text())

    assert len(example.splitlines()) <= 15


@pytest.mark.e2e
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs_as_it_is_printed(name: str, server: ServerProgram) -> None:
    """A program that is copied from a page works against a server that was just started."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", EXAMPLES[name]],
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )

    assert done.returncode == 0, done.stderr
    assert not re.search(r"Traceback|Warning|Error", done.stderr), done.stderr


@pytest.mark.e2e
@pytest.mark.timeout(60)
def test_readme_quick_start_is_stored_whole(server: ServerProgram) -> None:
    """What the first program logs is on the server when it ends, to the last point."""
    subprocess.run([sys.executable, "-c", EXAMPLES["README.md-1"]], check=True, timeout=40)

    place = "/api/v1/workspaces/default-workspace/projects/first-flight/runs"
    (run,) = server.rows(f"{place}/query", "runs")
    found = server.get(f"{place}/{run['runId']}")
    assert found["status"] == "completed"
    assert found["counts"] == {"points": 1_000, "lines": 10, "spans": 1}


def test_every_public_name_has_its_place() -> None:
    """Each name that a script may import is on the page of the Python API."""
    page = (DOCS / "python-api.md").read_text()

    assert [name for name in rundial.__all__ if f"`{name}`" not in page] == []


def test_settings_page_has_the_table_of_the_settings() -> None:
    """Each setting can be found by its argument and its variable, with default, unit and minimum."""
    (table,) = settings_page.TABLE.findall(settings_page.PAGE.read_text())

    assert table == settings_page.table(), "write it anew: python -m tests.support.settings_page"


def test_system_metrics_page_has_each_series_with_its_unit() -> None:
    """A system metric can be looked up, and what is looked up exists."""
    page = (DOCS / "system-metrics.md").read_text()

    assert dict(re.findall(r"^\| `(system/[\w/.]+)` \| `([^`]+)` \|", page, re.MULTILINE)) == UNITS


def test_every_command_and_option_has_its_place() -> None:
    """The command line's page leaves nothing out that --help shows."""
    page = (DOCS / "cli.md").read_text()
    lacking = []
    for path, command in _commands(main, "rundial"):
        if not isinstance(command, click.Group) and f"`{path}`" not in page:
            lacking.append(path)
        for param in command.params:
            names = [name for name in param.opts if name.startswith("--")]
            lacking += [f"{path} {name}" for name in names if f"`{name}" not in page]

    assert lacking == []


def test_help_pages_are_those_of_the_commands() -> None:
    """What stands in the documentation is what `--help` prints."""
    assert help_page.PAGE.read_text() == help_page.page(), "write it anew: python -m tests.support.help_page"


def test_every_name_on_the_wire_is_described() -> None:
    """Whoever runs a Collector can look up each attribute and event that passes."""
    page = (DOCS / "wire.md").read_text()
    names = {value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}

    assert sorted(name for name in names if f"`{name}`" not in page) == []


def test_every_reason_for_loss_is_explained() -> None:
    """A count in the ledger can be looked up."""
    page = (DOCS / "promises.md").read_text()

    assert [reason for reason in REASONS if f"| `{reason}` |" not in page] == []


def test_every_route_of_the_server_is_described() -> None:
    """Whoever writes a client finds each path."""
    from rundial.server import app

    page = (DOCS / "http-api.md").read_text() + (DOCS / "server.md").read_text()

    assert [route.path for route in app._ROUTES if f"{route.path}`" not in page] == []


def test_every_defect_of_the_published_client_has_its_row_and_its_test() -> None:
    """Each defect that was demonstrated in the published client is shown not to be in this one."""
    rows = {found["id"]: TEST_ID.findall(found["tests"]) for found in DEFECT.finditer(_defects())}

    assert set(rows) == DEFECTS
    assert [defect for defect, tests in rows.items() if not tests] == []


def test_every_test_that_the_defects_page_names_exists() -> None:
    """The page names tests that are run, not tests that once were."""
    named = TEST_ID.findall(_defects())

    assert [f"{path}::{name}" for path, name in named if name not in _tests_of(ROOT / path)] == []


def _defects() -> str:
    return (DOCS / "defects.md").read_text()


def _tests_of(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _commands(child, f"{path} {name}")


def test_every_class_of_attack_has_its_test() -> None:
    """What the page on security promises is tried, each class by its name."""
    page = (DOCS / "security.md").read_text()
    named = set(TEST_ID.findall(page))
    lacking = [f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / file).read_text()]
    classes = re.findall(
        r"^def (test_class_\w+)\(", (ROOT / "tests/server/test_classes.py").read_text(), re.M
    )

    assert lacking == []
    assert [name for name in classes if f"::{name}`" not in page] == []


def test_roles_page_has_the_table_of_the_roles() -> None:
    """What a role allows can be looked up, and what is looked up is what is checked."""
    from rundial.server.roles import PERMISSIONS, ROLES

    rows = re.findall(
        r"^\| `([\w:]+)` \| (yes)? ?\| (yes)? ?\| (yes)? ?\|$", (DOCS / "server.md").read_text(), re.M
    )
    said = {
        role: {row[0] for row in rows if row[number] == "yes"} for number, role in enumerate(ROLES, start=1)
    }

    assert said == {role: set(permissions) for role, permissions in ROLES.items()}
    assert {row[0] for row in rows} == PERMISSIONS


def test_scopes_are_described() -> None:
    """Whoever makes a key can look up what each scope allows."""
    from rundial.server.keys import SCOPES

    page = (DOCS / "server.md").read_text()
    assert [scope for scope in sorted(SCOPES) if f"| `{scope}` |" not in page] == []
