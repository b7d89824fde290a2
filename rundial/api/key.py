"""A run's API key: the one that it was given, or the stored one for as long as it runs.

A key may expire in the middle of a run. It is read anew at every request, so whoever sets another,
or stores another for the run's server, has the run go on without a restart. A stored key is read
again only when one of the two files has changed, and it never goes to another server.

Threads: any; a key is read and set by single loads and stores.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rundial import profiles
from rundial.errors import ConfigError
from rundial.logger import logger


class Key:
    """A key that may be replaced while requests are made with it.

    Args:
        value: The key, None to send none.
        stored_for: The server whose stored key this is; None does not look for another.

    Attributes:
        on_change: Called after a key was set, on the caller's thread; must not wait.
    """

    def __init__(self, value: str | None, *, stored_for: str | None = None) -> None:
        self._value = value
        self._stored_for = stored_for
        self._seen = _stamps() if stored_for is not None else ()
        self.on_change: Callable[[], None] = _nothing

    def __repr__(self) -> str:
        # The key never reaches a log or a traceback.
        return f"Key({'set' if self._value else None})"

    @property
    def value(self) -> str | None:
        """The key as it is now, None to send none."""
        if self._stored_for is not None:
            self._look(self._stored_for)
        return self._value

    def set(self, value: str | None) -> None:
        """Use another key from now on, whatever is stored.

        Raises:
            ConfigError: It is not a text that HTTP can carry; the former key stays.
        """
        if value is not None:
            value = _checked(value)
        self._stored_for = None
        self._value = value
        self.on_change()

    def _look(self, endpoint: str) -> None:
        """Take over what was stored since the last look."""
        stamps = _stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            stored = profiles.load().key_for(endpoint)
        except ConfigError as error:
            logger.debug("the stored key was not read again: %s", error)
            return
        # A key that was taken away is not replaced by none: the server says what it thinks of it.
        if stored is not None and self._stored_for is not None:
            self._value = stored


def _checked(value: str) -> str:
    # Not echoed: it is a secret, or was meant to be one.
    if not isinstance(value, str) or not value.strip():
        raise ConfigError("api_key must be a text that is not empty, or None; the former key stays")
    text = value.strip()
    if not (text.isascii() and text.isprintable()):
        raise ConfigError("api_key holds a character that HTTP cannot carry; the former key stays")
    return text


def _stamps() -> tuple[tuple[int, int, int], ...]:
    """What changes when one of the two files does: they are replaced whole."""
    return tuple(_stamp(path) for path in (profiles.config_path(), profiles.secrets_path()))


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_ino, found.st_size)


def _nothing() -> None:
    """What `on_change` is until somebody wants to hear."""
