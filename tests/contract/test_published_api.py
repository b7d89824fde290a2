"""Scripts written for the published 1.0.0rc1 client find every name, parameter, command and option."""

from __future__ import annotations

from tests.support.published_api.comparison import later, missing, parameters, published


def test_published_surface_is_there_but_for_what_later_versions_own() -> None:
    """A script for the published client fails on no name but those that `later.txt` admits."""
    assert sorted(set(missing()) - set(later())) == []


def test_list_of_what_later_versions_own_holds_nothing_that_exists() -> None:
    """The admission of what is missing is never older than the code."""
    assert sorted(set(later()) - set(missing())) == []


def test_every_published_signature_can_be_read() -> None:
    """The comparison overlooks no parameter of any published call."""
    record = published()
    calls = [
        signature
        for symbols in record["modules"].values()
        for facts in symbols.values()
        for signature in (facts.get("signature"), *facts.get("members", {}).values())
        if isinstance(signature, str) and signature.startswith("(")
    ]

    assert len(calls) > 100
    assert sum(len(parameters(signature)) for signature in calls) > 300
    printed = "(self, a: 'x | None' = <factory>, *, b: 'D[str, int]' = {}, **c: 'o') -> 'bool'"
    assert parameters(printed) == ["a", "b"]
