"""The first start: a workspace, the owner's key, the server's id. Later starts find them.

The key's file is written before the key's hash is committed: killed in between, the next start
takes the key from the file. Nobody is ever left with a server that no key opens.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, insert, select

from rundial.clock import Clock
from rundial.errors import ConfigError
from rundial.server import keys
from rundial.server.keys import ADMIN, SYSTEM, Principal, StoredKey
from rundial.server.store.apikeys import add_key
from rundial.server.store.audit import Deed, record
from rundial.server.store.dialect import exclude_others
from rundial.server.store.places import create_workspace, fact
from rundial.server.store.tables import api_keys, facts

WORKSPACE: Final = "default-workspace"
KEY_FILE: Final = "owner.key"


def prepare(connection: Connection, data_dir: Path, clock: Clock) -> str:
    """Make what the first start makes and return the server's id.

    Raises:
        ConfigError: The key's file holds something else.
    """
    exclude_others(connection)
    server_id = fact(connection, "server_id")
    if server_id is None:
        server_id = f"srv_{secrets.token_hex(12)}"
        connection.execute(insert(facts).values(name="server_id", value=server_id))
    if connection.execute(select(api_keys.c.id).limit(1)).first() is None:
        _make_owner(connection, data_dir / KEY_FILE, clock.time_unix_ns())
    return server_id


def _make_owner(connection: Connection, path: Path, now_unix_ns: int) -> None:
    parts = _write_key(path) or keys.parse(path.read_text("utf-8"))
    if parts is None:
        raise ConfigError(f"{path} holds no API key of ours; move it away and start the server again")
    key_id, secret = parts
    workspace, _ = create_workspace(
        connection, WORKSPACE, name="Default workspace", actor=SYSTEM, now_unix_ns=now_unix_ns
    )
    principal = Principal(key_id, "owner", frozenset({ADMIN}), home_workspace_id=workspace.id)
    add_key(connection, StoredKey(principal, keys.digest(secret)), now_unix_ns=now_unix_ns)
    made = Deed("api_key.create", "api_key", key_id, details={"label": "owner"})
    record(connection, workspace.id, SYSTEM, made, now_unix_ns=now_unix_ns)


def _write_key(path: Path) -> tuple[str, str] | None:
    """Write a new key to its file, whole or not at all; None when the file was there before."""
    key_id, secret = keys.generate()
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(keys.render(key_id, secret) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)  # unlike a rename, never replaces a file that is there
    except FileExistsError:
        return None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
    return key_id, secret
