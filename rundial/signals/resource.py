"""Who is speaking: the attributes of a run's Resource, and the bytes that begin every request.

A Resource is encoded once when a process attaches to a run, without the protobuf package, and the
same bytes then stand in each of its requests, whatever the signal.

Source:
    opentelemetry-proto 1.x, common.proto and resource.proto for the field numbers.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence

from rundial.signals import semconv
from rundial.signals.anyvalue import encode_attributes
from rundial.signals.wire import text
from rundial.typed import TypeAlias
from rundial.value import value
from rundial.version import __version__

ResourceValue: TypeAlias = str | bool | int | float | Sequence[str]


@value
class Identity:
    """This process as one instance of a run.

    Attributes:
        project: Slug of the project; also the service's name, by which other tools group.
        run_id: The run.
        run_kind: `training`, `agent` or `eval`.
        instance_id: Unique to this process and attach; part of every record's identity.
        attempt: How often the run was started, from 1.
        workspace: Slug of the workspace, None when the server is to choose the key's only one.
        rank: Place of this process in a distributed run, None outside of one.
    """

    project: str
    run_id: str
    run_kind: str
    instance_id: str
    attempt: int = 1
    workspace: str | None = None
    rank: int | None = None


def run_resource(identity: Identity) -> dict[str, ResourceValue]:
    """Return the Resource attributes of this process as one instance of a run."""
    attributes: dict[str, ResourceValue] = {
        semconv.SERVICE_NAME: identity.project,
        semconv.SERVICE_INSTANCE_ID: identity.instance_id,
        semconv.PROJECT: identity.project,
        semconv.RUN_ID: identity.run_id,
        semconv.RUN_KIND: identity.run_kind,
        semconv.RUN_ATTEMPT: identity.attempt,
        semconv.HOST_NAME: os.uname().nodename,
        semconv.PROCESS_PID: os.getpid(),
        semconv.SDK_NAME: "opentelemetry",
        semconv.SDK_LANGUAGE: "python",
        semconv.SDK_VERSION: _sdk_version(),
        semconv.DISTRO_NAME: semconv.SCOPE_NAME,
        semconv.DISTRO_VERSION: __version__,
    }
    if identity.workspace is not None:
        attributes[semconv.WORKSPACE] = identity.workspace
    if identity.rank is not None:
        attributes[semconv.RANK] = identity.rank
    return attributes


def encode_resource(attributes: Mapping[str, ResourceValue]) -> bytes:
    """Return an OTLP Resource message."""
    return encode_attributes(1, attributes)


def encode_scope() -> bytes:
    """Return the InstrumentationScope message of everything that Rundial records."""
    return text(1, semconv.SCOPE_NAME) + text(2, __version__)


@functools.cache
def _sdk_version() -> str:
    # Half a millisecond: this module imports nothing of the SDK. Asking the package's metadata costs 15.
    try:
        from opentelemetry.sdk.version import __version__ as version
    except ImportError:
        return "unknown"
    return version
