"""What a person may do in a workspace, by role: the one table. Pure.

A permission is a scope of an API key or one of the further ones here, which no key has by itself:
a key with the scope `admin` holds every permission, as far as the key reaches.
"""

from __future__ import annotations

from typing import Final

from rundial.server.keys import ADMIN, PROJECT_READ, SCOPES, STREAM_READ, Principal

OWNER: Final = "owner"
MEMBER: Final = "member"
VIEWER: Final = "viewer"

KEYS_MAKE: Final = "keys:make"
"""Make API keys that may do no more than their maker, and end those."""
PROJECTS_CREATE: Final = "projects:create"
"""Make projects before their first run does."""

FURTHER: Final = frozenset({KEYS_MAKE, PROJECTS_CREATE})
PERMISSIONS: Final = SCOPES | FURTHER

READING: Final = frozenset({PROJECT_READ, STREAM_READ})
ROLES: Final[dict[str, frozenset[str]]] = {
    OWNER: PERMISSIONS,
    MEMBER: PERMISSIONS - {ADMIN},
    VIEWER: READING,
}


def role_in(principal: Principal, workspace_id: int) -> str:
    """The word for what a bearer is in a workspace; a key that is not the owner's is a member."""
    if principal.is_person:
        held = principal.rights.get(workspace_id, frozenset())
        return next((role for role, permissions in ROLES.items() if permissions == held), VIEWER)
    return OWNER if principal.is_owner else MEMBER
