"""In the background of an online run: deliver what earlier processes left for the same server.

One daemon thread for each spool directory of the process, started at `init`; it stops with the process,
and what it had not delivered then is free to be adopted again.
"""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from threading import Thread

from rundial.api import account, adopt
from rundial.api.ending import FOR_EVER_S
from rundial.api.late import LateAnnouncement
from rundial.api.pipeline import Attached, Pipeline
from rundial.api.target import RunSource, Target
from rundial.errors import RundialError
from rundial.settings import Settings
from rundial.spool import meta as meta_file
from rundial.spool.meta import Meta
from rundial.spool.spool import find, sweep

logger = logging.getLogger("rundial")


def adopt_for(
    pipeline: Pipeline, settings: Settings, attached: Attached, server_id: str | None
) -> list[Thread]:
    """Start delivering what is left for each of the places that a run goes to; one thread a place.

    Args:
        pipeline: The process's.
        settings: The run's.
        attached: The run.
        server_id: Of its server; None where it is not known.
    """
    sources = [branch.source for branch in attached.branches if branch.is_endpoint and branch.source]
    places = [(attached.target, server_id), *((source.target, None) for source in sources)]
    found = [adopt_in_background(pipeline, settings, target, server) for target, server in places]
    return [thread for thread in found if thread is not None]


def adopt_in_background(
    pipeline: Pipeline, settings: Settings, target: Target, server_id: str | None
) -> Thread | None:
    """Start delivering what is left under the run's spool directory; None when there is nothing."""
    root = Path(settings.spool_directory)
    spools = [
        spool
        for attached in list(pipeline.attached)
        for spool in (attached.spool, *(branch.mirror.spool for branch in attached.branches))
    ]
    own = {spool.path for spool in spools}
    left = [path for path in find(root) if path not in own]
    if not left:
        return None
    thread = Thread(
        target=_adopt_all,
        args=(pipeline, settings, target, server_id, left),
        name="rundial-adopter",
        daemon=True,
    )
    thread.start()
    return thread


def _adopt_all(
    pipeline: Pipeline, settings: Settings, target: Target, server_id: str | None, paths: list[Path]
) -> None:
    root = Path(settings.spool_directory)
    sweep(root)
    for path in paths:
        _adopt_if_ours(pipeline, settings, target, server_id, path)
    adopt.remove_stray_rings(root)


def _adopt_if_ours(
    pipeline: Pipeline, settings: Settings, target: Target, server_id: str | None, path: Path
) -> None:
    try:
        if _is_ours(meta_file.load(str(path)), target, server_id):
            _adopt_one(pipeline, settings, target, path)
    except (RundialError, OSError) as error:
        # Mostly: its process lives. Whatever it is, it is not this run's concern.
        logger.debug("%s was left alone: %s", path, error)


def _adopt_one(pipeline: Pipeline, settings: Settings, target: Target, path: Path) -> None:
    # Spools of one dead process share its ring, which one adopter at a time may read.
    with pipeline.adopting:
        spool = adopt.open_dead(path)
    sender = pipeline.sender(target, settings)
    late = LateAnnouncement(spool.meta, target, timeout_s=settings.request_timeout_seconds)
    source = RunSource(spool.lanes, target, label=f"left-over run {spool.meta.run_id}", announce=late.tell)
    sender.add(source)
    uploads = adopt.uploads_of(spool, target, late.tell)

    def drain() -> bool:
        return sender.drain(FOR_EVER_S, source=source) and (uploads is None or uploads.drain(FOR_EVER_S))

    if uploads is not None:
        pipeline.adopted.append(uploads)
    resource = base64.b64decode(spool.meta.resource_b64)
    is_delivered = False
    try:
        is_delivered = drain() and account.tell_rest(spool, resource, drain)
    finally:
        sender.remove(source)
        if uploads is not None:
            pipeline.adopted.remove(uploads)
            uploads.stop(1.0)
        # A Collector takes no files: they stay for `rundial sync --to` a server.
        if is_delivered and spool.is_empty():
            spool.remove()
            logger.info("delivered what an earlier process had left of run %s", spool.meta.run_id)
        else:
            # The sender has stopped: whoever comes next may have it.
            spool.close()


def _is_ours(meta: Meta, target: Target, server_id: str | None) -> bool:
    """Whether a spool was recorded for this server, and for sending without being asked."""
    if meta.extra.get("mode") == "offline":
        return False
    if meta.server_id:
        return meta.server_id == server_id
    return meta.endpoint.rstrip("/") == target.endpoint
