"""Scorers: plain functions, or names of what judges elsewhere.

A scorer function takes what it asks for by name: `output`, `case`, and whatever the case holds, such as
`input` and `expected`. It returns what `log_result` takes as a score: a boolean, a number, or
`{"score": …, "passed": …, "meta": …}`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rundial.api.ending import reason_of
from rundial.errors import ConfigError
from rundial.interrupts import let_through
from rundial.signals import results

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True)
class Scorer:
    """One scorer.

    Attributes:
        name: What its scores are called.
        facts: What the server is told of it: `name`, and such as `kind`, `goal` and `config`.
        function: What judges; None where somebody else does.
        asks: (name, whether there is a default) of the function's parameters; None for `(output, expected)`.
    """

    name: str
    facts: dict[str, Any]
    function: Callable[..., object] | None = None
    asks: tuple[tuple[str, bool], ...] | None = None

    def judge(self, case: Mapping[str, Any], output: object) -> object:
        """Return what the function says of an output, or that it raised.

        Raises:
            ConfigError: The function asks for what the case does not hold.
        """
        assert self.function is not None
        if self.asks is None:
            arguments: tuple[object, ...] = (output, case.get("expected"))
            named: dict[str, object] = {}
        else:
            arguments, named = (), self._answers({**case, "output": output, "case": case})
        try:
            return self.function(*arguments, **named)
        except Exception as error:  # noqa: BLE001 - the user's own function; its failure is the result
            let_through(error)
            return {"score": float("nan"), "passed": False, "meta": {"error": reason_of(error)}}

    def _answers(self, known: Mapping[str, object]) -> dict[str, object]:
        answers: dict[str, object] = {}
        for name, has_default in self.asks or ():
            if name in known:
                answers[name] = known[name]
            elif not has_default:
                raise ConfigError(
                    f"scorer {self.name!r} asks for {name!r}, and there is {', '.join(sorted(known))}; "
                    "rename its parameter, or give it a default"
                )
        return answers


def scorers_of(given: Iterable[object]) -> list[Scorer]:
    """Return scorers.

    Args:
        given: Names, functions, or mappings with a `name`, or a `function`, and what else is known.

    Raises:
        ConfigError: One is something else, or two have the same name.
    """
    if isinstance(given, (str, Mapping)) or not isinstance(given, Iterable):
        raise ConfigError("scorers must be a list of names or functions; nothing was made")
    found = [_scorer(each) for each in given]
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two scorers are called {name!r}: give each a name; nothing was made")
    return found


def _scorer(given: object) -> Scorer:
    facts: dict[str, Any] = {}
    function: object = None
    if isinstance(given, Mapping):
        facts = {str(key): value for key, value in given.items() if key != "function"}
        function = given.get("function")
    elif isinstance(given, str):
        facts = {"name": given}
    else:
        function = given
    if function is not None and not callable(function):
        raise ConfigError(f"a scorer must be a name or a function, not {type(function).__name__}")
    if function is not None:
        facts.setdefault("name", getattr(function, "__name__", type(function).__name__))
    name = facts.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= results.MAX_SCORER_CHARS:
        raise ConfigError(
            f"a scorer's name must be a text of 1 to {results.MAX_SCORER_CHARS} characters, not {name!r}"
        )
    return Scorer(name, facts, function, None if function is None else _asks(function))


def _asks(function: Callable[..., object]) -> tuple[tuple[str, bool], ...] | None:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None  # built in C, and silent about what it takes
    if any(each.kind is each.POSITIONAL_ONLY for each in parameters):
        return None
    return tuple((each.name, each.default is not each.empty) for each in parameters if each.kind in _NAMED)
