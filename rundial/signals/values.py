"""The slow path of `run.log`: any mapping → names, float64 values, and what could not be kept.

A row of plain floats never comes here. Everything else does: numpy and torch scalars, nested
mappings, values that are not numbers, mappings that are not even dictionaries. The promise is
that nothing raises into training and nothing vanishes: each leaf of the mapping ends up in
exactly one of `names`, `non_finite` and `invalid`.

Runs on the caller's thread, outside every lock: a CUDA scalar waits for its device here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from rundial.interrupts import let_through

MAX_KEY_CHARS = 512
MAX_DEPTH = 16
MAX_ENTRIES = 100_000
MAX_STEP = 2**63 - 1

_NOT_NUMBERS: dict[object, str] = {
    type(None): "None, not a number",
    str: "a string, not a number",
    bytes: "bytes, not a number",
    bytearray: "bytes, not a number",
    memoryview: "bytes, not a number",
    complex: "a complex number; log its parts",
}
# numpy's dtype kinds that `float()` would accept or mangle although they are not numbers:
# text ("1.5" parses), dates and durations (their `.item()` can be an int), complex.
_DTYPES = {
    "S": "bytes, not a number",
    "U": "a string, not a number",
    "M": "a date, not a number",
    "m": "a duration, not a number",
    "c": "a complex number; log its parts",
}


class Examined:
    """What became of each leaf of one mapping.

    Attributes:
        names: Series names that are kept, distinct, `/` between nested keys.
        values: Their values, finite, in the order of `names`.
        non_finite: Names whose value is NaN or infinite.
        invalid: (name, why in words) of each leaf that is no point; the name of a key that is
            not a string is its `repr`.
    """

    __slots__ = ("invalid", "names", "non_finite", "values")

    def __init__(self) -> None:
        self.names: list[str] = []
        self.values: list[float] = []
        self.non_finite: list[str] = []
        self.invalid: list[tuple[str, str]] = []


def examine(metrics: object) -> Examined:
    """Sort the entries of what was given to `log` into kept, non-finite and invalid; never raises.

    Nested mappings are flattened: `{"a": {"b": 1}}` is `a/b`. An empty mapping has no leaves. A
    mapping that cannot be read, contains itself, or goes deeper than `MAX_DEPTH` is one invalid
    entry under its own name; so is the rest of a mapping after `MAX_ENTRIES` entries.
    """
    found = Examined()
    if _is_mapping(metrics):
        _Walk(found).mapping(metrics, "", 1)
    else:
        found.invalid.append(("", f"log takes a mapping of names to numbers, not {type_name(metrics)}"))
    return found


def as_step(step: object) -> int | None:
    """Return a step as an int from 0 to 2^63 - 1, None when it is not one; never raises.

    Any integer type will do, and a float that is a whole number. Booleans, fractions, negative
    numbers, None and everything else are not steps.
    """
    if type(step) is int:
        return step if 0 <= step <= MAX_STEP else None
    number = plain_number(step)
    if isinstance(number, (str, bool)):
        return None
    if isinstance(number, float):
        if not number.is_integer():  # NaN and infinities are not integers either
            return None
        number = int(number)
    return number if 0 <= number <= MAX_STEP else None


def as_value(value: object) -> float | str:
    """Return a value as float64 (perhaps not finite), or in words why it is not a number; never raises."""
    kind = type(value)
    if kind is float:
        return value  # type: ignore[return-value]  # `kind is float` says it; mypy follows isinstance only
    number = plain_number(value)
    if isinstance(number, str):
        return number
    try:
        return float(number)
    except OverflowError:
        return "too large for a 64-bit float"


def plain_number(value: object) -> int | float | bool | str:
    """Return Python's own number for any scalar, or in words why there is none; never raises.

    Knows numpy, torch, jax and their like by what they offer (`shape`, `dtype`, `item`), not by
    importing them.
    """
    try:
        return _plain_number(value)
    except OverflowError:
        return "too large for a 64-bit float"
    except Exception as error:  # noqa: BLE001  # the value's own code runs here, and may raise anything
        let_through(error)
        return f"{type_name(value)} cannot be read as a number ({type_name(error)})"


def is_scalar_type(kind: type) -> bool:
    """Return whether every value of a type is a number that `struct` packs: numpy's own scalars."""
    # By what they are called, not by importing them; an array's or a tensor's type says nothing of its shape.
    name = kind.__name__.rstrip("0123456789")
    return kind.__module__ == "numpy" and name in ("float", "int", "uint", "bool_", "bool")


def type_name(value: object) -> str:
    """Return the name of a value's type; never raises."""
    # `type.__dict__` past the metaclass, which may define a `__name__` of its own that raises.
    name: str = type.__dict__["__name__"].__get__(type(value))
    return name


def _plain_number(value: object) -> int | float | bool | str:
    why = _NOT_NUMBERS.get(type(value))
    if why is not None:
        return why
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int.__index__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        return _NOT_NUMBERS[str] if isinstance(value, str) else _NOT_NUMBERS[bytes]
    if isinstance(value, Mapping):
        return "a mapping, not a number"
    return _from_scalar(value)


def _from_scalar(value: object) -> int | float | bool | str:
    shape = getattr(value, "shape", None)
    if shape:
        return f"an array of shape {tuple(shape)}; log a single number"
    why = _DTYPES.get(getattr(getattr(value, "dtype", None), "kind", ""))
    if why is not None:
        return why
    item = getattr(value, "item", None)
    if shape is not None and callable(item):
        plain = item()
        # numpy's longdouble answers with itself; anything else that is a plain number is done.
        if type(plain) in (int, float, bool):
            return plain  # type: ignore[no-any-return]  # checked on the line above
        if type(plain) in _NOT_NUMBERS:
            return _NOT_NUMBERS[type(plain)]
    kind = type(value)
    if not (hasattr(kind, "__float__") or hasattr(kind, "__index__")):
        # Without this test `float()` would parse any object that exposes a buffer as text.
        return f"{type_name(value)}, not a number"
    if hasattr(kind, "__index__"):
        return int(value.__index__())  # type: ignore[attr-defined]  # `hasattr` on its type says it
    return float(value)  # type: ignore[arg-type]  # `hasattr` on its type says it


class _Walk:
    """One pass over a mapping and the mappings in it."""

    def __init__(self, found: Examined) -> None:
        self.found = found
        self.seen: set[str] = set()
        self.path: set[int] = set()
        self.entries = 0

    def mapping(self, metrics: object, prefix: str, depth: int) -> None:
        name = prefix.rstrip("/")
        if depth > MAX_DEPTH:
            self.found.invalid.append((name, f"nested deeper than {MAX_DEPTH} levels"))
            return
        if id(metrics) in self.path:
            self.found.invalid.append((name, "a mapping that contains itself"))
            return
        self.path.add(id(metrics))
        try:
            for key, value in metrics.items():  # type: ignore[attr-defined]  # `_is_mapping` saw to it
                self.entries += 1
                # Without this bound a few mappings that share their parts would unfold for ever.
                if self.entries > MAX_ENTRIES:
                    why = f"the rest of more than {MAX_ENTRIES:,} entries in one call"
                    self.found.invalid.append((name, why))
                    return
                self.entry(key, value, prefix, depth)
        except Exception as error:  # noqa: BLE001  # the mapping's own code runs here, and may raise anything
            let_through(error)
            self.found.invalid.append((name, f"a mapping that cannot be read ({type_name(error)})"))
        finally:
            self.path.discard(id(metrics))

    def entry(self, key: object, value: object, prefix: str, depth: int) -> None:
        name, why = _name(key, prefix)
        if why is not None:
            self.found.invalid.append((name, why))
        elif _is_mapping(value):
            self.mapping(value, name + "/", depth + 1)
        elif name in self.seen:
            self.found.invalid.append((name, "the same name twice in one call"))
        else:
            self.leaf(name, value)

    def leaf(self, name: str, value: object) -> None:
        number = as_value(value)
        if isinstance(number, str):
            self.found.invalid.append((name, number))
            return
        self.seen.add(name)
        if math.isfinite(number):
            self.found.names.append(name)
            self.found.values.append(number)
        else:
            self.found.non_finite.append(name)


def _name(key: object, prefix: str) -> tuple[str, str | None]:
    """Return the full name of an entry, and why it is none (None when it is)."""
    try:
        if not isinstance(key, str):
            return prefix + _repr(key), f"the key is {type_name(key)}, not a string"
        # `str.__str__` makes a plain string of a subclass without running its code.
        text = str.__str__(key)
    except Exception as error:  # noqa: BLE001  # `__class__` of the key may be code that raises
        let_through(error)
        return prefix + _repr(key), f"the key cannot be read ({type_name(error)})"
    if not text:
        return prefix, "the key is empty"
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    if len(prefix) + len(text) > MAX_KEY_CHARS:
        return (prefix + text)[:MAX_KEY_CHARS], f"the key is longer than {MAX_KEY_CHARS} characters"
    return prefix + text, None


def _repr(key: object) -> str:
    try:
        text = str.__str__(repr(key))[:MAX_KEY_CHARS]
    except Exception as error:  # noqa: BLE001  # the key's own `__repr__` failed; its type is all there is to say
        let_through(error)
        return f"<{type_name(key)}>"
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_mapping(value: object) -> bool:
    if type(value) is dict:
        return True
    try:
        return isinstance(value, Mapping)
    except Exception as error:  # noqa: BLE001  # `__class__` may be a property that raises; then it is a leaf
        let_through(error)
        return False
