"""Key sets: the names of a row, one number for each set."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.recorder.keysets import MAX_KEY_SETS, KeySet, KeySets, decode


def test_the_same_names_are_the_same_key_set() -> None:
    """A loop that logs the same names defines them once."""
    sets = KeySets()

    assert sets.get(["a", "b"]) is sets.get(("a", "b"))
    assert sets.get(["a", "b"]) is not sets.get(["b", "a"])
    assert sets.get(["a"], (("split", "val"),)) is not sets.get(["a"])


def test_beyond_the_cap_a_key_set_has_no_number_and_is_not_kept() -> None:
    """Rule 5: a program that makes up names without end fills no memory; its rows carry the names."""
    sets = KeySets()
    numbers = [sets.get([f"k{index}"]).number for index in range(MAX_KEY_SETS + 2)]

    assert numbers == [*range(1, MAX_KEY_SETS + 1), 0, 0]
    assert sets.get([f"k{MAX_KEY_SETS}"]) is not sets.get([f"k{MAX_KEY_SETS}"])
    assert sets.get(["k0"]).number == 1


@pytest.mark.stress
def test_threads_never_share_a_number() -> None:
    """Rows of two threads are never read with each other's names."""
    sets = KeySets()
    found: list[KeySet] = []

    def work(thread: int) -> None:
        found.extend(sets.get([f"k{(index * 7 + thread) % 50}"]) for index in range(200))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({keys.number for keys in found}) == len({keys.names for keys in found}) == 50
    assert len({id(keys) for keys in found}) == 50


@given(
    st.lists(st.text(st.characters(), min_size=1), max_size=5),
    st.lists(st.tuples(st.text(), st.text()), max_size=3),
)
def test_names_and_attributes_are_read_back_as_they_were(
    names: list[str], attributes: list[tuple[str, str]]
) -> None:
    """Any name survives the ring, also one that UTF-8 cannot hold."""
    keys = KeySet(tuple(names), tuple(attributes), 1)

    assert decode(keys.encoded) == (tuple(names), tuple(attributes))
    assert keys.size == len(names)
    assert len(keys.pack(*[1.0] * len(names))) == 8 * len(names)
