"""Small immutable values, as `@dataclass(frozen=True, slots=True)` makes them, at a fiftieth of its price.

A dataclass writes and compiles its methods when its module is imported: 0.5 ms a class, and 9 ms for
the module that does it, of the 20 that `init` may take. These share theirs. Making an instance
costs a microsecond or two more, so what is made for every record is a `NamedTuple`.

Fields are the annotations of the class, in order, those with a default last; a default is shared, so
it must be immutable. See `docs/decisions/0006-values-without-dataclasses.md`.
"""

from __future__ import annotations

from rundial.typed import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: object) -> Any:
        """Only type checkers need it, and Python 3.10 has none."""
        return lambda decorate: decorate


T = TypeVar("T")


class _Value:
    """What all values can do."""

    __slots__ = ()
    _names: tuple[str, ...] = ()
    _fields: frozenset[str] = frozenset()
    _defaults: dict[str, Any] = {}  # noqa: RUF012 - each class has its own, and none is changed

    def __init__(self, *given: Any, **named: Any) -> None:
        names = self._names
        if given:
            if len(given) > len(names) or not named.keys().isdisjoint(names[: len(given)]):
                raise TypeError(f"{type(self).__name__} takes {', '.join(names)}, each once")
            named.update(zip(names, given, strict=False))
        if len(named) < len(names):
            named = {**self._defaults, **named}
        if len(named) != len(names) or not named.keys() <= self._fields:
            raise TypeError(f"{type(self).__name__} takes {', '.join(names)}, not {', '.join(named)}")
        for name, value in named.items():
            _set(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: {name!r} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return _values(self) == _values(other) if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash(_values(self))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._names)
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), _values(self)


_set = object.__setattr__


def _values(value: Any) -> tuple[Any, ...]:
    return tuple(getattr(value, name) for name in value._names)


@dataclass_transform(frozen_default=True)
def value(described: type[T]) -> type[T]:
    """Make a value of a class that has annotations, defaults and methods."""
    space = {key: item for key, item in vars(described).items() if key not in ("__dict__", "__weakref__")}
    names = tuple(described.__annotations__)
    space["_names"] = space["__slots__"] = names
    space["_fields"] = frozenset(names)
    space["_defaults"] = {name: space.pop(name) for name in names if name in space}
    made: Any = type(described.__name__, (_Value,), space)
    return made  # type: ignore[no-any-return]  # the class as described, made anew with slots


def changed(before: T, **changes: Any) -> T:
    """Return a copy of a value with other fields.

    Raises:
        TypeError: It has no such field.
    """
    return type(before)(**{**as_dict(before), **changes})


def field_names(kind: type) -> tuple[str, ...]:
    """Return the names of a value class's fields, in order."""
    names: tuple[str, ...] = kind._names  # type: ignore[attr-defined]  # `value` sets it
    return names


def as_dict(of: Any) -> dict[str, Any]:
    """Return a value's fields by name; what they hold is not copied."""
    return {name: getattr(of, name) for name in of._names}
