"""From resources to runs: whose records these are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.server.anyvalue import canonical, digest, plain
from rundial.server.resources import TargetError, is_id, slug, target_of
from tests.support import otlp


def test_a_run_of_ours_is_read_as_it_says() -> None:
    """Every part of the identity comes from the resource."""
    target = target_of(
        otlp.resource("run-1", instance="i", attempt=3, rundial__workspace="vision", rundial__rank=2)
    )

    assert (target.workspace, target.project, target.run_id) == ("vision", "digits", "run-1")
    assert (target.instance, target.attempt, target.rank, target.is_foreign) == ("i", 3, 2, False)


def test_a_foreign_program_gets_one_run_for_each_instance() -> None:
    """Two copies of a service are two runs; a copy that sends again is the same one."""
    first, again, other = (target_of(otlp.resource(None, instance=name)) for name in ("i", "i", "j"))

    assert first == again
    assert first.run_id != other.run_id
    assert (first.kind, first.is_foreign, is_id(first.run_id)) == ("service", True, True)


def test_a_program_without_any_name_is_told_apart_by_its_resource() -> None:
    """Even a bare SDK loses nothing."""
    nothing: dict[str, Any] = {"service__name": None, "service__instance__id": None, "rundial__project": None}
    one, two = (target_of(otlp.resource(None, host__name=name, **nothing)) for name in ("a", "b"))

    assert (one.project, one.instance != two.instance) == ("unknown_service", True)


@pytest.mark.parametrize("run_id", ["a/b", "..", ".hidden", "a b", "x" * 129, "é", "a\n"])
def test_a_run_id_that_could_be_a_path_is_refused(run_id: str) -> None:
    """Ids are used in URLs and file names by others."""
    assert not is_id(run_id)
    with pytest.raises(TargetError):
        target_of(otlp.resource(run_id))


@pytest.mark.parametrize("attempt", [0, -1, 2**31])
def test_an_attempt_that_cannot_be_is_refused(attempt: int) -> None:
    """A bad attempt would outrank every real one."""
    with pytest.raises(TargetError):
        target_of(otlp.resource("run-1", attempt=attempt))


@given(st.text(max_size=200))
def test_a_slug_is_its_own_slug(name: str) -> None:
    """Resolving a name twice leads to the same project."""
    try:
        made = slug(name)
    except TargetError:
        return

    assert slug(made) == made
    assert len(made) <= 128
    assert "/" not in made


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(_VALUES)
def test_a_value_comes_back_as_it_was_sent(value: object) -> None:
    """Config and attributes keep their types; whole numbers stay whole (defect C2)."""
    back = plain(otlp.value(value))

    assert back == value
    assert canonical(back) == canonical(value)


@given(st.lists(st.text(max_size=3), max_size=3), st.lists(st.text(max_size=3), max_size=3))
def test_different_parts_have_different_digests(one: list[str], other: list[str]) -> None:
    """Two identities never run into one because their texts do."""
    assert (digest(*one) == digest(*other)) == (one == other)
