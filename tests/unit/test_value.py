"""Small immutable values: made, compared, copied, pickled."""

from __future__ import annotations

import pickle

import pytest

from rundial.spool.ack import Ack, Cursor
from rundial.value import as_dict, changed


def test_a_value_takes_its_fields_in_order_by_name_or_by_default() -> None:
    """However it is made, it says and compares the same."""
    assert Cursor(1, 2) == Cursor(segment=1, offset=2) == Cursor(1, offset=2)
    assert Ack().cursor == Cursor(0, 0)
    assert repr(Cursor(1, 2)) == "Cursor(segment=1, offset=2)"
    assert as_dict(changed(Cursor(1, 2), offset=3)) == {"segment": 1, "offset": 3}


@pytest.mark.parametrize(
    "wrong", [((1,), {}), ((1, 2, 3), {}), ((1,), {"segment": 1}), ((1, 2), {"size": 1})]
)
def test_wrong_fields_are_refused(wrong: tuple[tuple[int, ...], dict[str, int]]) -> None:
    """A field that is missing, unknown or given twice is a TypeError, not a half-made value."""
    with pytest.raises(TypeError, match="Cursor takes segment, offset"):
        Cursor(*wrong[0], **wrong[1])


def test_a_value_cannot_be_changed_and_survives_pickling() -> None:
    """It may be shared between threads and sent to another process."""
    cursor = Cursor(1, 2)
    with pytest.raises(AttributeError, match="immutable"):
        cursor.offset = 3  # type: ignore[misc]  # that it is refused is the point

    assert pickle.loads(pickle.dumps(cursor)) == cursor
    assert hash(cursor) == hash(Cursor(1, 2))
