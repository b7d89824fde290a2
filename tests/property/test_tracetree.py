"""A trace as a tree, whatever its parents and its texts are."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rundial.server.anyvalue import canonical
from rundial.server.spanview import as_json
from rundial.server.store.events import StoredSpan
from rundial.server.tracetree import CYCLE, MISSING, Node, Place, planted

IDS = st.integers(0, 12).map(lambda number: number.to_bytes(8, "big"))
NODES = st.lists(
    st.builds(Node, IDS, st.none() | IDS, st.integers(0, 9), st.sampled_from(["a", "b"])), max_size=14
)


@given(NODES)
def test_every_span_has_one_place_below_its_parent_or_says_why_not(nodes: list[Node]) -> None:
    """None is lost and none comes twice; a place without a mark is right below its parent's."""
    places = planted(nodes)

    assert sorted(each.index for each in places) == list(range(len(nodes)))
    above: list[Place] = []
    for each in places:
        del above[each.depth :]
        assert len(above) == each.depth
        above.append(each)
        node = nodes[each.index]
        if each.depth:
            assert nodes[above[-2].index].span_id == node.parent_id
            assert each.problem == ""
        else:
            ids = {other.span_id for other in nodes}
            assert (each.problem == MISSING) == (node.parent_id is not None and node.parent_id not in ids)
            assert (each.problem == CYCLE) == (node.parent_id in ids)


@given(NODES)
def test_siblings_stand_in_the_order_of_their_start(nodes: list[Node]) -> None:
    """And so do the tops that no circle made."""
    places = planted(nodes)
    last: dict[tuple[int, ...], int] = {}
    path: list[int] = []
    for each in places:
        del path[each.depth :]
        key = tuple(path)
        start = nodes[each.index].start_unix_ns
        if each.problem != CYCLE:
            assert last.get(key, -1) <= start
            last[key] = start
        path.append(each.index)


@given(st.permutations([*range(6)]))
def test_a_circle_is_cut_above_its_earliest_span_in_any_order(order: list[int]) -> None:
    """And only there."""
    nodes = [
        Node(bytes([0]), bytes([3]), 5, "a"),
        Node(bytes([1]), bytes([0]), 3, "a"),
        Node(bytes([2]), bytes([1]), 4, "a"),
        Node(bytes([3]), bytes([2]), 6, "a"),
        Node(bytes([4]), bytes([2]), 1, "a"),
        Node(bytes([5]), bytes([4]), 0, "a"),
    ]

    places = planted([nodes[index] for index in order])

    (top,) = (each for each in places if each.depth == 0)
    assert (order[top.index], top.problem) == (1, CYCLE)


@given(NODES)
def test_skew_is_told_only_between_clocks(nodes: list[Node]) -> None:
    """By how much, and never for one machine's own spans."""
    above: list[Node] = []
    for each in planted(nodes):
        del above[each.depth :]
        node = nodes[each.index]
        parent = above[-1] if above else None
        expected = 0
        if parent is not None and parent.instance != node.instance:
            expected = max(0, parent.start_unix_ns - node.start_unix_ns)
        assert each.clock_skew_ns == expected
        above.append(node)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(TEXTS, TEXTS, st.dictionaries(TEXTS, VALUES, max_size=3), st.none() | st.integers(0, 2**63 - 1))
def test_a_span_is_json_that_any_reader_takes(
    name: str, message: str, attributes: dict[str, object], end: int | None
) -> None:
    """Whatever its texts hold; what is no number is a text."""
    stored = canonical(attributes) if attributes else ""
    span = StoredSpan(
        1, b"t" * 16, b"s" * 8, None, name, "client", 0, end, "ok", message, 2, stored, "", "", 1, 1
    )

    def refuse(constant: str) -> Any:
        raise AssertionError(constant)

    found = json.loads(as_json(span, "i", '"more":1', {}), parse_constant=refuse)

    assert (found["name"], found["statusMessage"], found["more"]) == (name, message, 1)
    assert (found["endNs"], found["durationNs"]) == ((None, None) if end is None else (str(end), str(end)))
    assert sorted(found["attributes"]) == sorted(attributes)
    assert (found["events"], found["links"], found["interrupted"], found["running"]) == ([], [], False, False)
