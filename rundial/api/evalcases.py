"""The cases of a dataset: mappings with an id each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rundial.errors import ConfigError
from rundial.signals import results

_IDS = ("id", "example_id", "exampleId")


class Case(dict[str, Any]):
    """One example: a dictionary as it was given, with an id.

    Attributes:
        id: What tells it from the others, the same in every evaluation: its own `id`, or a digest of what
            it holds.
    """

    def __init__(self, values: Mapping[str, Any], case_id: str) -> None:
        super().__init__(values)
        self.id = case_id

    def __repr__(self) -> str:
        return f"Case({self.id!r}, {dict(self)!r})"


def cases_of(items: object) -> Sequence[Case]:
    """Return cases.

    Args:
        items: Mappings, of any keys; one that has no `id` is known by a digest of what it holds.

    Raises:
        ConfigError: One is no mapping, or two have the same id.
    """
    if not isinstance(items, Iterable):
        raise ConfigError(f"cases must be a list of mappings, not {type(items).__name__}; nothing was made")
    found: dict[str, Case] = {}
    for number, item in enumerate(items):
        if not isinstance(item, Mapping):
            kind = type(item).__name__
            raise ConfigError(f"case {number} must be a mapping, not {kind}; nothing was made")
        case = Case(item, _id_of(item, number))
        if case.id in found:
            raise ConfigError(
                f"two cases have the id {case.id!r}: give each one of its own, for the result of one would "
                "stand for the other; nothing was made"
            )
        found[case.id] = case
    return list(found.values())


def _id_of(item: Mapping[str, Any], number: int) -> str:
    given = next((item[name] for name in _IDS if item.get(name) is not None), None)
    if given is None:
        told = json.dumps(dict(item), sort_keys=True, default=repr)
        return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:16]
    try:
        return results.example_id_of(given)
    except ValueError as error:
        raise ConfigError(f"case {number}: {error}; nothing was made") from error
