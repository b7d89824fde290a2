"""Any Python value → what a config or a summary may hold, and that in entries of an event's size. Pure.

Numbers, booleans, texts, None, lists and mappings stay what they are, NaN and infinities included.
Everything else becomes something a person can read: an enum its name, a path its text, a dataclass,
namedtuple, argparse namespace or settings object the mapping of its fields, a numpy or torch scalar
its number, a small array its list, a function its dotted name, and whatever is left its `str()`.

Nothing is changed silently. An integer beyond 64 bits, which OTLP cannot carry, becomes its digits; a
text, list or nesting beyond the limits is cut, with `<key>.rundial.original_bytes` or `.original_items`
beside it; and each of these is named in `changes`.

Never raises: a value whose own code fails becomes words that say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from enum import Enum

from rundial.interrupts import let_through
from rundial.signals.attributes import as_text, valid_text
from rundial.signals.compact import dump
from rundial.signals.preview import (
    CAPS,
    ORIGINAL_BYTES_SUFFIX,
    ORIGINAL_ITEMS_SUFFIX,
    cut_utf8,
    cut_values,
)
from rundial.signals.values import plain_number, type_name
from rundial.typed import Any, TypeAlias

MAX_DEPTH = 16
MAX_NODES = 20_000
MAX_TEXT_BYTES = 32 * 1024
MAX_KEY_CHARS = 256
MAX_ARRAY_ITEMS = 1_024
# What one event may hold of it; an event of 60 KiB is cut.
MAX_ENTRY_BYTES = 48 * 1024

LEFT_OUT = "…"
_INT64_MAX = 2**63 - 1
# How settings objects of other libraries say what they hold: pydantic, transformers, ml_collections.
_TELLERS = ("_asdict", "model_dump", "to_dict")

# What a config may hold: anything.
ConfigValue: TypeAlias = object
Path = tuple[str, ...]
Entry = tuple[Path, Any]


class Cleaner:
    """Makes values fit, and remembers what it had to change.

    Attributes:
        changes: (dotted path, why in words) of each value that is not kept as it was.
    """

    def __init__(self) -> None:
        self.changes: list[tuple[str, str]] = []
        self._room = MAX_NODES
        # What the value being cleaned had before it was cut; told beside it, in the mapping around it.
        self._bytes = self._items = 0

    def clean(self, value: object, path: Path = ()) -> Any:
        """Return a value as it is kept."""
        return self._value(value, path)

    def mapping(self, values: Mapping[Any, object], path: Path = ()) -> dict[str, Any]:
        """Return a mapping as it is kept; what cannot be read of it is left out and named."""
        out: dict[str, Any] = {}
        outer = self._bytes, self._items
        for key, value in self._entries(values, path):
            if self._room <= 0:
                self._leave_out(path, f"more than {MAX_NODES:,} values; the rest is left out")
                out[LEFT_OUT] = LEFT_OUT
                break
            self._bytes = self._items = 0
            name = self._key(key, path)
            if name in out:
                self.changes.append((_dotted((*path, name)), "two keys of this name; the last one stands"))
            out[name] = self._value(value, (*path, name))
            if self._bytes:
                out[name + ORIGINAL_BYTES_SUFFIX] = self._bytes
            if self._items:
                out[name + ORIGINAL_ITEMS_SUFFIX] = self._items
        self._bytes, self._items = outer
        return out

    def _entries(self, values: Mapping[Any, object], path: Path) -> Iterator[tuple[object, object]]:
        try:
            for key in values:
                yield key, self._entry(values, key, path)
        except Exception as error:  # noqa: BLE001 - the mapping's own code runs here, and may raise anything
            self._unreadable(path, error)

    def _entry(self, values: Mapping[Any, object], key: object, path: Path) -> object:
        try:
            return values[key]
        except Exception as error:  # noqa: BLE001 - one entry's own code failed, such as a missing value
            return self._unreadable((*path, as_text(key)), error)

    def _key(self, key: object, path: Path) -> str:
        name = valid_text(str.__str__(key)) if isinstance(key, str) else as_text(key)
        if len(name) > MAX_KEY_CHARS:
            self.changes.append(
                (_dotted((*path, name[:40])), f"a key longer than {MAX_KEY_CHARS} characters")
            )
        return name[:MAX_KEY_CHARS]

    def _value(self, value: object, path: Path) -> Any:
        self._room -= 1
        if value is None or value is True or value is False or type(value) is float:
            return value
        if type(value) is int and -_INT64_MAX <= value <= _INT64_MAX:
            return value
        if len(path) > MAX_DEPTH:
            return self._leave_out(path, f"nested deeper than {MAX_DEPTH} levels")
        try:
            return self._any(value, path)
        except Exception as error:  # noqa: BLE001 - the value's own code runs here, and may raise anything
            return self._unreadable(path, error)

    def _any(self, value: object, path: Path) -> Any:
        if isinstance(value, Enum):
            return valid_text(value.value) if type(value.value) is str else str(_name_of_enum(value))
        if isinstance(value, (str, bytes, bytearray)):
            return self._text(_decoded(value), path)
        if isinstance(value, (int, float)) or _is_scalar(value):
            return self._number(value, path)
        fields = fields_of(value)
        if fields is not None:
            return self.mapping(fields, path)
        items = _items(value)
        if items is not None:
            return self._list(items, path)
        return self._text(_words(value), path)

    def _number(self, value: object, path: Path) -> Any:
        number = plain_number(value)
        if isinstance(number, str):
            return self._text(as_text(value), path)
        if isinstance(number, int) and not -_INT64_MAX - 1 <= number <= _INT64_MAX:
            self.changes.append((_dotted(path), "an integer beyond 64 bits; kept as a text of its digits"))
            # `str` of an enormous integer is refused by Python itself; hexadecimal is not.
            return str(number) if number.bit_length() < 10_000 else self._text(hex(number), path)
        return number

    def _text(self, text: str, path: Path) -> str:
        if len(text) * 4 <= MAX_TEXT_BYTES:
            return valid_text(text)
        data = text.encode("utf-8", "replace")
        if len(data) > MAX_TEXT_BYTES:
            self._bytes += len(data)
            self.changes.append(
                (_dotted(path), f"a text of {len(data):,} bytes; {MAX_TEXT_BYTES:,} are kept")
            )
        return cut_utf8(data, MAX_TEXT_BYTES).decode("utf-8")

    def _list(self, items: Iterable[object], path: Path) -> list[Any]:
        out: list[Any] = []
        for number, item in enumerate(items):
            if self._room <= 0:
                self._items = _length(items)
                out.append(self._leave_out(path, f"more than {MAX_NODES:,} values; the rest is left out"))
                break
            out.append(self._value(item, (*path, str(number))))
        return out

    def _leave_out(self, path: Path, why: str) -> str:
        self.changes.append((_dotted(path), why))
        return LEFT_OUT

    def _unreadable(self, path: Path, error: Exception) -> str:
        let_through(error)
        self.changes.append((_dotted(path), f"it cannot be read ({type_name(error)})"))
        return f"<not readable: {type_name(error)}>"


def entries_of(values: Mapping[str, Any], path: Path = ()) -> tuple[list[list[Entry]], list[tuple[str, str]]]:
    """Cut clean values into entries that each fit an event.

    Args:
        values: From a `Cleaner`.
        path: Where they belong.

    Returns:
        Groups of (path, value); each group is for one event, and a parent stands before its children.
        And what had to be cut, as a `Cleaner` says it.
    """
    # At the top an event carries names and values as they are; deeper it spells out each path.
    spelled = len(values) * _overhead(path) if path else 0
    if len(dump(values)) + spelled <= MAX_ENTRY_BYTES:
        return [[((*path, name), value) for name, value in values.items()]], []
    groups: list[list[Entry]] = [[]]
    changes: list[tuple[str, str]] = []
    room = MAX_ENTRY_BYTES
    for entry, size in _pieces(values, path, changes):
        if size > room and groups[-1]:
            groups.append([])
            room = MAX_ENTRY_BYTES
        groups[-1].append(entry)
        room -= size
    return groups, changes


def _pieces(
    values: Mapping[str, Any], path: Path, changes: list[tuple[str, str]]
) -> Iterator[tuple[Entry, int]]:
    for name, value in values.items():
        here = (*path, name)
        size = len(dump(value)) + _overhead(here)
        if size <= MAX_ENTRY_BYTES:
            yield (here, value), size
        elif isinstance(value, Mapping):
            # The empty mapping takes the place of what was there; its parts follow.
            yield (here, {}), _overhead(here)
            yield from _pieces(value, here, changes)
        else:
            changes.append((_dotted(here), f"{size:,} bytes long; what fits an event is kept"))
            for key, part in _shortened(name, value).items():
                yield ((*path, key), part), len(dump(part)) + _overhead((*path, key))


def _shortened(name: str, value: Any) -> dict[str, Any]:
    short: dict[str, Any] = {}
    for cap in CAPS:
        short = cut_values({name: value}, cap)
        if len(dump(short)) <= MAX_ENTRY_BYTES - 2048:
            break
    return short


def _overhead(path: Path) -> int:
    """What an entry takes beside its value: `{"path":[…],"value":…},`."""
    return len(dump(path)) + 24


def _dotted(path: Path) -> str:
    return ".".join(path)[:200]


def _name_of_enum(value: Enum) -> str:
    return f"{type(value).__name__}.{value.name}"


def _decoded(value: str | bytes | bytearray) -> str:
    # `str.__str__` makes a plain string of a subclass without running its code.
    return str.__str__(value) if isinstance(value, str) else bytes(value).decode("utf-8", "backslashreplace")


def _is_scalar(value: object) -> bool:
    """Whether it is a scalar of numpy, torch and their like."""
    return getattr(value, "shape", None) == () and callable(getattr(value, "item", None))


def fields_of(value: object) -> Mapping[Any, object] | None:
    """Return what a value of named parts holds, None for one that has none; its own code may raise."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, type):
        return None
    fields = getattr(type(value), "__dataclass_fields__", None)
    if isinstance(fields, dict):
        return {name: getattr(value, name, None) for name in fields}
    for teller in _TELLERS:
        tell = getattr(type(value), teller, None)
        if callable(tell):
            told = tell(value)
            if isinstance(told, Mapping):
                return told
    # argparse.Namespace and types.SimpleNamespace; importing argparse to ask costs 10 ms.
    is_namespace = any(kind.__name__ in ("Namespace", "SimpleNamespace") for kind in type(value).__mro__)
    return vars(value) if is_namespace and hasattr(value, "__dict__") else None


def _items(value: object) -> Iterable[object] | None:
    """The items of a list of any kind, None for what is none."""
    if isinstance(value, (list, tuple, range)):
        return value
    if isinstance(value, Set):
        return sorted(value, key=as_text)
    if isinstance(value, Sequence):
        return value
    shape = getattr(value, "shape", None)
    if not shape or not callable(getattr(value, "tolist", None)):
        return None
    count = 1
    for length in shape:
        count *= int(length)
    # A larger one is left to its `str()`, which abbreviates and says so.
    listed: list[object] | None = value.tolist() if count <= MAX_ARRAY_ITEMS else None  # type: ignore[attr-defined]  # seen above
    return listed


def _length(items: Iterable[object]) -> int:
    try:
        return len(items)  # type: ignore[arg-type]  # what has no length is caught
    except TypeError:
        return 0


def _words(value: object) -> str:
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str):
        # A function or class; its `str()` holds an address that differs in every process.
        module = getattr(value, "__module__", None)
        return f"{module}.{name}" if isinstance(module, str) and module != "builtins" else name
    return str.__str__(str(value))
