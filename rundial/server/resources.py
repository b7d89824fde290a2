"""From an OTLP resource to the run it speaks for. Pure.

A program that knows no runs gets one for each of its instances, named after its service, so that any
OpenTelemetry SDK can be pointed here and lose nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from rundial.server.anyvalue import canonical, digest, mapping
from rundial.server.rows import Target
from rundial.signals import semconv

_ID: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}\Z")
_SLUG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_NOT_SLUG: Final = re.compile(r"[^A-Za-z0-9._-]+")
RUN_KINDS: Final = frozenset({"training", "agent", "eval"})
MAX_ATTEMPT: Final = 2**31 - 1


class TargetError(ValueError):
    """The resource names a run that cannot be; its records are refused with this message."""


def slug(name: str) -> str:
    """A project's or workspace's slug: the name itself where it is one, else its nearest.

    Raises:
        TargetError: Nothing of the name can be kept.
    """
    if _SLUG.match(name):
        return name
    kept = _NOT_SLUG.sub("-", name).strip("-._")[:128]
    if not kept:
        raise TargetError(f"{name[:80]!r} has no letter or digit to make a name of")
    return kept


def is_id(text: str) -> bool:
    """Whether a text may name a run or an instance."""
    return _ID.match(text) is not None


def target_of(resource: Resource) -> Target:
    """Read where a resource's records belong.

    Raises:
        TargetError: The resource names a run, project or attempt that cannot be.
    """
    attributes = mapping(resource.attributes)
    service = _text(attributes, semconv.SERVICE_NAME) or "unknown_service"
    named = _text(attributes, semconv.PROJECT)
    project_name = named or service
    workspace = _text(attributes, semconv.WORKSPACE)
    # Without an instance, the resource itself is the only thing that tells two programs apart.
    instance = _text(attributes, semconv.SERVICE_INSTANCE_ID) or f"res-{digest(canonical(attributes)).hex()}"
    run_id = _text(attributes, semconv.RUN_ID)
    if run_id and not is_id(run_id):
        raise TargetError(
            f"{semconv.RUN_ID} {run_id[:80]!r} is not 1 to 128 letters, digits, '.', '_' or '-'"
        )
    if len(instance) > 512:
        raise TargetError(
            f"{semconv.SERVICE_INSTANCE_ID} has {len(instance)} characters; at most 512 are kept"
        )
    kind = _text(attributes, semconv.RUN_KIND)
    return Target(
        workspace=slug(workspace) if workspace else None,
        project=slug(project_name),
        project_name=project_name[:256],
        run_id=run_id or f"otel-{digest(service, instance).hex()}",
        kind=(kind if kind in RUN_KINDS else None) if run_id else "service",
        attempt=_attempt(attributes),
        rank=_whole(attributes, semconv.RANK),
        instance=instance,
        host=_text(attributes, semconv.HOST_NAME)[:256],
        is_foreign=not run_id,
        names_project=bool(named),
        service="" if run_id else service[:256],
    )


def _text(attributes: Mapping[str, object], key: str) -> str:
    value = attributes.get(key)
    return value if isinstance(value, str) else ""


def _whole(attributes: Mapping[str, object], key: str) -> int | None:
    value = attributes.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _attempt(attributes: Mapping[str, object]) -> int:
    attempt = _whole(attributes, semconv.RUN_ATTEMPT)
    if attempt is None:
        return 1
    if not 1 <= attempt <= MAX_ATTEMPT:
        raise TargetError(f"{semconv.RUN_ATTEMPT} {attempt} is not 1 to {MAX_ATTEMPT}")
    return attempt
