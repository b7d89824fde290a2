"""The ring's layout: places that do not overlap, sizes that recovery relies on."""

from __future__ import annotations

import ast
from pathlib import Path

from rundial import recorder
from rundial.diagnostics import REASONS, SIGNALS
from rundial.recorder import layout
from rundial.spool.frame import TOTALS


def test_the_words_of_every_run_and_signal_have_a_place_of_their_own() -> None:
    """No counter of one run is ever another's: 128 runs, three signals, losses and evictions."""
    taken = list(range(layout.WORD_CREATED + 1))
    for run in range(layout.RUN_SLOTS):
        for signal in range(len(SIGNALS)):
            first = layout.slot_word(run, signal)
            taken += range(first, first + len(REASONS))
            taken += range(first + layout.EVICTED_AT, first + layout.EVICTED_AT + 4)

    assert len(taken) == len(set(taken))
    assert max(taken) * 8 < layout.HEADER_BYTES


def test_records_begin_on_words() -> None:
    """A commit word is one aligned store, wherever its record lies (rule 1)."""
    assert layout.HEADER_BYTES % 8 == layout.BODY_AT % 8 == layout.HEAD_AT % 8 == 0
    assert layout.HEAD.size == layout.BODY_AT - layout.HEAD_AT


def test_a_gap_too_small_for_a_record_is_never_read() -> None:
    """A reader of padding reads a whole head, which never reaches beyond the mapping."""
    assert layout.MIN_GAP >= layout.BODY_AT


def test_loss_reasons_stand_in_the_order_of_a_frames_totals() -> None:
    """A counter read from a frame is the counter that the ring's header holds."""
    assert list(TOTALS) == ["recorded", *REASONS]


def test_only_bodies_and_heads_are_packed_in_place() -> None:
    """Rule 1: `pack_into` clears before it stores, so no word that means something goes through it."""
    targets = set()
    for path in Path(recorder.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".pack_into", "pack_record")):
                targets.add((path.name, ast.unparse(node.func), ast.unparse(node.args[1])))

    assert targets == {
        ("ring.py", "HEAD.pack_into", "offset + HEAD_AT"),
        ("ring.py", "_PAD_HEAD.pack_into", "offset + HEAD_AT"),
        ("ring.py", "pack_record", "at + 8"),
    }
