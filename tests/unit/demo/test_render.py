"""The demonstration's bar and chart."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from rundial.demo.render import ProgressBar, chart
from tests.support.clock import ManualClock

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@given(
    st.dictionaries(st.sampled_from("abc"), st.lists(st.tuples(NUMBERS, NUMBERS), max_size=20)),
    st.integers(20, 120),
    st.integers(2, 12),
    st.booleans(),
)
def test_any_series_is_drawn_within_the_width(
    series: dict[str, list[tuple[float, float]]], width: int, height: int, is_ascii: bool
) -> None:
    """No value, NaN and infinities included, breaks the chart or wraps its lines."""
    lines = chart(series, width=width, height=height, is_ascii=is_ascii)

    assert max(map(len, lines)) <= width
    assert not is_ascii or "".join(lines).isascii()


def test_falling_series_falls_from_left_to_right() -> None:
    """A loss that goes down is drawn going down."""
    lines = chart({"loss": [(step, 10.0 - step) for step in range(10)]}, width=40, height=10)
    columns = [line.index("●") for line in lines[:10]]

    assert columns == sorted(columns)
    assert len(set(columns)) == 10


def test_wide_range_is_drawn_on_a_log_scale_and_says_so() -> None:
    """A loss over three decades is not a line along the floor, and the reader is told."""
    lines = chart({"loss": [(step, 10.0**-step) for step in range(4)]}, width=60, height=4)

    assert [line.count("●") for line in lines[:4]] == [1, 1, 1, 1]
    assert "(log scale)" in lines[-1]


def test_nothing_to_draw_is_said() -> None:
    """A run without points has a chart that says so."""
    assert chart({"loss": []}, width=40) == ["(no points)"]


def test_bar_on_a_terminal_redraws_in_place_and_not_too_often() -> None:
    """The bar costs a few writes a second, however fast the steps come."""
    stream, clock = _Terminal(), ManualClock()
    bar = ProgressBar(stream, 1000, label="training", clock=clock)
    for step in range(1, 501):
        bar.update(step)
    assert stream.getvalue().count("\r") == 1

    clock.advance(0.2)
    bar.update(501)
    assert stream.getvalue().count("\r") == 2
    assert "501/1,000" in stream.getvalue()


def test_bar_elsewhere_is_one_line() -> None:
    """A log file gets one line and no control characters."""
    stream = io.StringIO()
    bar = ProgressBar(stream, 10, label="training", clock=ManualClock())
    for step in range(1, 11):
        bar.update(step)
    bar.finish("(done)")

    assert stream.getvalue() == "training 10 steps in 0.0 s (done)\n"
