"""Which value a metric shows in its run's summary."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rundial.server.answers import worded
from rundial.server.summaries import Definition, definition_of, values_by_rule

ROW = SimpleNamespace(name="loss", last_value=2.0, min_value=1.0, max_value=3.0, mean_value=2.5)


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        (None, 2.0),
        ({"summary": "last"}, 2.0),
        ({"summary": "min"}, 1.0),
        ({"summary": "max"}, 3.0),
        ({"summary": "mean"}, 2.5),
        ({"summary": "best"}, 1.0),
        ({"summary": "best", "goal": "maximize"}, 3.0),
        ({"summary": "none"}, None),
        ({"summary": "nonsense"}, None),
        ({"step_metric": "epoch"}, 2.0),
    ],
)
def test_metric_shows_the_value_of_its_rule(
    definition: dict[str, object] | None, value: float | None
) -> None:
    """A run table shows what its owner chose."""
    definitions = {} if definition is None else {"loss": definition}

    assert values_by_rule([ROW], definitions) == ({} if value is None else {"loss": value})


def test_own_definition_counts_before_a_pattern_and_the_later_pattern_before_an_earlier_one() -> None:
    """A rule for all of `val/` can be overruled for one of them."""
    definitions = {"val/*": {"summary": "max"}, "*": {"summary": "min"}, "val/loss": {"step_metric": "epoch"}}

    assert definition_of("val/acc", definitions).summary == "max"
    assert definition_of("acc", definitions).summary == "min"
    assert definition_of("val/loss", definitions) == Definition(step_metric="epoch")
    assert definition_of("other", {"oth": {"summary": "min"}}) == Definition()


def test_numbers_that_json_lacks_are_answered_as_words() -> None:
    """Every JSON reader can read a config with a NaN in it."""
    value = {"a": float("nan"), "b": [float("inf"), -float("inf"), 1.5], "c": {"d": None}}

    assert worded(value) == {"a": "NaN", "b": ["Infinity", "-Infinity", 1.5], "c": {"d": None}}
