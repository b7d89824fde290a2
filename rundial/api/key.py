"""What opens the server to a run or a client: an API key, or a login's session.

A key may expire in the middle of a run. It is read anew at every request, so whoever sets another,
or stores another for the run's server, has the run go on without a restart. A stored key is read
again only when one of the two files has changed, and it never goes to another server.

A session stands in where there is no key; telemetry and control requests carry the same one.

Threads: any; a key is read and set by single loads and stores.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from rundial import profiles
from rundial.errors import ConfigError
from rundial.logger import logger

SESSION_COOKIE = "rd_session"
# What RFC 6265 keeps out of a cookie's value, beside what is no printable ASCII.
_NO_COOKIE = frozenset(' ",;\\')
MAX_SESSION_CHARS = 4096


class Key:
    """A key that may be replaced while requests are made with it.

    Args:
        value: The key, None to send none.
        stored_for: The server whose stored key this is; None does not look for another.
        session_token: Of a login; sent where there is no key.

    Attributes:
        on_change: Called after key or session were set, on the caller's thread; must not wait.

    Raises:
        ConfigError: The session token is not a text that a cookie can carry.
    """

    def __init__(
        self, value: str | None, *, stored_for: str | None = None, session_token: str | None = None
    ) -> None:
        self._value = value
        self._session_token = None if session_token is None else _checked_session(session_token)
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

    @property
    def session_token(self) -> str | None:
        """The session that is sent where there is no key, or None."""
        return self._session_token

    def headers(self) -> dict[str, str]:
        """Return what the next request shows to be let in; nothing without key and session."""
        key = self.value
        if key:
            return {"authorization": f"Bearer {key}"}
        token = self._session_token
        return {"cookie": f"{SESSION_COOKIE}={token}"} if token else {}

    def set_session(self, token: str | None) -> None:
        """Use another session from now on, or none.

        Raises:
            ConfigError: It is not a text that a cookie can carry; the former one stays.
        """
        self._session_token = None if token is None else _checked_session(token)
        self.on_change()

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


def _checked_session(token: str) -> str:
    # Not echoed either. A separator would smuggle a second cookie into the header.
    text = token.strip() if isinstance(token, str) else ""
    is_short = 0 < len(text) <= MAX_SESSION_CHARS
    if not (is_short and text.isascii() and text.isprintable() and not _NO_COOKIE.intersection(text)):
        raise ConfigError("session_token must be a text that a cookie can carry, or None")
    return text


def _stamps() -> tuple[tuple[int, int, int], ...]:
    """What changes when one of the two files does: they are replaced whole."""
    return tuple(_stamp(path) for path in (profiles.config_path(), profiles.secrets_path()))


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_ino, found.st_size)


def _nothing() -> None:
    """What `on_change` is until somebody wants to hear."""
