"""API keys, sessions, and what their bearer may do. Pure: no store, no clock.

A key is `rdk_<id>_<secret>`: the id finds the row, the secret is 256 random bits. Only the
secret's sha256 is kept: a slow hash protects passwords that people choose, not random bits.
A session of a person who logged in is `rds_<id>_<secret>`, in the same form.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

PREFIX: Final = "rdk"
SESSION_PREFIX: Final = "rds"
METRICS_WRITE: Final = "metrics:write"
LOGS_WRITE: Final = "logs:write"
TRACES_WRITE: Final = "traces:write"
EVALS_WRITE: Final = "evals:write"
ARTIFACTS_WRITE: Final = "artifacts:write"
PROJECT_READ: Final = "project:read"
STREAM_READ: Final = "stream:read"
ADMIN: Final = "admin"
# Whoever may write telemetry may also start, describe and end the runs that it belongs to.
WRITE_SCOPES: Final = frozenset({METRICS_WRITE, LOGS_WRITE, TRACES_WRITE})
SCOPES: Final = WRITE_SCOPES | {EVALS_WRITE, ARTIFACTS_WRITE, PROJECT_READ, STREAM_READ, ADMIN}
DEFAULT_SCOPES: Final = WRITE_SCOPES | {EVALS_WRITE, ARTIFACTS_WRITE, PROJECT_READ, STREAM_READ}


@dataclass(frozen=True, slots=True)
class Actor:
    """Whose deed something is, as the audit log has it.

    Attributes:
        kind: `user`, `api_key`, `agent` or `system`.
        id: The person's, the key's or the agent's public id.
    """

    kind: str
    id: str


SYSTEM: Final = Actor("system", "server")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from and where it may act.

    Attributes:
        key_id: The public half of the key or the session; safe to log.
        label: The name that the key was given, or the person's e-mail.
        scopes: What it may do somewhere; `admin` includes the rest.
        home_workspace_id: Where it acts when a request names no workspace.
        reach: The workspaces that it may touch; None is the owner's key, which may touch every
            workspace and make new ones.
        project_id: The one project that it may touch; None is every project of its workspaces.
        rights: A person's permissions by workspace, those beyond `reach` too; empty for a key, whose
            scopes are the same wherever it reaches.
        actor: Whose deeds these are; None is the key itself.
    """

    key_id: str
    label: str
    scopes: frozenset[str]
    home_workspace_id: int
    reach: frozenset[int] | None = None
    project_id: int | None = None
    rights: Mapping[int, frozenset[str]] = field(default_factory=dict)
    actor: Actor | None = None

    def may(self, *permissions: str) -> bool:
        """Whether the bearer holds at least one of the permissions, somewhere."""
        return _holds(self.scopes, permissions)

    def may_in(self, workspace_id: int, *permissions: str) -> bool:
        """Whether the bearer holds at least one of the permissions in a workspace."""
        return _holds(self.held_in(workspace_id), permissions)

    def held_in(self, workspace_id: int) -> frozenset[str]:
        """What the bearer holds in a workspace."""
        if not self.sees_workspace(workspace_id):
            return frozenset()
        return self.rights.get(workspace_id, frozenset()) if self.is_person else self.scopes

    def administers(self, workspace_id: int) -> bool:
        """Whether the bearer manages the whole of a workspace: its people, agents and records of deeds."""
        return self.project_id is None and self.may_in(workspace_id, ADMIN)

    def sees_workspace(self, workspace_id: int) -> bool:
        """Whether a workspace is within reach."""
        return self.reach is None or workspace_id in self.reach

    def sees(self, workspace_id: int, project_id: int) -> bool:
        """Whether a project is within reach."""
        return self.sees_workspace(workspace_id) and self.project_id in (None, project_id)

    def within(self, *permissions: str) -> Principal:
        """The same bearer, reaching only where it holds one of the permissions."""
        if not self.is_person or self.reach is None:
            return self
        reach = frozenset(each for each in self.reach if self.may_in(each, *permissions))
        # Who may not write at home writes where it may; the oldest of those, like home itself.
        home = self.home_workspace_id if self.home_workspace_id in reach else min(reach, default=0)
        return replace(self, reach=reach, home_workspace_id=home)

    @property
    def is_person(self) -> bool:
        """Whether the bearer is a person who logged in, with a role in each workspace."""
        return self.actor is not None and self.actor.kind == "user"

    @property
    def is_owner(self) -> bool:
        """Whether the bearer holds the whole server."""
        return self.reach is None and self.project_id is None and ADMIN in self.scopes

    @property
    def doer(self) -> Actor:
        """Whose deeds these are."""
        return self.actor or Actor("api_key", self.key_id)


def _holds(held: frozenset[str], wanted: tuple[str, ...]) -> bool:
    return ADMIN in held or not held.isdisjoint(wanted)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key, or a session, as the server keeps it.

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


def generate_session() -> tuple[str, str]:
    """Make a new session: its id (16 hex digits, so never a key's) and its secret."""
    return secrets.token_hex(8), secrets.token_urlsafe(32)


def render(key_id: str, secret: str, *, prefix: str = PREFIX) -> str:
    """The key, or with its prefix the session, as its owner holds it."""
    return f"{prefix}_{key_id}_{secret}"


def parse(key: str, *, prefix: str = PREFIX) -> tuple[str, str] | None:
    """Split a key, or a session, into id and secret; None when it does not look like one of ours."""
    parts = key.strip().split("_", 2)  # a secret may hold further underscores
    if len(parts) != 3 or parts[0] != prefix or not parts[1] or not parts[2]:
        return None
    return parts[1], parts[2]


def scopes_of(text: str) -> frozenset[str]:
    """The scopes in their stored form, a JSON list."""
    return frozenset(json.loads(text))


def digest(secret: str) -> str:
    """The hex sha256 that is stored in place of the secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
