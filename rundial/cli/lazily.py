"""Commands that are imported when they are asked for: who lists runs pays for no exporter and no server.

The help of the program shows each command's line from the table itself; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import NamedTuple

import click

# The help wraps a line that is too long for the terminal; nothing is cut.
WHOLE = 1000


class Source(NamedTuple):
    """Where a command is made.

    Attributes:
        place: `module:name`.
        help: Its line in the help of the group above.
    """

    place: str
    help: str


class LazyCommands(MutableMapping[str, click.Command]):
    """A group's commands by name, each imported at its first use.

    Args:
        sources: Where they are made.
    """

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = dict(sources)
        self._made: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._made:
            module, _, attribute = self._sources[name].place.partition(":")
            self._made[name] = getattr(import_module(module), attribute)
        return self._made[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        self._sources.pop(name, None)
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._sources, **self._made})

    def __len__(self) -> int:
        return len({**self._sources, **self._made})

    def lines(self) -> list[tuple[str, str]]:
        """Return name and help of each, sorted; those that came later with a help of their own."""
        return [
            (
                name,
                self._sources[name].help if name in self._sources else self[name].get_short_help_str(WHOLE),
            )
            for name in sorted(self)
        ]
