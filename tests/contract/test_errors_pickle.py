"""Errors travel between processes: workers raise them and parents read them."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Iterator

import pytest

from rundial import errors

SAMPLES: dict[str, object] = {"str": "é word", "int": 3, "float": 1.5, "bool": True}


def _all(base: type[errors.RundialError]) -> Iterator[type[errors.RundialError]]:
    yield base
    for child in base.__subclasses__():
        yield from _all(child)


def _made(kind: type[errors.RundialError]) -> errors.RundialError:
    """An error of the kind, with a value for each of its arguments."""
    if not inspect.isfunction(kind.__init__):  # Python's own constructor, which takes anything
        return kind("what happened")
    parameters = inspect.signature(kind).parameters.values()
    return kind(*(SAMPLES[str(each.annotation).removesuffix(" | None")] for each in parameters))


KINDS = sorted(set(_all(errors.RundialError)), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", KINDS)
def test_error_survives_pickling_whole(kind: type[errors.RundialError]) -> None:
    """An error raised in a worker arrives in the parent with its facts and its message."""
    error = _made(kind)

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        arrived = pickle.loads(pickle.dumps(error, protocol))
        assert type(arrived) is kind
        assert (str(arrived), vars(arrived), arrived.args) == (str(error), vars(error), error.args)


@pytest.mark.parametrize("kind", KINDS)
def test_error_can_be_copied_and_kept_in_a_set(kind: type[errors.RundialError]) -> None:
    """Frameworks that collect errors can hold ours."""
    error = _made(kind)

    assert str(copy.copy(error)) == str(error)
    assert error in {error}


@pytest.mark.parametrize("kind", KINDS)
def test_error_says_its_facts_on_one_line(kind: type[errors.RundialError]) -> None:
    """A message is one line, so that it can be read in a log."""
    message = str(_made(kind))

    assert message
    assert "\n" not in message
    assert "\x1b" not in message


def test_wrong_arguments_are_value_errors_and_failed_calls_runtime_errors() -> None:
    """Code that catches the built-in kinds catches ours."""
    assert issubclass(errors.ConfigError, ValueError)
    assert issubclass(errors.RundialRequestError, RuntimeError)
