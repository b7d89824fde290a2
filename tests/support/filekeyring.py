"""A keyring back end over a file: no service of an operating system can be had where the tests run.

It is the package's own contract, found by `PYTHON_KEYRING_BACKEND` as any other back end is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError


class FileKeyring(KeyringBackend):
    """Secrets in the file that TEST_KEYRING_FILE names."""

    priority = 1  # type: ignore[assignment]  # the package declares a property and takes a number

    def get_password(self, service: str, username: str) -> str | None:
        """Return a secret."""
        found = self._all().get(f"{service}/{username}")
        return found if isinstance(found, str) else None

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep a secret."""
        self._store({**self._all(), f"{service}/{username}": password})

    def delete_password(self, service: str, username: str) -> None:
        """Forget a secret."""
        known = self._all()
        if known.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError("there is none")
        self._store(known)

    def _all(self) -> dict[str, str]:
        path = Path(os.environ["TEST_KEYRING_FILE"])
        found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def _store(self, known: dict[str, str]) -> None:
        Path(os.environ["TEST_KEYRING_FILE"]).write_text(json.dumps(known))
