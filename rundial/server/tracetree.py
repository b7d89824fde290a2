"""The spans of a trace as one tree, whatever their parents say. Pure.

Every span has exactly one place. Parents that are not there, that go round in a circle, and clocks that
disagree are what programs, crashes and networks make of a trace: they are marked, and nothing is lost or
corrected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MISSING: Final = "missing"
CYCLE: Final = "cycle"


@dataclass(frozen=True, slots=True)
class Node:
    """What of a span decides its place.

    Attributes:
        span_id: Its own id.
        parent_id: Its parent's; None is a root.
        start_unix_ns: When it says that it began.
        instance: Whose clock said so.
    """

    span_id: bytes
    parent_id: bytes | None
    start_unix_ns: int
    instance: str


@dataclass(frozen=True, slots=True)
class Place:
    """A span's place.

    Attributes:
        index: Which of the spans it is.
        depth: How many are above it.
        problem: `MISSING`, its parent is not there; `CYCLE`, it is its own ancestor, and the circle is cut
            above it; empty otherwise.
        clock_skew_ns: How much before its parent it says it began, by another clock; 0 when it does not.
    """

    index: int
    depth: int
    problem: str
    clock_skew_ns: int


def planted(nodes: Sequence[Node]) -> list[Place]:
    """Give every span its place, parents before their children, siblings by start.

    Args:
        nodes: Of one trace, in any order; of several with one id the first has the children.
    """
    order = sorted(range(len(nodes)), key=lambda index: (nodes[index].start_unix_ns, index))
    first: dict[bytes, int] = {}
    for index, node in enumerate(nodes):
        first.setdefault(node.span_id, index)
    children: dict[int, list[int]] = {}
    roots: list[tuple[int, str]] = []
    for index in order:
        parent = nodes[index].parent_id
        above = None if parent is None else first.get(parent)
        if above is None:
            roots.append((index, "" if parent is None else MISSING))
        else:
            children.setdefault(above, []).append(index)
    places: list[Place] = []
    seen = bytearray(len(nodes))
    for root, problem in roots:
        _walk(nodes, children, (root, problem), seen, places)
    # What no root leads to goes round in a circle; it is cut above its earliest span.
    for index in order:
        if not seen[index]:
            _walk(nodes, children, (_on_cycle(nodes, first, index), CYCLE), seen, places)
    return places


def _walk(
    nodes: Sequence[Node],
    children: Mapping[int, Sequence[int]],
    root: tuple[int, str],
    seen: bytearray,
    places: list[Place],
) -> None:
    """Place a root and all below it that has no place yet; a stack, for traces are deep."""
    index, problem = root
    seen[index] = 1
    places.append(Place(index, 0, problem, 0))
    waiting = [(child, index, 1) for child in reversed(children.get(index, ()))]
    while waiting:
        index, above, depth = waiting.pop()
        if seen[index]:
            continue
        seen[index] = 1
        places.append(Place(index, depth, "", _skew_ns(nodes[above], nodes[index])))
        waiting += [(child, index, depth + 1) for child in reversed(children.get(index, ()))]


def _on_cycle(nodes: Sequence[Node], first: Mapping[bytes, int], index: int) -> int:
    """The earliest span of the circle that a span's ancestors end in."""
    met: set[int] = set()
    while index not in met:
        met.add(index)
        index = first[nodes[index].parent_id or b""]
    circle = [index]
    while (index := first[nodes[index].parent_id or b""]) != circle[0]:
        circle.append(index)
    return min(circle, key=lambda each: (nodes[each].start_unix_ns, each))


def _skew_ns(parent: Node, child: Node) -> int:
    if parent.instance == child.instance:
        return 0
    return max(0, parent.start_unix_ns - child.start_unix_ns)
