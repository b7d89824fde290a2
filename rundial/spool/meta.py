"""`meta.json`: what another process must know to deliver an instance's spool.

Written whole or not at all, mode 0600. It holds no key: who adopts a spool brings its own.
"""

from __future__ import annotations

from rundial import plainjson
from rundial.errors import SpoolError
from rundial.spool import durable
from rundial.typed import TYPE_CHECKING, Any, Literal
from rundial.value import as_dict, field_names, value

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "meta.json"
VERSION = 1
# Its type lets nobody change it.
_NOTHING: Mapping[str, Any] = {}


@value
class Meta:
    """One instance of a run, as its spool directory describes it.

    Attributes:
        run_id: The run.
        instance_id: The instance, unique to one process and attach.
        workspace: Slug; None leaves it to the key.
        project: Slug.
        endpoint: Base URL; a user name or password in it is not stored.
        lane_endpoints: URL by lane where it differs from the endpoint's; None means the endpoint's.
        server_id: The server that the data belongs to, once it is known.
        host_id: The machine.
        boot_id: The machine's boot.
        pid: The owner's process id.
        ring_path: The ring's file; None when it has none.
        ring_id: The ring's id, hex.
        run_index: The run's index in its ring.
        created_unix_ns: When the directory was made.
        run_name: The run's name for people.
        kind: The run's kind.
        attempt: From 1.
        state: `closed` once the owner has finished with it.
        drops: By signal, records lost before the spool by reason; written at close.
        resource_b64: The encoded resource; the spool does not look inside.
        extra: Further facts of the owner's.
        version: Of this format.
    """

    run_id: str
    instance_id: str
    workspace: str | None = None
    project: str = ""
    endpoint: str = ""
    lane_endpoints: Mapping[str, str | None] = _NOTHING
    server_id: str | None = None
    host_id: str = ""
    boot_id: str = ""
    pid: int = 0
    ring_path: str | None = None
    ring_id: str = ""
    run_index: int = 0
    created_unix_ns: int = 0
    run_name: str | None = None
    kind: str = "training"
    attempt: int = 1
    state: Literal["open", "closed"] = "open"
    drops: Mapping[str, Mapping[str, int]] = _NOTHING
    resource_b64: str = ""
    extra: Mapping[str, Any] = _NOTHING
    version: int = VERSION


_FIELDS = frozenset(field_names(Meta))


def encode(meta: Meta) -> bytes:
    """Return the file's content, without what must not be stored."""
    stored = as_dict(meta)
    stored["endpoint"] = _without_user(meta.endpoint)
    stored["lane_endpoints"] = {
        lane: None if url is None else _without_user(url) for lane, url in meta.lane_endpoints.items()
    }
    # A line for each fact, for a person who looks for one.
    lines = [f' "{name}": {plainjson.dumps(stored[name])}' for name in sorted(stored)]
    return ("{\n" + ",\n".join(lines) + "\n}").encode()


def decode(content: bytes, path: str) -> Meta:
    """Return what the content says.

    Raises:
        SpoolError: It is not one of ours, or a later version's.
    """
    try:
        stored = plainjson.loads(content)
        version = int(stored.get("version", 0))
        if version == VERSION:
            return Meta(**{name: value for name, value in stored.items() if name in _FIELDS})
    except (ValueError, TypeError, AttributeError) as error:
        raise SpoolError(f"{path} cannot be read; the spool was left as it is") from error
    raise SpoolError(
        f"{path} has version {version}, this program reads {VERSION}; the spool was left as it is"
    )


def save(directory: str, meta: Meta, *, sync: bool) -> None:
    """Replace the directory's meta file atomically.

    Raises:
        OSError: The former one stands.
    """
    durable.replace(f"{directory}/{NAME}", encode(meta), sync=sync)


def load(directory: str) -> Meta:
    """Return the directory's meta.

    Raises:
        SpoolError: It cannot be understood.
        OSError: It cannot be read.
    """
    path = f"{directory}/{NAME}"
    with open(path, "rb") as file:
        return decode(file.read(), path)


def _without_user(url: str) -> str:
    if "@" not in url:
        return url
    from urllib.parse import urlsplit, urlunsplit

    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
