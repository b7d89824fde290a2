"""What stands in for `typing` at run time does what the real one does, as far as the program can tell."""

from __future__ import annotations

import pickle
import typing

import pytest

from rundial import choices, reasons, settings, typed


class Ours(typed.NamedTuple):
    """Made here."""

    left: int
    right: str = "r"

    @property
    def both(self) -> str:
        """Both."""
        return f"{self.left}{self.right}"


class Theirs(typing.NamedTuple):
    """Made there."""

    left: int
    right: str = "r"


class Box(typed.Generic[typed.TypeVar("T")]):  # type: ignore[misc]  # a variable that is used once
    """A generic class."""


def test_tuple_has_the_fields_defaults_and_equality_of_a_named_tuple() -> None:
    """A record is the tuple that its annotations say."""
    ours, theirs = Ours(1), Theirs(1)

    assert ours == theirs == (1, "r")
    assert (Ours._fields, Ours._field_defaults) == (Theirs._fields, Theirs._field_defaults)
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert ours._replace(right="x")._asdict() == {"left": 1, "right": "x"}
    assert Ours.__doc__ == "Made here."


def test_tuple_has_its_methods_and_no_dictionary() -> None:
    """An instance costs what a tuple costs."""
    assert Ours(1, "x").both == "1x"
    assert not hasattr(Ours(1), "__dict__")


def test_tuple_survives_pickling() -> None:
    """A worker gets what was sent to it."""
    assert pickle.loads(pickle.dumps(Ours(1))) == Ours(1)


def test_tuple_refuses_what_it_has_no_field_for() -> None:
    """A mistyped name is an error, as it is with the real one."""
    with pytest.raises(TypeError, match="middle"):
        Ours(left=1, middle=2)  # type: ignore[call-arg]  # that is the test


def test_subscripted_class_is_the_class_itself() -> None:
    """What a generic class is of makes no difference at run time."""
    assert isinstance(Box[int](), Box)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (choices.Mode, settings.MODES),
        (choices.RunKind, settings.KINDS),
        (choices.ResumeMode, settings.RESUME_MODES),
        (choices.Distributed, settings.POLICIES),
        (choices.Reason, reasons.REASONS),
        (choices.Signal, reasons.ACCOUNTS),
    ],
)
def test_types_of_choices_have_the_words_that_are_accepted(kind: object, values: tuple[str, ...]) -> None:
    """Who asks a type for its choices is told what an argument may be."""
    assert typing.get_args(kind) == values
