"""Wiring a run's files to their way out: the uploads of a live run, and of a spool that was left behind.

Imported with a run's first file, on the encoder's thread or an adopter's.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rundial.api import account
from rundial.api.client import Client
from rundial.api.target import Target
from rundial.artifacts.uploads import Options, Row, Server, Uploads
from rundial.artifacts.wire import Endpoint, Wire
from rundial.errors import RundialError, RundialRequestError
from rundial.export.outcome import Pause, Retry
from rundial.recorder.made import MadeStore
from rundial.signals.records import Event
from rundial.spool.meta import Meta
from rundial.spool.spool import Spool

if TYPE_CHECKING:
    from rundial.api.pipeline import Attached
    from rundial.settings import Settings

# Far above the ring's own numbers and below those of an account: a row told twice is stored once.
FIRST_ROW_SEQ = 1 << 61
_REQUEST_S = 10.0


def prepare() -> None:
    """Import what the worker may need, now: no import of ours is under way when a program forks."""
    with suppress(ImportError):
        import_module("PIL.Image")


def of_run(attached: Attached, settings: Settings) -> Uploads:
    """Return the uploads of a live run; offline, and with a Collector, they keep everything on disk."""
    server = None
    if settings.mode == "online" and not settings.is_plain_otlp:
        source = attached.source
        announce = source.announce if source is not None else None
        server = _server(attached.spool.meta, attached.target, announce)

    def tell(rows: Sequence[Row]) -> bool:
        return all(attached.recorder.event(name, body) for _, name, body in rows)

    options = Options(
        copy_bytes=settings.artifact_copy_bytes,
        senders=settings.artifact_concurrency,
    )
    return Uploads(attached.spool, attached.recorder.made, server, tell=tell, options=options)


def of_spool(spool: Spool, target: Target, announce: Callable[[], None] | None) -> Uploads:
    """Return the uploads of a dead process's spool, which is ours."""
    resource = b64decode(spool.meta.resource_b64)

    def tell(rows: Sequence[Row]) -> bool:
        events = [
            Event(FIRST_ROW_SEQ + _number_of(token), int(body["time_unix_nano"]), name, body)
            for token, name, body in rows
        ]
        try:
            account.append(spool, resource, events)
        except (RundialError, OSError):
            return False
        return True

    server = _server(spool.meta, target, announce)
    return Uploads(spool, MadeStore(), server, tell=tell, is_adopted=True)


def _server(meta: Meta, target: Target, announce: Callable[[], None] | None) -> Server:
    known: str | None = meta.extra.get("project_id")

    def project() -> str | Retry | Pause:
        nonlocal known
        if announce is not None:
            announce()
        if known is None:
            found = _resolved(meta, target)
            if not isinstance(found, str):
                return found
            known = found
        return known

    return Server(Wire(Endpoint(target.endpoint, target.headers)), project, meta.run_id)


def _resolved(meta: Meta, target: Target) -> str | Retry | Pause:
    """Return the id of a spool's project, from the server."""
    try:
        with Client(target.endpoint, api_key=target.key, request_timeout_seconds=_REQUEST_S) as client:
            found: Mapping[str, Any] = client.resolve_run_target(
                workspace=meta.workspace, project=meta.project
            )
    except RundialRequestError as error:
        if error.status_code is None or error.status_code >= 500 or error.status_code in (408, 429):
            return Retry(None, str(error))
        return Pause(error.status_code, str(error))
    return str(found["projectId"])


def _number_of(token: str) -> int:
    from zlib import crc32

    return crc32(token.encode())
