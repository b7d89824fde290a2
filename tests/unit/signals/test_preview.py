"""Long values cut to previews."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rundial.signals.preview import cut_utf8, cut_values


@given(st.text(st.characters(codec="utf-8"), max_size=50), st.integers(0, 200))
def test_cut_utf8_is_the_longest_whole_beginning(text: str, limit: int) -> None:
    """A cut loses at most the character that stands across the limit."""
    data = text.encode()
    cut = cut_utf8(data, limit)

    assert text.startswith(cut.decode())
    assert cut == data if len(data) <= limit else limit - 4 < len(cut) <= limit


def test_cut_values_flags_each_cut_value_beside_it() -> None:
    """Every shortened value says how long it was, nested ones too; short ones are untouched."""
    attributes: dict[str, Any] = {
        "text": "x" * 100,
        "bytes": b"y" * 100,
        "list": list(range(100)),
        "texts": ["a" * 30, "b" * 30],
        "nested": {"deep": "z" * 100},
        "short": "ok",
        "number": 5,
    }

    assert cut_values(attributes, 64) == {
        "text": "x" * 64,
        "text.rundial.original_bytes": 100,
        "bytes": b"y" * 64,
        "bytes.rundial.original_bytes": 100,
        "list": list(range(8)),
        "list.rundial.original_items": 100,
        "texts": ["a" * 30],
        "texts.rundial.original_items": 2,
        "nested": {"deep": "z" * 64, "deep.rundial.original_bytes": 100},
        "short": "ok",
        "number": 5,
    }


def test_a_second_cut_keeps_the_first_length() -> None:
    """However often a value is cut, its flag says how long it was at first."""
    once = cut_values({"text": "x" * 100}, 64)

    # In the other order too: a flag may have been written before its value.
    backwards = dict(reversed(once.items()))

    assert cut_values(once, 16) == {"text": "x" * 16, "text.rundial.original_bytes": 100}
    assert cut_values(backwards, 16) == {"text": "x" * 16, "text.rundial.original_bytes": 100}
