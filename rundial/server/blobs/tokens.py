"""Signed tokens: what a URL of this server's own allows, for how long. Pure.

A token is `<claims>.<mac>`: base64url of JSON, and of its HMAC-SHA256. It is the whole right: one method, one
place, one size, until one moment. The key is 32 random bytes in the data directory, mode 0600.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from rundial.errors import ConfigError

# What follows is a token, which is the right by itself, and so never in a log.
PATH: Final = "/api/v1/blobs/"
KEY_FILE: Final = "blobs.key"
_KEY_BYTES: Final = 32


class Signer:
    """Makes and reads tokens.

    Args:
        key: The secret.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, claims: dict[str, Any], *, expires_unix_s: int) -> str:
        """Return a token that holds the claims until a moment."""
        body = json.dumps({**claims, "exp": expires_unix_s}, separators=(",", ":"), ensure_ascii=True)
        text = _packed(body.encode())
        return f"{text}.{_packed(self._mac(text))}"

    def read(self, token: str, *, now_unix_s: float) -> dict[str, Any] | None:
        """Return a token's claims; None when it is not ours, was changed, or has expired."""
        text, _, mac = token.partition(".")
        try:
            is_ours = hmac.compare_digest(_unpacked(mac), self._mac(text))
            claims = json.loads(_unpacked(text)) if is_ours else None
        except (ValueError, binascii.Error):
            return None
        if not isinstance(claims, dict) or now_unix_s >= claims["exp"]:
            return None
        return claims

    def _mac(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode("utf-8", "replace"), sha256)


def open_signer(data_dir: Path) -> Signer:
    """Read the key of a data directory, made now when it is missing.

    Raises:
        ConfigError: The file holds something else.
    """
    path = data_dir / KEY_FILE
    if not path.exists():
        fresh = data_dir / f".{KEY_FILE}.{secrets.token_hex(4)}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)  # unlike a rename, never replaces the key that another server has just made
        except FileExistsError:
            pass  # theirs is ours too
        finally:
            fresh.unlink()
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise ConfigError(f"{path} is not a key of ours; remove it and start the server again")
    return Signer(key)


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _unpacked(text: str) -> bytes:
    data = text.encode("ascii")
    return base64.b64decode(data + b"=" * (-len(data) % 4), altchars=b"-_", validate=True)
