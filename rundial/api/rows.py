"""From the arguments of `log` to rows that the recorder takes: the slow, careful way.

The first call with a set of names comes through here and leaves a key set behind; later calls with the
same names and plain numbers never do. Pure but for the key sets that it asks the sink for.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from rundial.interrupts import let_through
from rundial.signals import values
from rundial.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rundial.api.sink import Keys, Sink

# A row and its key set must each fit a record of 64 KiB, names of 512 characters included.
MAX_ROW_KEYS = 4000
MAX_ROW_NAME_BYTES = 32 * 1024
# Names that a program makes up without end must not fill memory.
MAX_KNOWN = 4096
MAX_CONTEXT = 16
MAX_CONTEXT_CHARS = 512
_PYTHONS = frozenset((float, int, bool))
MAX_TIME_MS = (2**63 - 1) // 1_000_000 - 1


class Found:
    """What became of one call.

    Attributes:
        rows: Key sets and packed values to record.
        step: The step, None to take the run's own count.
        time_ms: The user's time, None for now.
        non_finite: Names whose value is NaN or infinite.
        invalid: Names and reasons of what is no point.
    """

    __slots__ = ("invalid", "non_finite", "rows", "step", "time_ms")

    def __init__(
        self, *, non_finite: list[str] | None = None, invalid: list[tuple[str, str]] | None = None
    ) -> None:
        self.rows: list[tuple[Keys, bytes]] = []
        self.step: int | None = None
        self.time_ms: int | None = None
        self.non_finite = non_finite if non_finite is not None else []
        self.invalid = invalid if invalid is not None else []


class Rows:
    """The key sets that a run has used.

    Args:
        attributes: Attributes of every point of the run.
    """

    def __init__(self, attributes: tuple[tuple[str, str], ...]) -> None:
        self._attributes = attributes
        # By their only name, the tuple of their names, or that and the context.
        self.known: dict[object, Keys] = {}
        # Types whose every value is a number.
        self._plain: set[type] = set(_PYTHONS)

    def examine(
        self, metrics: object, step: object, time_ms: object, context: object, *, sink: Sink
    ) -> Found:
        """Sort out one call; never raises for what the user gave."""
        entries = values.examine(metrics)
        found = Found(non_finite=entries.non_finite, invalid=entries.invalid)
        attributes, why = self._context(context)
        why = _place(found, step, time_ms) or why
        if why is not None:
            misplaced = _misplaced([*entries.names, *entries.non_finite], why)
            misplaced.invalid[:0] = entries.invalid
            return misplaced
        self._fill(found, entries.names, entries.values, attributes, sink)
        if len(found.rows) == 1 and _is_flat(metrics, entries.names):
            self._remember(found.rows[0][0], metrics, context)
        return found

    def examine_again(self, metrics: object, step: object, time_ms: object, context: object) -> Found | None:
        """Sort out a call whose names and kinds of number were all seen before; None for any other."""
        row = self._again(metrics, context)
        if row is None:
            return None
        found = Found()
        found.rows.append(row)
        why = _place(found, step, time_ms)
        return found if why is None else _misplaced(list(row[0].names), why)

    def _again(self, metrics: Any, context: Any) -> tuple[Keys, bytes] | None:
        if type(metrics) is not dict:
            # Another mapping may read differently each time.
            return None
        try:
            keys = self.known[_name_of(metrics, context)]
            numbers = metrics.values()
            kinds = set(map(type, numbers))
            if not kinds <= self._plain:
                return None
            body = keys.pack(*numbers)
            # numpy's own are slower to add up than to read back as Python's.
            total = sum(numbers if kinds <= _PYTHONS else keys.unpack(body))
            return (keys, body) if isfinite(total) else None
        except Exception as error:  # noqa: BLE001 - the user's own objects may raise; they are looked at closely
            let_through(error)
            return None

    def _fill(
        self,
        found: Found,
        names: list[str],
        numbers: list[float],
        attributes: tuple[tuple[str, str], ...],
        sink: Sink,
    ) -> None:
        first = 0
        while first < len(names):
            last = _row_end(names, first)
            keys = sink.key_set(names[first:last], attributes)
            found.rows.append((keys, keys.pack(*numbers[first:last])))
            first = last

    def _remember(self, keys: Keys, metrics: Any, context: Any) -> None:
        try:
            if len(self.known) < MAX_KNOWN:
                self.known[_name_of(metrics, context)] = keys
            self._plain.update(kind for kind in map(type, metrics.values()) if values.is_scalar_type(kind))
        except Exception as error:  # noqa: BLE001 - as above; then every such call goes the slow way
            let_through(error)

    def _context(self, context: object) -> tuple[tuple[tuple[str, str], ...], str | None]:
        if context is None:
            return self._attributes, None
        try:
            pairs = _pairs(context)
        except Exception as error:  # noqa: BLE001 - the user's own mapping may raise anything
            let_through(error)
            return (), f"context cannot be read ({type(error).__name__})"
        if pairs is None:
            return (), (
                f"context must be a mapping of at most {MAX_CONTEXT} names to short strings, "
                "without names under rundial."
            )
        return (*self._attributes, *pairs), None


def _name_of(metrics: Any, context: Any) -> object:
    """Return what a known key set is found by."""
    names = tuple(metrics)
    if context is None:
        return names if len(names) > 1 else names[0]
    return names, tuple(context.items())


def _place(found: Found, step: object, time_ms: object) -> str | None:
    """Fill in where the points belong; return why they belong nowhere."""
    if time_ms is not None:
        found.time_ms = as_time_ms(time_ms)
        if found.time_ms is None:
            return f"time_ms {_shown(time_ms)} is not a time in milliseconds since 1970"
    if step is not None:
        found.step = values.as_step(step)
        if found.step is None:
            return f"step {_shown(step)} is not a whole number from 0 to 2^63-1"
    return None


def _misplaced(names: list[str], why: str) -> Found:
    # A point whose x or context is unknown would be drawn in the wrong place.
    return Found(invalid=[(name, why) for name in names])


def _pairs(context: object) -> tuple[tuple[str, str], ...] | None:
    if not isinstance(context, Mapping) or len(context) > MAX_CONTEXT:
        return None
    pairs: list[tuple[str, str]] = []
    for key, value in context.items():
        if not isinstance(key, str) or not key or len(key) > 128 or key.startswith("rundial."):
            return None
        pairs.append((key, str(value)[:MAX_CONTEXT_CHARS]))
    return tuple(sorted(pairs))


def _row_end(names: list[str], first: int) -> int:
    room = MAX_ROW_NAME_BYTES
    last = first
    while last < len(names) and last - first < MAX_ROW_KEYS:
        # JSON escapes a character to at most six bytes, twelve for one outside the BMP.
        name = names[last]
        room -= 2 * len(name) + 3 if name.isascii() and name.isprintable() else 12 * len(name) + 3
        if room < 0 and last > first:
            break
        last += 1
    return last


def _is_flat(metrics: Any, names: list[str]) -> bool:
    try:
        return isinstance(metrics, Mapping) and list(metrics) == names
    except Exception as error:  # noqa: BLE001 - the user's own mapping may raise, also the second time it is read
        let_through(error)
        return False


def as_time_ms(value: object) -> int | None:
    """Return whole milliseconds since the Unix epoch, None for what is no such time.

    Any number will do, also `time.time() * 1000`, whose fraction is cut off.
    """
    number = values.plain_number(value)
    if isinstance(number, (bool, str)):
        return None
    if isinstance(number, float):
        if not isfinite(number):
            return None
        number = int(number)
    return number if 0 <= number <= MAX_TIME_MS else None


def _shown(value: object) -> str:
    try:
        return repr(value)[:80]
    except Exception as error:  # noqa: BLE001 - the user's own __repr__ failed
        let_through(error)
        return f"of type {type(value).__name__}"
