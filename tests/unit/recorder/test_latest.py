"""The last value of each metric, as the encoder notes it."""

from __future__ import annotations

from rundial.recorder.keysets import KeySet
from rundial.recorder.latest import MAX_KEY_SETS, Latest

RANK = (("rundial.rank", "3"),)


def test_the_later_row_of_a_name_stands_whichever_key_set_it_came_with() -> None:
    """A metric that is logged alone and with others has one last value."""
    alone, both = KeySet(("loss",), (), 1), KeySet(("loss", "acc"), RANK, 2)
    latest = Latest()
    latest.note(alone, alone.pack(1.0))
    latest.note(both, both.pack(2.0, 0.5))
    latest.note(alone, alone.pack(3.0))

    assert latest.values() == {"loss": 3.0, "acc": 0.5}


def test_a_row_with_a_context_is_left_out() -> None:
    """What belongs to a split is no value of the plain metric."""
    keys = KeySet(("loss",), (("split", "val"),), 1)
    latest = Latest()
    latest.note(keys, keys.pack(1.0))

    assert latest.values() == {}


def test_a_row_is_kept_when_its_memory_is_written_over() -> None:
    """The ring goes on; the last value stays what it was."""
    keys = KeySet(("loss",), (), 1)
    memory = bytearray(keys.pack(1.0))
    latest = Latest()
    latest.note(keys, memoryview(memory))  # type: ignore[arg-type]  # as a ring's record is
    memory[:] = bytes(8)

    assert latest.values() == {"loss": 1.0}


def test_names_without_end_cost_only_the_oldest() -> None:
    """A process that makes up names keeps the last few thousand."""
    latest = Latest()
    for number in range(MAX_KEY_SETS + 10):
        keys = KeySet((f"m{number}",), (), 0)
        latest.note(keys, b"\0" * 8)

    found = latest.copy()._rows
    assert len(found) == MAX_KEY_SETS
    assert next(iter(found)).names == ("m10",)
