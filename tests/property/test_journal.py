"""The journal of artifacts after a crash at any byte, and whatever is asked of it in any order."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given

from rundial.spool.journal import NAME, Journal, pack, scan

TOKENS = st.sampled_from([f"t{number}" for number in range(6)])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), TOKENS),
        st.tuples(st.just("note"), TOKENS),
        st.tuples(st.sampled_from(["delivered", "rejected", "lost"]), TOKENS),
    ),
    max_size=30,
)


def _do(journal: Journal, steps: list[tuple[str, str]]) -> list[tuple[int, int, int, int]]:
    """Do the steps; return the journal's size on disk and its counts after each."""
    states, end, seen = [], journal.end, set()
    for action, token in steps:
        if action == "add":
            end += 1
            if token in seen:
                continue
            seen.add(token)
            journal.add({"token": token, "name": "é"}, end=end, time_unix_ns=7)
        elif action == "note":
            journal.note([token], told=True)
        else:
            journal.settle([token], action, reason="invalid" if action == "lost" else "")  # type: ignore[arg-type]  # one of the three fates
        counts = journal.counts()
        states.append((counts.added, counts.delivered, counts.rejected, sum(counts.lost.values())))
    return states


@given(STEPS, st.data())
def test_journal_cut_at_any_byte_is_a_state_that_it_was_in(
    steps: list[tuple[str, str]], data: st.DataObject
) -> None:
    """A crash at any byte costs at most the entry being written, and what is written next is found again."""
    with tempfile.TemporaryDirectory() as place:
        journal = Journal(place)
        states = [(0, 0, 0, 0), *_do(journal, steps)]
        journal.close()
        path = Path(place) / NAME
        content = path.read_bytes() if path.exists() else b""
        cut = data.draw(st.integers(0, len(content)))
        path.write_bytes(content[:cut] + bytes(data.draw(st.sampled_from([0, 64]))))

        found = Journal(place)
        counts = found.counts()
        state = (counts.added, counts.delivered, counts.rejected, sum(counts.lost.values()))
        assert state in states
        if cut == len(content):
            assert state == states[-1]
        assert found.add({"token": "next"}, end=found.end + 1, time_unix_ns=8)
        found.close()

        assert Journal(place).job("next") is not None
        assert Journal(place).counts().added == counts.added + 1


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3), max_size=6), st.data())
def test_scan_stops_at_a_flipped_byte(bodies: list[dict[str, str]], data: st.DataObject) -> None:
    """Damage costs what comes behind it, and never invents an entry."""
    whole = b"".join(map(pack, bodies))
    at = data.draw(st.integers(0, max(0, len(whole) - 1)))
    damaged = bytearray(whole)
    if damaged:
        damaged[at] ^= 1 << data.draw(st.integers(0, 7))

    found = [body for body, _ in scan(bytes(damaged))]
    assert found == bodies[: len(found)]
    assert not damaged or len(found) < len(bodies)


def test_take_that_is_read_twice_adds_a_job_once(tmp_path: Path) -> None:
    """The ring's position says what is here already, also after a kill between journal and ring."""
    journal = Journal(str(tmp_path))
    assert journal.add({"token": "a"}, end=10, time_unix_ns=1)
    journal.close()

    again = Journal(str(tmp_path))
    assert not again.add({"token": "a"}, end=10, time_unix_ns=1)
    assert again.add({"token": "b"}, end=20, time_unix_ns=2)
    assert again.counts().added == 2
    again.close()


def test_long_journal_of_settled_jobs_is_shortened_and_means_the_same(tmp_path: Path) -> None:
    """A run of a million pictures keeps a small journal."""
    journal = Journal(str(tmp_path))
    filler = "x" * 20_000
    for number in range(440):
        journal.add({"token": f"t{number}", "name": filler}, end=number + 1, time_unix_ns=1)
    for number in range(439):
        journal.settle([f"t{number}"], "delivered")
    before = journal.counts()
    journal.settle(["t439"], "rejected", why="said")
    journal.add({"token": "last"}, end=1000, time_unix_ns=1)
    journal.close()

    found = Journal(str(tmp_path))
    assert (tmp_path / NAME).stat().st_size < 2 << 20
    assert (found.counts().added, found.counts().rejected, found.end) == (before.added + 1, 1, 1000)
    assert [job["token"] for job in found.take_new()] == ["last"]
