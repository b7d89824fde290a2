"""A run's config: a dictionary whose changes are recorded, at any depth.

Reading gives what is recorded: numbers, texts, booleans, None, lists and mappings as they were given,
and something readable for everything else (`rundial.signals.configvalue`). A write costs the caller a
few microseconds and waits for nothing. A list is a plain list: to change one, assign it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rundial.signals.configvalue import Cleaner, Path

Changes = list[tuple[str, str]]
# Takes a path, what is set below it, the names that are gone from it, and what could not be kept as it
# was; answers whether that is recorded.
Tell = Callable[[Path, Mapping[str, Any], tuple[str, ...], Changes], bool]

_MISSING = object()


class Config(dict[str, Any]):
    """The config of one run, or a mapping inside it.

    Args:
        values: Clean values.
        tell: Records a change.

    Threads: any; of two writes of one key the one recorded last stands.
    """

    __slots__ = ("_name", "_parent", "_tell")

    def __init__(self, values: Mapping[str, Any], tell: Tell | None = None) -> None:
        super().__init__({name: self._held(name, value) for name, value in values.items()})
        self._tell = tell
        self._parent: Config | None = None
        self._name = ""

    def put(self, values: Mapping[Any, object]) -> bool:
        """Set some keys, each as a whole; return whether all of it is recorded."""
        cleaner = Cleaner()
        clean = cleaner.mapping(values, self._path())
        for name, value in clean.items():
            super().__setitem__(name, self._held(name, value))
        return self._told((), clean, (), cleaner.changes)

    def copy(self) -> dict[str, Any]:
        """Return plain dictionaries and lists with the same values, all the way down."""
        return {name: value.copy() if isinstance(value, Config) else value for name, value in self.items()}

    def update(self, *others: Any, **more: Any) -> None:
        """Set the keys of a mapping, or of pairs, each as a whole."""
        self.put(dict(*others, **more))

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Return a key's value, after setting it where it is missing."""
        if name not in self:
            self[name] = default
        return self[name]

    def pop(self, name: str, default: Any = _MISSING) -> Any:
        """Remove a key and return its value; without a default a missing one is a KeyError."""
        if name not in self and default is not _MISSING:
            return default
        value = self[name]
        del self[name]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Remove the last key and return it with its value."""
        name, value = super().popitem()
        self._told((), {}, (name,), [])
        return name, value

    def clear(self) -> None:
        """Remove every key."""
        names = tuple(self)
        super().clear()
        self._told((), {}, names, [])

    def __setitem__(self, name: str, value: Any) -> None:
        self.put({name: value})

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._told((), {}, (name,), [])

    def __ior__(self, other: Any) -> Config:  # type: ignore[override,misc]  # dict's own has a narrower type
        self.update(other)
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        # In a worker, in a checkpoint: the values alone, without the run.
        return dict, (self.copy(),)

    def __deepcopy__(self, memo: Any) -> dict[str, Any]:
        return self.copy()

    def _held(self, name: str, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        child = Config(value)
        child._parent, child._name = self, name
        return child

    def _path(self) -> Path:
        return () if self._parent is None else (*self._parent._path(), self._name)

    def _told(self, path: Path, values: Mapping[str, Any], gone: tuple[str, ...], changes: Changes) -> bool:
        if self._parent is None:
            return self._tell is None or self._tell(path, values, gone, changes)
        if self._parent.get(self._name) is not self:
            return False  # another value has taken its place: it is no part of the config any more
        return self._parent._told((self._name, *path), values, gone, changes)
