"""Strategies for blocks of points, as the recorder hands them to the packer."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from rundial.signals.packer import Block

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
STEPS = (
    st.none() | st.integers(0, 2**63 - 1) | st.sampled_from([0, 127, 128, 16_383, 16_384, 2**21 - 1, 2**21])
)
TIMES = st.integers(0, 2**64 - 1)


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    """Draw a block of any names, context, times, steps and values."""
    names = tuple(draw(st.lists(TEXT.filter(bool), min_size=1, max_size=5, unique=True)))
    context = tuple(draw(st.dictionaries(TEXT.filter(bool), TEXT, max_size=3)).items())
    rows = draw(st.lists(st.tuples(TIMES, STEPS), max_size=8))
    value = st.floats(width=64)
    bodies = [
        struct.pack(f"<{len(names)}d", *draw(st.lists(value, min_size=len(names), max_size=len(names))))
        for _ in rows
    ]
    return Block(names, context, [time for time, _ in rows], [step for _, step in rows], bodies)
