"""People as rows: accounts, their roles in workspaces, what their sessions may do.

Every function takes a connection inside a transaction; those that change need the writer's.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from rundial.server.keys import Actor, Principal, StoredKey
from rundial.server.problems import invalid
from rundial.server.roles import OWNER, ROLES
from rundial.server.store.people import memberships, sessions, users
from rundial.server.store.tables import workspaces

AnyRow = Row[Any]
MAX_EMAIL_CHARS: Final = 254


def create_user(
    connection: Connection, email: str, *, name: str, password_hash: str, now_unix_ns: int
) -> str:
    """Add an account and return its public id; its e-mail must be nobody's."""
    public_id = f"usr_{secrets.token_hex(8)}"
    connection.execute(
        insert(users).values(
            public_id=public_id,
            email=email,
            name=name,
            password_hash=password_hash,
            created_unix_ns=now_unix_ns,
        )
    )
    return public_id


def plain_email(email: str) -> str:
    """An e-mail address as it is compared.

    Raises:
        Problem: 400, it is none.
    """
    text = email.strip().lower()
    local, _, domain = text.partition("@")
    is_plain = text.isprintable() and " " not in text and "@" not in domain
    if not (local and domain and is_plain and len(text) <= MAX_EMAIL_CHARS):
        raise invalid("that is no e-mail address", "send one such as ada@example.org")
    return text


def find_user(
    connection: Connection,
    *,
    email: str | None = None,
    public_id: str | None = None,
    row_id: int | None = None,
) -> AnyRow | None:
    """An account by its e-mail, its public id, or its row id."""
    if email is not None:
        condition = users.c.email == email
    else:
        condition = users.c.public_id == public_id if row_id is None else users.c.id == row_id
    return connection.execute(select(users).where(condition)).one_or_none()


def set_password(connection: Connection, user_id: int, password_hash: str) -> None:
    """Give an account another password and end all its sessions."""
    connection.execute(update(users).where(users.c.id == user_id).values(password_hash=password_hash))
    connection.execute(delete(sessions).where(sessions.c.user_id == user_id))


def roles_of(connection: Connection, user_id: int) -> Sequence[Any]:
    """A person's workspaces, the oldest first, with the role in each."""
    query = (
        select(workspaces.c.id, workspaces.c.slug, workspaces.c.name, memberships.c.role)
        .join(memberships, memberships.c.workspace_id == workspaces.c.id)
        .where(memberships.c.user_id == user_id)
        .order_by(workspaces.c.id)
    )
    return connection.execute(query).all()


def role_in(connection: Connection, user_id: int, workspace_id: int) -> str | None:
    """A person's role in a workspace, None when there is none."""
    return connection.execute(
        select(memberships.c.role).where(
            memberships.c.user_id == user_id, memberships.c.workspace_id == workspace_id
        )
    ).scalar()


def set_role(
    connection: Connection, user_id: int, workspace_id: int, role: str | None, now_unix_ns: int
) -> None:
    """Give a person a role in a workspace, another one, or none."""
    where = (memberships.c.user_id == user_id, memberships.c.workspace_id == workspace_id)
    if role is None:
        connection.execute(delete(memberships).where(*where))
    elif role_in(connection, user_id, workspace_id) is None:
        connection.execute(
            insert(memberships).values(
                user_id=user_id, workspace_id=workspace_id, role=role, created_unix_ns=now_unix_ns
            )
        )
    else:
        connection.execute(update(memberships).where(*where).values(role=role))


def owners_of(connection: Connection, workspace_id: int) -> int:
    """How many people own a workspace."""
    return connection.execute(
        select(func.count()).where(memberships.c.workspace_id == workspace_id, memberships.c.role == OWNER)
    ).scalar_one()


def members_of(connection: Connection, workspace_id: int, *, after: str | None, limit: int) -> Sequence[Any]:
    """A page of a workspace's people, by e-mail."""
    query = (
        select(
            users.c.public_id,
            users.c.email,
            users.c.name,
            memberships.c.role,
            memberships.c.created_unix_ns,
        )
        .join(memberships, memberships.c.user_id == users.c.id)
        .where(memberships.c.workspace_id == workspace_id)
        .order_by(users.c.email)
        .limit(limit)
    )
    return connection.execute(query if after is None else query.where(users.c.email > after)).all()


def find_session(connection: Connection, session_id: str) -> StoredKey | None:
    """A session by its public half, with what its person may do now; expired ones too."""
    row = connection.execute(
        select(sessions, users.c.public_id, users.c.email)
        .join(users, users.c.id == sessions.c.user_id)
        .where(sessions.c.id == session_id)
    ).one_or_none()
    if row is None:
        return None
    rights = {each.id: ROLES.get(each.role, frozenset()) for each in roles_of(connection, row.user_id)}
    principal = Principal(
        key_id=row.id,
        label=row.email,
        scopes=frozenset().union(*rights.values()),
        # 0 is no workspace's id: who belongs to none is at home nowhere.
        home_workspace_id=next(iter(rights), 0),
        reach=frozenset(rights),
        rights=rights,
        actor=Actor("user", row.public_id),
    )
    return StoredKey(principal, row.secret_sha256, row.expires_unix_ns)
