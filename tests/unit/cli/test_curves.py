"""Curves and tables as text."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rundial.cli.curves import BARS, plot, sparkline
from rundial.cli.runcompare import differing
from rundial.cli.sparks import chosen
from rundial.cli.tables import cells_of, cut, cut_painted, table


@given(st.lists(st.floats()), st.integers(1, 40))
def test_sparkline_is_as_wide_as_there_is_to_show(values: list[float], width: int) -> None:
    """Any numbers, the largest ones included, become bars."""
    finite = [value for value in values if math.isfinite(value)]
    line = sparkline(values, width)

    assert len(line) == min(width, len(finite))
    assert set(line) <= set(BARS)


def test_sparkline_ends_with_the_last_value_and_rises_with_the_curve() -> None:
    """What a person looks at is where the run stands."""
    assert sparkline([0.0, 1.0, 2.0, 7.0]) == "▁▂▃█"
    assert sparkline([*range(100), -50.0], 10)[-1] == "▁"


@example([(-1.23456e-100, -1.23456e-100), (-1.23456e-200, 1.0)], 24, 2)
@given(st.lists(st.tuples(st.floats(), st.floats())), st.integers(24, 120), st.integers(2, 30))
def test_plot_fits_its_width_and_height(points: list[tuple[float, float]], width: int, height: int) -> None:
    """Whatever is plotted, the terminal's lines do not wrap."""
    lines = plot(points, width=width, height=height, title="t")

    assert len(lines) in (2, height + 3)
    assert max(len(line) for line in lines) <= width


def test_plot_shows_where_the_curve_is() -> None:
    """A rising line begins below on the left and ends above on the right, between its labels."""
    lines = plot([(0, 0), (1, 1), (2, 2)], width=30, height=4)

    assert lines[0].lstrip().startswith("2 │")
    assert lines[3].lstrip().startswith("0 │")
    assert lines[0].rstrip()[-1] != "│"
    assert lines[3].split("│")[1].startswith(("⡀", "⠁", "⡠", "⣀", "⢀", "⠄", "⡄"))
    assert lines[5].split() == ["0", "2"]


@given(
    st.lists(st.lists(st.text("ab世é́", max_size=40), min_size=3, max_size=3), max_size=5), st.integers(40, 90)
)
def test_table_fits_the_terminal_and_never_cuts_what_is_copied(rows: list[list[str]], width: int) -> None:
    """An id is whole at any width, and no line wraps while the others can be cut."""
    lines = table(["id", "name", "note"], rows, width=width)
    longest = max([2, *(cells_of(row[0]) for row in rows)])

    assert all(row[0] in line for row, line in zip(rows, lines[1:], strict=True))
    assert max(map(cells_of, lines)) <= max(width, longest + 16)


def test_table_in_a_pipe_is_whole() -> None:
    """A program that reads the output misses nothing."""
    assert table(["id", "note"], [["a", "x" * 300]])[1] == "a   " + "x" * 300


def test_cut_keeps_colours_and_counts_cells() -> None:
    """A wide character is two cells, a colour none."""
    assert cut("世界世界", 5) == "世界…"
    assert cut_painted("\x1b[32mcompleted\x1b[0m and more", 9) == "\x1b[32mcompleted\x1b[0m"
    assert cut_painted("short", 9) == "short"


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        (["accuracy", "train/loss", "loss", "system/loss"], "loss"),
        (["system/cpu", "x"], "x"),
        (["system/cpu"], None),
        (["b", "accuracy"], "accuracy"),
    ],
)
def test_sparkline_is_of_what_most_likely_matters(keys: list[str], wanted: str | None) -> None:
    """A loss before a score before anything, and never the machine."""
    assert chosen(keys) == wanted


def test_comparison_has_what_differs_by_its_path() -> None:
    """What one run lacks differs too; what is the same everywhere is left out."""
    runs = [
        {"config": {"lr": 0.1, "net": {"depth": 2, "width": 8}}},
        {"config": {"lr": 0.1, "net": {"depth": 3}}},
    ]

    assert differing(runs, "config", shows_all=False) == {"net.depth": [2, 3], "net.width": [8, None]}
    assert list(differing(runs, "config", shows_all=True)) == ["lr", "net.depth", "net.width"]
