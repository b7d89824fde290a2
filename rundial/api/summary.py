"""A run's summary: what was set by hand, and beside it the last value of each metric.

Reading gives what this process has set and logged. What the server shows in the end also knows the
other processes of the run, and follows the rules of `run.define_metric`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from rundial.api.config import Tell
from rundial.signals.configvalue import Cleaner


class Summary(MutableMapping[str, Any]):
    """The summary of one run.

    A write is recorded and waits for nothing. A read looks through what was logged in the last quarter
    of a second, which is why logging itself pays nothing for it.

    Args:
        latest: Gives the last value of each metric.
        tell: Records a change.

    Threads: any.
    """

    def __init__(self, latest: Callable[[], Mapping[str, float]], tell: Tell) -> None:
        self._latest = latest
        self._tell = tell
        self._set: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"Summary({self._all()!r})"

    def __getitem__(self, name: str) -> Any:
        if name in self._set:
            return self._set[name]
        return self._latest()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.put({name: value})

    def __delitem__(self, name: str) -> None:
        """Take back what was set by hand; the metric's own value, if there is one, shows again."""
        del self._set[name]
        self._tell((), {}, (name,), [])

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def update(self, *others: Any, **more: Any) -> None:
        """Set the keys of a mapping, or of pairs."""
        self.put(dict(*others, **more))

    def put(self, values: Mapping[Any, object]) -> bool:
        """Set some keys; return whether all of it is recorded."""
        cleaner = Cleaner()
        clean = cleaner.mapping(values)
        self._set.update(clean)
        return self._tell((), clean, (), cleaner.changes)

    def _all(self) -> dict[str, Any]:
        return {**self._latest(), **self._set}
