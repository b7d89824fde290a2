"""Any Python value → an OpenTelemetry attribute value, or the body of an event; never raises.

Attributes are strings, booleans, 64-bit integers, floats, bytes, or sequences of one of these.
What a user hands to a span or puts into a config is rarely only that, so everything else becomes
the nearest of them: a numpy scalar its number, a mapping its JSON text (event bodies keep the
mapping), an object its `str()`. A value whose own code fails becomes words that say so.

Runs on the caller's thread, so work is bounded: `MAX_ITEMS` of a sequence, `MAX_VALUE_BYTES` of a
string, `MAX_NODES` of a nested body, `MAX_WHOLE_NODES` of one that is kept whole beside its span; what was
cut says so in an attribute beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import islice

from rundial.interrupts import let_through
from rundial.signals.preview import ORIGINAL_ITEMS_SUFFIX, cut_utf8, cut_values
from rundial.signals.values import plain_number, type_name
from rundial.typed import Any, TypeAlias

Scalar: TypeAlias = str | bool | int | float | bytes
AttributeValue: TypeAlias = (
    Scalar | Sequence[str] | Sequence[bool] | Sequence[int] | Sequence[float] | Sequence[bytes]
)
Attributes = Mapping[str, AttributeValue]

MAX_KEY_CHARS = 128
MAX_VALUE_BYTES = 48 * 1024
MAX_ITEMS = 1_024
MAX_PLAIN_ATTRIBUTES = 32
MAX_PLAIN_CHARS = 1_024
MAX_DEPTH = 16
MAX_NODES = 20_000
# Numbers, truths and nulls cost less to read and to store than what holds them.
MAX_LEAVES = 100_000
# What is kept whole beside its span may be this much; a value that contains itself has no end.
MAX_WHOLE_DEPTH = 64
MAX_WHOLE_NODES = 100_000
# Of one that is more; short enough that no record's own bound takes the mark off.
MAX_CUT_BYTES = 8 * 1024

_INT64_MAX = 2**63 - 1
_INT64_MIN = -(2**63)
_SCALARS = (str, bool, int, float, bytes)
_TOO_DEEP = "…"


def clean_attributes(attributes: object) -> tuple[dict[str, AttributeValue], int]:
    """Return attributes fit for OTLP, and how many were dropped.

    Dropped are entries whose value is None, whose key is empty, or whose key, cut to
    `MAX_KEY_CHARS` characters, is there already. A mapping that cannot be read is one dropped
    attribute. A value that was cut has `<key>.rundial.original_bytes` or `.original_items` beside it.
    """
    out: dict[str, AttributeValue] = {}
    dropped = 0
    if attributes is None:
        return out, dropped
    try:
        for key, value in attributes.items():  # type: ignore[attr-defined]  # without `items` it is unreadable
            if not _put(out, key, value):
                dropped += 1
    except Exception as error:  # noqa: BLE001  # the mapping's own code runs here; what was read so far is kept
        let_through(error)
        dropped += 1
    return out, dropped


def is_plain(attributes: Mapping[Any, Any]) -> bool:
    """Whether attributes are few, short and of the commonest kinds, so that nothing is to be done to them."""
    if len(attributes) > MAX_PLAIN_ATTRIBUTES:
        return False
    for key, value in attributes.items():
        kind = type(value)
        if kind is str:
            if len(value) > MAX_PLAIN_CHARS:
                return False
        elif kind is int:
            if not _INT64_MIN <= value <= _INT64_MAX:
                return False
        elif kind is not float and kind is not bool:
            return False
        if type(key) is not str or not key or len(key) > MAX_KEY_CHARS:
            return False
    return True


def as_attribute(value: object) -> AttributeValue | None:
    """Return a value as an attribute value, None for None; never raises.

    Integers beyond 64 bits become floats. A sequence of mixed kinds, and a mapping, become JSON
    text; a sequence keeps its first `MAX_ITEMS` elements, a string its first `MAX_VALUE_BYTES`.
    """
    kind = type(value)
    if kind is str:
        return valid_text(value)  # type: ignore[arg-type]  # `kind is str` says it
    if kind is float or kind is bool:
        return value  # type: ignore[return-value]  # the line above says it
    if kind is int and _INT64_MIN <= value <= _INT64_MAX:  # type: ignore[operator]  # `kind is int` says it
        return value  # type: ignore[return-value]  # the line above says it
    if value is None:
        return None
    try:
        return _as_attribute(value)
    except Exception as error:  # noqa: BLE001  # the value's own code runs here, and may raise anything
        let_through(error)
        return as_text(value)


def as_body(value: object) -> Any:
    """Return a value as the body of an event: mappings, lists, scalars and None; never raises.

    Keys become strings. Deeper than `MAX_DEPTH` levels or beyond `MAX_NODES` values, `…` stands
    for the rest. A dataclass is the mapping of its fields.
    """
    return _as_body(value, 0, _Room(MAX_NODES, MAX_LEAVES, MAX_ITEMS, MAX_DEPTH))


def as_bounded(value: object) -> tuple[Any, bool]:
    """Return a value as a body of at most `MAX_WHOLE_NODES` values, and whether `…` stands in it for more."""
    room = _Room(MAX_WHOLE_NODES, MAX_WHOLE_NODES, MAX_WHOLE_NODES, MAX_WHOLE_DEPTH)
    return _as_body(value, 0, room), room.was_cut


def as_json(body: Any) -> str:
    """Return a body as JSON text; NaN and infinities are there by their names."""
    import json  # not with the module: `init` needs none

    return json.dumps(finite(body), ensure_ascii=False)


def cut_short(key: str, value: object, body: Any) -> dict[str, Any]:
    """Return the attributes of a value that was too much: how it begins, and how many items it has."""
    data = as_json(body).encode("utf-8", "replace")
    return {
        key: cut_utf8(data, MAX_CUT_BYTES).decode() + _TOO_DEEP,
        key + ORIGINAL_ITEMS_SUFFIX: _length(value),
    }


def finite(body: Any) -> Any:
    """Return a body as JSON has it: NaN and infinities become their names, bytes their text."""
    if isinstance(body, float) and not math.isfinite(body):
        return str(body)
    if isinstance(body, dict):
        return {key: finite(value) for key, value in body.items()}
    if isinstance(body, list):
        return [finite(value) for value in body]
    return body if body is None or isinstance(body, (str, bool, int, float)) else str(body)


class _Room:
    """What a body may still take in.

    Attributes:
        nodes: Values that are texts or hold others.
        leaves: Numbers, truths and nulls.
        items: Elements of one array.
        depth: Levels.
        was_cut: Whether something did not fit.
    """

    __slots__ = ("depth", "items", "leaves", "nodes", "was_cut")

    def __init__(self, nodes: int, leaves: int, items: int, depth: int) -> None:
        self.nodes, self.leaves, self.items, self.depth = nodes, leaves, items, depth
        self.was_cut = False


def as_text(value: object) -> str:
    """Return `str(value)` as valid text, or words that say why there is none; never raises."""
    try:
        return valid_text(str.__str__(str(value)))
    except Exception as error:  # noqa: BLE001  # the value's own `__str__` failed
        let_through(error)
        return f"<{type_name(value)}: str() raised {type_name(error)}>"


def valid_text(text: str) -> str:
    """Return text that UTF-8 can carry: a lone surrogate becomes `?`."""
    # protobuf refuses a lone surrogate, and with it the whole request.
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _put(out: dict[str, AttributeValue], key: object, value: object) -> bool:
    name = (valid_text(key) if type(key) is str else as_text(key))[:MAX_KEY_CHARS]
    clean = as_attribute(value)
    if clean is None or not name or name in out:
        return False
    if isinstance(clean, (str, bytes)) and len(clean) * 4 > MAX_VALUE_BYTES:
        out.update(cut_values({name: clean}, MAX_VALUE_BYTES))
        return True
    if isinstance(clean, list) and len(clean) == MAX_ITEMS:
        size = _length(value)
        if size > MAX_ITEMS:
            out[name + ORIGINAL_ITEMS_SUFFIX] = size
    out[name] = clean
    return True


def _length(value: object) -> int:
    try:
        return len(value)  # type: ignore[arg-type]  # what has no length is caught
    except Exception as error:  # noqa: BLE001  # no length, or one whose code fails: then it was not cut by us
        let_through(error)
        return 0


def _as_attribute(value: object) -> AttributeValue | None:
    scalar = _scalar(value)
    if scalar is not None:
        return scalar
    if _is_listable(value):
        # By way of a body, which bounds depth: a list that contains itself would unfold for ever.
        body = as_body(list(islice(_items(value, MAX_ITEMS), MAX_ITEMS)))
        return _homogeneous(body)
    if isinstance(value, Mapping) or _is_dataclass(value):
        return _nested_text(as_body(value))
    return as_text(value)


def _scalar(value: object) -> Scalar | None:
    """Return the scalar that a value is or wraps, None when it is none."""
    if isinstance(value, str):
        # `str.__str__` makes a plain string of a subclass (an enum, say) without running its code.
        return valid_text(str.__str__(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, Mapping) or _is_listable(value, MAX_WHOLE_NODES):
        return None
    number = plain_number(value)
    if isinstance(number, str):
        return None
    if isinstance(number, int) and not _INT64_MIN <= number <= _INT64_MAX:
        try:
            return float(number)
        except OverflowError:
            return as_text(number)
    return number


def _is_listable(value: object, most: int = MAX_ITEMS) -> bool:
    if isinstance(value, (list, tuple, Set, range)):
        return True
    # numpy arrays and tensors: dimensions and a way to a list. Large ones of several dimensions
    # are left to their `str()`, which abbreviates.
    shape = getattr(value, "shape", None)
    if not shape or not callable(getattr(value, "tolist", None)):
        return False
    return len(shape) == 1 or math.prod(shape) <= most


def _frame(value: object) -> str | None:
    """Describe a table or the like, whose `str()` takes long; None where a value is none."""
    shape = getattr(value, "shape", None)
    if not isinstance(shape, tuple) or len(shape) != 2 or hasattr(value, "tolist"):
        return None
    return f"{type_name(value)} of shape {shape}"


def _items(value: Any, most: int) -> Iterable[object]:
    if isinstance(value, (list, tuple, Set, range)):
        return value
    # Sliced before it is turned into a list: it may have more elements than there is memory.
    items: list[object] = value[:most].tolist()
    return items


def _homogeneous(items: list[Any]) -> AttributeValue:
    kinds = {type(item) for item in items}
    if kinds == {int, float}:
        return [float(item) for item in items]
    if len(kinds) <= 1 and kinds <= set(_SCALARS):
        return items
    return _nested_text(items)


def _nested_text(body: Any) -> str:
    import json

    return json.dumps(body, ensure_ascii=False, default=as_text)


def _is_dataclass(value: object) -> bool:
    # Its own mark, which is what `dataclasses.is_dataclass` looks for too: importing that module costs
    # a script more than all of ours.
    return hasattr(type(value), "__dataclass_fields__")


def _as_body(value: object, depth: int, room: _Room) -> Any:
    is_leaf = value is None or type(value) in (bool, float)
    if is_leaf:
        room.leaves -= 1
        fits = room.leaves >= 0
    else:
        room.nodes -= 1
        fits = room.nodes >= 0 and depth <= room.depth
    if not fits:
        room.was_cut = True
        return _TOO_DEEP
    if is_leaf:
        return value
    try:
        return _nested_body(value, depth, room)
    except Exception as error:  # noqa: BLE001  # the value's own code runs here, and may raise anything
        let_through(error)
        return as_text(value)


def _nested_body(value: object, depth: int, room: _Room) -> Any:
    scalar = _scalar(value)
    if scalar is not None:
        return scalar
    if _is_dataclass(value):
        import dataclasses

        value = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}  # type: ignore[arg-type]  # `_is_dataclass` saw to it
    # One more than there is room for, so that what is left out shows as "…".
    most = max(room.nodes, 0) + 1
    if isinstance(value, Mapping):
        room.was_cut |= len(value) > most
        return {as_text(key): _as_body(item, depth + 1, room) for key, item in islice(value.items(), most)}
    if _is_listable(value, room.items):
        room.was_cut |= _length(value) > min(most, room.items)
        return [_as_body(item, depth + 1, room) for item in islice(_items(value, room.items), most)]
    return _frame(value) or as_text(value)
