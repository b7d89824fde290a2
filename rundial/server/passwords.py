"""Passwords: argon2id hashes, made and compared one at a time, because each takes 64 MiB.

An account that does not exist is compared with a hash of its own kind, so that neither the answer nor its
time says whether there is one.

Threads: `PasswordBook` on the event loop; hashing in one worker thread.
"""

from __future__ import annotations

import secrets
from typing import Final

from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from rundial.server.problems import busy, invalid

MIN_CHARS: Final = 10
MAX_CHARS: Final = 1_024
_MAX_WAITING: Final = 32


def check_new(password: str) -> None:
    """Check what a person wants as a password.

    Raises:
        Problem: 400, it is too short or too long; the password is not repeated.
    """
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise invalid(
            f"a password has {MIN_CHARS} to {MAX_CHARS:,} characters",
            "a sentence of four words is a good one",
        )


class PasswordBook:
    """Makes and compares hashes, a bounded number of them."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._limiter = CapacityLimiter(1)
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """The hash that is kept of a password.

        Raises:
            Problem: 503, too many are being made.
        """
        self._check_queue()
        return await to_thread.run_sync(self._hasher.hash, password, limiter=self._limiter)

    async def is_right(self, password: str, stored: str | None) -> bool:
        """Whether a password is an account's.

        Args:
            password: As someone typed it.
            stored: The account's hash, None when there is no such account.

        Raises:
            Problem: 503, too many are being compared.
        """
        self._check_queue()
        return await to_thread.run_sync(self._compare, password, stored, limiter=self._limiter)

    def _check_queue(self) -> None:
        if self._limiter.statistics().tasks_waiting >= _MAX_WAITING:
            raise busy("too many people log in at once")

    def _compare(self, password: str, stored: str | None) -> bool:
        if self._nobodys is None:
            self._nobodys = self._hasher.hash(secrets.token_urlsafe(32))
        try:
            # What is too long is compared all the same, cut, so that it takes as long; it is never right.
            self._hasher.verify(stored or self._nobodys, password[:MAX_CHARS])
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None and len(password) <= MAX_CHARS
