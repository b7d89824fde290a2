"""API keys and what their bearer may do. Pure: no store, no clock.

A key is `rdk_<id>_<secret>`: the id finds the row, the secret is 256 random bits. Only the
secret's sha256 is kept: a slow hash protects passwords that people choose, not random bits.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "rdk"
METRICS_WRITE: Final = "metrics:write"
LOGS_WRITE: Final = "logs:write"
TRACES_WRITE: Final = "traces:write"
ARTIFACTS_WRITE: Final = "artifacts:write"
PROJECT_READ: Final = "project:read"
STREAM_READ: Final = "stream:read"
ADMIN: Final = "admin"
WRITE_SCOPES: Final = frozenset({METRICS_WRITE, LOGS_WRITE, TRACES_WRITE, ARTIFACTS_WRITE})
SCOPES: Final = WRITE_SCOPES | {PROJECT_READ, STREAM_READ, ADMIN}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from and where it may act.

    Attributes:
        key_id: The key's public half; safe to log.
        label: The name that the key was given.
        scopes: What it may do; `admin` includes the rest.
        home_workspace_id: Where it acts when a request names no workspace.
        workspace_id: The one workspace that it may touch; None is the owner's key, which may
            touch every workspace and make new ones.
        project_id: The one project that it may touch; None is every project of its workspace.
    """

    key_id: str
    label: str
    scopes: frozenset[str]
    home_workspace_id: int
    workspace_id: int | None = None
    project_id: int | None = None

    def may(self, *scopes: str) -> bool:
        """Whether the bearer holds at least one of the scopes."""
        return ADMIN in self.scopes or not self.scopes.isdisjoint(scopes)

    @property
    def is_owner(self) -> bool:
        """Whether the bearer may make workspaces."""
        return self.workspace_id is None and ADMIN in self.scopes


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as the server keeps it.

    Attributes:
        principal: What the key allows.
        secret_sha256: Hex digest of the secret.
        expires_unix_ns: When it stops working; None is never.
        revoked_unix_ns: When it was taken back; None is not.
    """

    principal: Principal
    secret_sha256: str
    expires_unix_ns: int | None = None
    revoked_unix_ns: int | None = None

    def opens_with(self, secret: str, now_unix_ns: int) -> bool:
        """Whether the secret is this key's and the key still works."""
        is_same = hmac.compare_digest(digest(secret), self.secret_sha256)
        is_expired = self.expires_unix_ns is not None and now_unix_ns >= self.expires_unix_ns
        return is_same and not is_expired and self.revoked_unix_ns is None


def generate() -> tuple[str, str]:
    """Make a new key.

    Returns:
        Its id (12 hex digits) and its secret (43 URL-safe characters).
    """
    return secrets.token_hex(6), secrets.token_urlsafe(32)


def render(key_id: str, secret: str) -> str:
    """The key as its owner holds it."""
    return f"{PREFIX}_{key_id}_{secret}"


def parse(key: str) -> tuple[str, str] | None:
    """Split a key into id and secret; None when it does not look like one of ours."""
    parts = key.strip().split("_", 2)  # a secret may hold further underscores
    if len(parts) != 3 or parts[0] != PREFIX or not parts[1] or not parts[2]:
        return None
    return parts[1], parts[2]


def digest(secret: str) -> str:
    """The hex sha256 that is stored in place of the secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
