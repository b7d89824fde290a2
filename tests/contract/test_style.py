"""House rules that no off-the-shelf linter holds. Each test names every place that breaks its rule."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import ROOT

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
HOMELESS = {"utils", "util", "helpers", "helper", "common", "core", "manager", "managers", "misc", "shared"}
# A suppression carries its code and then, in words, its reason.
SUPPRESSION = re.compile(
    r"#\s*(?:noqa|type:\s*ignore)(?P<code>:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|\[[\w,\s-]+\])?(?P<rest>.*)"
)
REASON = re.compile(r"[a-z]{2,}.*[a-z]{2,}")


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file of the project, read and parsed once."""

    path: Path
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)
    nodes: tuple[ast.AST, ...] = field(repr=False)


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    """Every Python file of the project."""
    found = []
    for folder in ("rundial", "rundial_sdk", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            tree = ast.parse(text)
            found.append(Source(path.relative_to(ROOT), text, tree, tuple(ast.walk(tree))))
    assert len(found) > 50, "the project's files were not found"
    return found


def _breaking(sources: list[Source], is_wrong: Callable[[ast.AST], bool]) -> list[str]:
    return [
        f"{source.path}:{getattr(node, 'lineno', 0)}"
        for source in sources
        for node in source.nodes
        if is_wrong(node)
    ]


def test_files_are_short_enough_to_read_at_once(sources: list[Source]) -> None:
    """A file holds one idea; at the limit it is split by noun."""
    lengths = {str(source.path): source.text.count("\n") for source in sources}

    assert {name: lines for name, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_functions_fit_on_a_screen(sources: list[Source]) -> None:
    """A function's body, without its docstring, does one thing; at the limit it is cut in two."""

    def is_long(node: ast.AST) -> bool:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return False
        has_docstring = ast.get_docstring(node) is not None
        body = node.body[1:] if has_docstring else node.body
        return bool(body) and (body[-1].end_lineno or 0) - body[0].lineno >= MAX_FUNCTION_LINES

    assert _breaking(sources, is_long) == []


def test_files_say_what_they_are_for(sources: list[Source]) -> None:
    """Every module opens with what it is for."""
    assert [str(source.path) for source in sources if not ast.get_docstring(source.tree)] == []


def test_files_are_named_for_what_they_hold(sources: list[Source]) -> None:
    """A function without a home has an owner that has no name yet."""
    names = {source.path: {part.removesuffix(".py") for part in source.path.parts} for source in sources}

    assert [str(path) for path, parts in names.items() if parts & HOMELESS] == []


def test_exceptions_are_never_swallowed_without_a_word(sources: list[Source]) -> None:
    """What is caught is handled, counted, or answered with a reason; never just passed over."""

    def is_silent(node: ast.AST) -> bool:
        if not isinstance(node, ast.ExceptHandler) or not all(isinstance(n, ast.Pass) for n in node.body):
            return False
        if node.type is None:
            return True
        names = {part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)}
        return bool(names & {"Exception", "BaseException"})

    assert _breaking(sources, is_silent) == []


def test_nothing_sleeps(sources: list[Source]) -> None:
    """Time is a clock that tests move, and threads are awaited with a deadline."""

    def is_sleeping(node: ast.AST) -> bool:
        if isinstance(node, ast.ImportFrom):
            return node.module == "time" and any(name.name == "sleep" for name in node.names)
        return isinstance(node, ast.Attribute) and ast.unparse(node) == "time.sleep"

    assert _breaking(sources, is_sleeping) == []


def test_suppressions_carry_their_code_and_reason(sources: list[Source]) -> None:
    """A linter is overruled in the open: which rule, and why, on the same line."""
    bare = []
    for source in sources:
        for number, line in enumerate(source.text.splitlines(), start=1):
            found = SUPPRESSION.search(line)
            if found and not (found["code"] and REASON.search(found["rest"])):
                bare.append(f"{source.path}:{number}: {line.strip()}")

    assert bare == []
