"""Values by path, last writer wins: how config and summary of a run are folded. Pure.

A register is a stamp and a value. Writing a path replaces all that stood there and below it before; what
is written below it later stays. Per path the greatest register is kept, and one that a later writer
of a path above it has replaced is forgotten: both commute and ignore repeats.

The mapping is flat: a name at the top is its own key, a deeper path is a line feed and its JSON. Removed is a
value too: the empty text, which is no JSON.
"""

from __future__ import annotations

import functools
import heapq
import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

from rundial.server.anyvalue import canonical
from rundial.signals.changes import ENTRIES, REMOVED

Stamp = tuple[int, str, int]
Register = tuple[int, str, int, str]  # a stamp and the value as canonical JSON: totally ordered
Registers = Mapping[str, Register]
Path = tuple[str, ...]
Omitted = tuple[int, ...]  # hashes of names

MAX_DEPTH: Final = 32
# What a client keeps of a config; several writers may have more between them.
MAX_KEYS: Final = 20_000
# Of names that are not kept; beyond, they are counted no further.
MAX_OMITTED: Final = 10_000
_GONE: Final = ""
_DEEPER: Final = "\n"


def written(registers: Registers, body: Mapping[str, Any], field: str, stamp: Stamp) -> Registers:
    """Return the registers with what an event's body writes, as `rundial.signals.changes` puts it.

    In time that grows with the registers and the body, each counted once.
    """
    found = dict(registers)
    below: dict[Path, set[str]] = {}
    for key in filter(_is_deeper, found):
        _note(below, _path_of(key), key)
    for path, value in _writes(body, field):
        _write(found, below, path, (*stamp, value))
    return found


def capped(registers: Registers, omitted: Omitted) -> tuple[Registers, Omitted]:
    """Return the registers that are kept, the first `MAX_KEYS` in the order of their names, and what is not.

    A name that is not kept is remembered by its hash, so that however often it arrives it counts once.
    """
    too_many = len(registers) - MAX_KEYS
    if too_many <= 0:
        return registers, omitted
    dropped = heapq.nlargest(too_many, registers)
    hashes = {int.from_bytes(sha256(key.encode("utf-8", "replace")).digest()[:6], "big") for key in dropped}
    kept = dict(registers)
    for key in dropped:
        del kept[key]
    return kept, tuple(heapq.nsmallest(MAX_OMITTED, hashes.union(omitted)))


def values_of(registers: Registers) -> dict[str, Any]:
    """Return what the registers add up to, nested, in the order of the names at the top."""
    out: dict[str, Any] = {}
    # A parent and its parts may have been written by one event; the parent goes first.
    for key, register in sorted(registers.items(), key=lambda item: (item[1][:3], len(_path_of(item[0])))):
        *above, name = _path_of(key)
        place = out
        for step in above:
            inner = place.get(step)
            if not isinstance(inner, dict):
                inner = place[step] = {}
            place = inner
        if register[3] == _GONE:
            place.pop(name, None)
        else:
            place[name] = json.loads(register[3])
    return dict(sorted(out.items()))


def _writes(body: Mapping[str, Any], field: str) -> Iterator[tuple[Path, str]]:
    """Yield (path, value as JSON) of everything that a body writes; what makes no sense is skipped."""
    top = body.get(field)
    if isinstance(top, Mapping):
        for name, value in top.items():
            yield (str(name),), canonical(value)
    for entry in _listed(body.get(ENTRIES)):
        path = _path(entry.get("path")) if isinstance(entry, Mapping) else None
        if path is not None:
            yield path, canonical(entry.get("value"))
    for gone in _listed(body.get(REMOVED)):
        path = _path(gone)
        if path is not None:
            yield path, _GONE


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _path(value: object) -> Path | None:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_DEPTH:
        return None
    return tuple(value) if all(isinstance(name, str) for name in value) else None


def _write(
    registers: dict[str, Register], below: dict[Path, set[str]], path: Path, register: Register
) -> None:
    key = _key_of(path)
    known = registers.get(key)
    if known is not None and known >= register:
        return
    if any(_is_later(registers.get(_key_of(path[:depth])), register) for depth in range(1, len(path))):
        return
    registers[key] = register
    _note(below, path, key)
    if known is not None and known[:3] == register[:3]:
        # What this stamp replaces is gone already.
        return
    for other in list(below.get(path, ())):
        if _is_later(register, registers[other]):
            del registers[other]
            gone = _path_of(other)
            for depth in range(1, len(gone)):
                below[gone[:depth]].discard(other)


def _note(below: dict[Path, set[str]], path: Path, key: str) -> None:
    for depth in range(1, len(path)):
        below.setdefault(path[:depth], set()).add(key)


def _is_later(one: Register | None, other: Register) -> bool:
    return one is not None and one[:3] > other[:3]


def _key_of(path: Path) -> str:
    if len(path) == 1:
        return _DEEPER + path[0] if path[0].startswith(_DEEPER) else path[0]
    return _DEEPER + canonical(list(path))


def _is_deeper(key: str) -> bool:
    return key.startswith(_DEEPER + "[")


@functools.lru_cache(maxsize=65_536)
def _path_of(key: str) -> Path:
    if _is_deeper(key):
        return tuple(json.loads(key[1:]))
    return (key[1:],) if key.startswith(_DEEPER) else (key,)
