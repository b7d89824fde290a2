"""`wandb.summary`: the last value of everything that was logged, and what was set by hand.

Of a key that was set by hand and logged later, the logged value counts again, as in W&B's client.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, MutableMapping
from threading import RLock
from typing import TYPE_CHECKING, Any

from rundial.compat.wandb.definitions import Definitions

if TYPE_CHECKING:
    import rundial


class Summary(MutableMapping[str, Any]):
    """The summary of one run.

    Args:
        run: The run.
        definitions: How metrics are to be read.

    Threads: any.
    """

    def __init__(self, run: rundial.Run, definitions: Definitions) -> None:
        vars(self)["_run"] = run
        vars(self)["_definitions"] = definitions
        # Flat, by full name.
        vars(self)["_logged"] = {}
        vars(self)["_by_hand"] = {}
        # What stands in the run's own summary in place of what was logged.
        vars(self)["_standing"] = set()
        vars(self)["_counts"] = {}
        vars(self)["_began"] = time.time()
        # Guards what was logged and what was set.
        vars(self)["_lock"] = RLock()

    def note(self, numbers: Mapping[str, Any], others: Mapping[str, Any], step: int) -> None:
        """Take over what was logged; texts and lists, which are no points, are recorded here."""
        with self._lock:
            for name in self._standing & numbers.keys():
                # The run's own summary shows the metric again.
                del self._run.summary[name]
                self._standing.discard(name)
            for name in self._by_hand.keys() & {*numbers, *others}:
                del self._by_hand[name]
            for name, value in numbers.items():
                self._logged[name] = self._folded(name, value)
            self._logged.update(others)
            if others:
                self._run.summary.put(others)
                self._standing.update(others)
            now = time.time()
            self._logged.update({"_step": step, "_timestamp": now, "_runtime": now - self._began})

    def _folded(self, name: str, value: Any) -> Any:
        """Return what the summary shows of a metric, by its rule."""
        rule = self._definitions.rule_of(name)
        known = self._logged.get(name)
        if rule is None or rule == "last":
            return value
        if not isinstance(known, Mapping) or rule not in known:
            self._counts[name] = 1
            return {rule: value}
        if rule == "mean":
            self._counts[name] += 1
            return {rule: known[rule] + (value - known[rule]) / self._counts[name]}
        return {rule: min(known[rule], value) if rule == "min" else max(known[rule], value)}

    @property
    def dirty(self) -> bool:
        """Whether something waits to be recorded: never, a change is recorded when it is made."""
        return False

    def mark_flushed(self) -> None:
        """Do nothing: nothing waits."""

    def as_dict(self) -> dict[str, Any]:
        """Return everything, nested as it was logged."""
        return {name: self[name] for name in self}

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or the default."""
        try:
            return self[name]
        except KeyError:
            return default

    def update(self, *others: Any, **more: Any) -> None:
        """Set some keys."""
        self._put(dict(*others, **more))

    def __repr__(self) -> str:
        return repr(self.as_dict())

    def __getitem__(self, name: str) -> Any:
        with self._lock:
            for values in (self._by_hand, self._logged):
                if name in values:
                    return values[name]
            below = {key: value for key, value in self._logged.items() if key.startswith(f"{name}.")}
        if not below:
            raise KeyError(name)
        return _nested(below, len(name) + 1)

    def __setitem__(self, name: str, value: Any) -> None:
        self._put({name: value})

    def __delitem__(self, name: str) -> None:
        with self._lock:
            if name not in self._by_hand:
                raise KeyError(name)
            del self._by_hand[name]
            del self._run.summary[name]
            self._standing.discard(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{type(self)!r} object has no attribute {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(dict.fromkeys(name.partition(".")[0] for name in (*self._logged, *self._by_hand)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _put(self, values: Mapping[Any, Any]) -> None:
        clean = {str(name): value for name, value in values.items()}
        with self._lock:
            self._by_hand.update(clean)
            self._standing.update(clean)
            self._run.summary.put(clean)


def _nested(flat: Mapping[str, Any], skip: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name[skip:].split(".")
        place = out
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return out
