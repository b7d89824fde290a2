"""Sessions of those who signed in with an API key in a browser.

A page cannot keep a key where scripts of the page cannot read it; a cookie can. The cookie holds a session,
not the key: what lies in a browser ends after a while, and with the key.

They are kept and forgotten as people's are, by `rundial.server.store.sessions`.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, select

from rundial.server.keys import StoredKey
from rundial.server.store.apikeys import find_key
from rundial.server.store.people import key_sessions


def find_key_session(connection: Connection, session_id: str) -> StoredKey | None:
    """A session by its public half, with what its key may do now; ended ones too."""
    row = connection.execute(select(key_sessions).where(key_sessions.c.id == session_id)).one_or_none()
    key = None if row is None else find_key(connection, row.key_id)
    if row is None or key is None:
        return None
    ends = [row.expires_unix_ns, key.expires_unix_ns]
    return replace(
        key,
        secret_sha256=row.secret_sha256,
        expires_unix_ns=min(each for each in ends if each is not None),
    )
