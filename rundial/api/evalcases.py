"""Datasets and their cases: mappings with an id each."""

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


def dataset_of(
    dataset: object, suite_name: str, *, name: str | None = None, version: str | None = None
) -> tuple[dict[str, Any], Sequence[Case]]:
    """Return what a dataset is called, and its cases where it is a list of them.

    Args:
        dataset: A mapping with a `name`; the reference of an artifact; or the cases themselves.
        suite_name: What cases without a name are called after.
        name: What it is called, where the dataset itself does not say.
        version: Likewise; made of the content where nobody says.

    Raises:
        ConfigError: It is something else.
    """
    if isinstance(dataset, str) and dataset.strip():
        made = hashlib.sha256(dataset.encode()).hexdigest()[:16]
        return {"name": name or "dataset", "version": version or made, "artifactRef": dataset}, ()
    if isinstance(dataset, Mapping):
        facts = {**dataset, **({"name": name} if name else {}), **({"version": version} if version else {})}
        cases = cases_of(facts.pop("cases", ()))
        if not isinstance(facts.get("name"), str) or not facts["name"]:
            raise ConfigError(
                "dataset has no name: give it {'name': …}, or a list of cases; nothing was made"
            )
        return facts, cases
    if isinstance(dataset, Iterable) and not isinstance(dataset, (str, bytes)):
        cases = cases_of(dataset)
        told = json.dumps([{**case, "id": case.id} for case in cases], sort_keys=True, default=str)
        made = hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:16]
        return {"name": name or suite_name, "version": version or made, "examples": len(cases)}, cases
    raise ConfigError(
        f"dataset must be a list of cases, a mapping with a name, or an artifact's reference, not "
        f"{type(dataset).__name__}; nothing was made"
    )


def _id_of(item: Mapping[str, Any], number: int) -> str:
    given = next((item[name] for name in _IDS if item.get(name) is not None), None)
    if given is None:
        told = json.dumps(dict(item), sort_keys=True, default=repr)
        return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:16]
    try:
        return results.example_id_of(given)
    except ValueError as error:
        raise ConfigError(f"case {number}: {error}; nothing was made") from error
