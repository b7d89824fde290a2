"""Several sources as one, of which each may fail alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rundial.logger import logger
from rundial.typed import TypeAlias

Source: TypeAlias = Callable[[], Mapping[str, object]]

MIB = 1 << 20


class Readings:
    """What all sources say together.

    Args:
        sources: Asked in this order, each time.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)
        self._told: set[Source] = set()

    def __call__(self) -> dict[str, object]:
        """Ask every source; one that fails costs its own values only."""
        found: dict[str, object] = {}
        for source in self._sources:
            try:
                found.update(source())
            except Exception as error:  # noqa: BLE001, PERF203 - a hardened container hides any file it likes
                self._tell(source, error)
        return found

    def _tell(self, source: Source, error: Exception) -> None:
        if source not in self._told:
            self._told.add(source)
            logger.debug("system metrics: %s cannot be read here", source, exc_info=error)
