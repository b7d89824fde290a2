"""How much one answer reads."""

from __future__ import annotations

from rundial.server.store.budget import Budget, bytes_of


def test_rows_end_where_the_next_one_does_not_fit() -> None:
    """Also where a smaller one behind it would: an answer has no holes."""
    budget = Budget(10_000)

    assert budget.fitting([4_000, 4_000, 4_000, 1]) == 2
    assert budget.is_cut
    assert not budget.has_room(1)


def test_the_first_row_is_read_whatever_its_size() -> None:
    """Or a page would be empty, and its reader would never get past it."""
    budget = Budget(10)

    assert budget.fitting([1_000, 1_000]) == 1
    assert budget.is_cut


def test_rows_that_all_fit_leave_nothing_out() -> None:
    """Exactly as many as there may be are no cut."""
    budget = Budget(10_000, 2)

    assert budget.fitting([1, 1]) == 2
    assert not budget.is_cut
    assert budget.most_rows == 1
    assert budget.fitting([1]) == 0
    assert budget.is_cut


def test_small_rows_are_bounded_too() -> None:
    """A row without a text costs memory as well."""
    assert Budget(32 * 2**20).fitting([0] * 1_000_000) < 500_000


def test_a_text_counts_as_its_bytes() -> None:
    """And not as its characters."""
    assert bytes_of("abc", "é", "\ud800") == 3 + 2 + 3
