"""The names of `typing`, for the modules that `init` imports.

Type checkers see `typing` itself. At run time annotations are texts that nobody reads, and importing
`typing` only to name things in them costs 3 ms, with what it imports in turn 10. So these
stand in for it: they name nothing, and are called, subclassed and subscripted at no price. Only
`NamedTuple` does something, which is what it says.

What is public and may be asked for its choices is in `rundial.choices`, made of the real thing.
See `docs/decisions/0015-what-a-start-costs.md`.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any as Any
    from typing import Concatenate as Concatenate
    from typing import Generic as Generic
    from typing import Literal as Literal
    from typing import NamedTuple as NamedTuple
    from typing import NoReturn as NoReturn
    from typing import ParamSpec as ParamSpec
    from typing import Protocol as Protocol
    from typing import TypeAlias as TypeAlias
    from typing import TypeVar as TypeVar
    from typing import cast as cast
else:
    Any = NoReturn = Protocol = TypeAlias = object

    class _Subscripted:
        """A generic class: of whatever it is said to be, it is the same class."""

        __slots__ = ()

        def __class_getitem__(cls, _of):
            return cls

    class Literal:
        """One of several texts: a text."""

        def __class_getitem__(cls, _choices):
            return str

    class _Variable:
        """A name for some type."""

        def __init__(self, *_given, **_limits):
            pass

    Generic = Concatenate = _Subscripted
    TypeVar = ParamSpec = _Variable

    def cast(_kind, value):
        """Return the value."""
        return value

    class _TupleMaker(type):
        def __new__(cls, name, bases, space):
            if not bases:
                return super().__new__(cls, name, bases, space)
            from collections import namedtuple

            names = tuple(space.get("__annotations__", ()))
            defaults = [space.pop(each) for each in names if each in space]
            made = namedtuple(name, names, defaults=defaults, module=space["__module__"])
            for key, item in space.items():
                if key not in ("__module__", "__qualname__"):
                    setattr(made, key, item)
            return made

    class NamedTuple(metaclass=_TupleMaker):
        """A tuple with names, as its annotations say."""
