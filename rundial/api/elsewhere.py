"""A run that travels: pickled for a worker process, copied, or put into a checkpoint.

In the process that it comes from it is the same run. In another one it is another instance of the run, as
in a forked child: its parts are made at its first record, it samples no system metrics, and it never ends
the run. The key does not travel, for a pickle may end up in a file: the other process takes its own, from
`RUNDIAL_API_KEY` or from those that are stored.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from rundial.api import session
from rundial.api.child import ChildSide
from rundial.api.run import Run
from rundial.api.trace import Tracing
from rundial.settings import OPTIONS
from rundial.value import changed

if TYPE_CHECKING:
    from rundial.settings import Settings

# What a worker's ring takes, as in a forked child.
WORKER_RING_BYTES = 2 << 20


def packed(run: Run) -> tuple[Any, tuple[Any, ...]]:
    """Return how to make the run again, for `pickle` and `copy`."""
    known = session._SESSION.packed
    if known is None:
        known = session._SESSION.packed = WeakValueDictionary()
    known[_name(run.identity)] = run
    settings = changed(
        run.settings,
        api_key=None,
        otlp_headers={},
        exporters=(),
        system_metrics=False,
        system_metrics_provider=None,
    )
    return unpacked, ({**run.identity, "config": run.config.copy()}, settings, run._status)


def unpacked(identity: Mapping[str, Any], settings: Settings, status: str | None) -> Run:
    """Return the run of this process, or make one that joins it."""
    known = session._SESSION.packed
    run: Run | None = None if known is None else known.get(_name(identity))
    if run is not None:
        return run
    if settings.mode == "disabled" or "instance_id" not in identity or status is not None:
        run = session.silent(identity, settings)
        run._status = status  # type: ignore[assignment]  # one of the three, as `finish` saw to it
        return run
    return _joined(identity, _with_key(settings))


def _joined(identity: Mapping[str, Any], settings: Settings) -> Run:
    from rundial.api import start
    from rundial.api.disabled import DisabledDelivery, DisabledSink
    from rundial.api.target import target_of
    from rundial.signals import semconv

    rank = identity["rank"]
    attributes = ((semconv.RANK, str(rank)),) if rank is not None else ()
    tracing = Tracing(start.provider_maker(), on_failure=lambda _what, _error: None)
    run = Run(
        dict(identity),
        settings,
        sink=DisabledSink(),
        delivery=DisabledDelivery(),
        tracing=tracing,
        attributes=attributes,
    )
    tracing.on_failure = run.on_span_failure
    side = ChildSide(run, target_of(settings), None, session._SESSION)
    run.rewire(*side.pair())
    return run


def _with_key(settings: Settings) -> Settings:
    from rundial import profiles

    small = min(settings.ring_bytes, WORKER_RING_BYTES)
    settings = changed(settings, ring_bytes=small, api_key=os.environ.get("RUNDIAL_API_KEY") or None)
    headers = os.environ.get("RUNDIAL_OTLP_HEADERS", "").strip()
    if headers:
        read = next(option.read for option in OPTIONS if option.name == "otlp_headers")
        settings = changed(settings, otlp_headers=read(headers))
    if settings.api_key is None and settings.mode == "online" and not settings.is_plain_otlp:
        return changed(settings, api_key=profiles.load().key_for(settings.endpoint), is_key_stored=True)
    return settings


def _name(identity: Mapping[str, Any]) -> str:
    return str(identity.get("instance_id") or identity["run_id"])
