"""The public names, pinned: adding or losing one is a decision that a reviewer sees."""

from __future__ import annotations

import pytest

import rundial

NAMES = [
    "ArtifactError",
    "Client",
    "ConfigError",
    "ConfigValue",
    "Distributed",
    "Figure",
    "Histogram",
    "Image",
    "Ledger",
    "LoggingHandler",
    "Mode",
    "ResumeMode",
    "Run",
    "RunKind",
    "RundialClient",
    "RundialDiagnostics",
    "RundialError",
    "RundialEvalRun",
    "RundialEvalSuite",
    "RundialRequestError",
    "RundialRun",
    "RundialSpan",
    "Span",
    "Table",
    "__version__",
    "checkpoint",
    "eval",
    "init",
    "inject",
    "wrap_executor",
]


def test_public_names_are_exactly_these() -> None:
    """What a script may import from rundial does not change by accident."""
    assert sorted(rundial.__all__) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_public_name_can_be_loaded(name: str) -> None:
    """Every name that is announced exists."""
    assert getattr(rundial, name) is not None


def test_dir_lists_the_public_names() -> None:
    """Completion in a notebook finds what has not been loaded yet."""
    assert set(NAMES) <= set(dir(rundial))


def test_unknown_name_raises_attribute_error() -> None:
    """A typo is answered at once, in the words of Python."""
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(rundial, "no_such_name")  # noqa: B009 -- a type checker knows that the name is wrong
