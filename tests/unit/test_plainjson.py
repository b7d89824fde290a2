"""JSON of plain values, written without `json`."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rundial import plainjson

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text('abc "\\/\n\x7f'),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
@example({"a": [1, True, None, -0.0, 1e300, ("b",)], "": {}})
def test_plain_is_what_json_writes_or_left_to_it(value: object) -> None:
    """Whoever reads what a start wrote cannot tell who wrote it; every text is ASCII."""
    text = plainjson.plain(value)

    if text is not None:
        assert text == json.dumps(value, separators=(",", ":"))
        assert text == json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize(
    "value", ["a b", 2**62, -5, 0.1, 1e-9, True, None, [], {}, {"a": {"b": [1.5, "c"]}}, ("x", ("y", 1))]
)
def test_plain_values_need_no_json(value: object) -> None:
    """What a start writes is written at once."""
    assert plainjson.plain(value) is not None


@pytest.mark.parametrize(
    "value", ["ü", "\ud800", 'say "no"', "a\\b", "a\nb", math.nan, math.inf, 2**80, {1: 2}, {"a": {3}}, b"x"]
)
def test_what_is_not_plain_is_left_to_json(value: object) -> None:
    """No escape and no special number is written in two places."""
    assert plainjson.plain(value) is None
    assert plainjson.plain([{"a": value}]) is None


def test_dumps_imports_json_for_what_is_not_plain_alone() -> None:
    """A start with a plain config waits for no parser; any other is written all the same."""
    script = (
        "import sys; from rundial import plainjson as p\n"
        "assert p.dumps({'a': [1, 'b']}) == '{\"a\":[1,\"b\"]}' and 'json' not in sys.modules\n"
        "assert p.dumps({'a': 'ü'}) == '{\"a\":\"\\\\u00fc\"}' and 'json' in sys.modules\n"
        "assert p.dumps({'a': [1, 'b']}) == '{\"a\":[1,\"b\"]}'"
    )

    subprocess.run([sys.executable, "-c", script], check=True, timeout=15)
