"""The checks of `rundial doctor`, each a function that answers a `Check`; none of them changes anything."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rundial.cli.output import size
from rundial.cli.sync import default_directory
from rundial.errors import ConfigError, RundialRequestError
from rundial.version import __version__

if TYPE_CHECKING:
    from rundial.api.client import Client
    from rundial.cli.target import Session

# A token or a certificate is refused for less than this by many; `Date` itself has a resolution of a second.
MAX_SKEW_S: Final = 30.0
MIN_ROOM_BYTES: Final = 64 << 20
# On these, a mapping or a lock promises less than on a disk of this machine.
REMOTE: Final = ("nfs", "nfs4", "cifs", "smb3", "fuse", "9p", "lustre", "ceph", "gpfs", "beegfs")


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found.

    Attributes:
        name: Which one; part of the command's output that programs read.
        is_ok: Whether all is well.
        detail: What was found.
        next_step: What to type, where something is wrong or better otherwise.
    """

    name: str
    is_ok: bool
    detail: str
    next_step: str | None = None

    def facts(self) -> dict[str, Any]:
        """Return the check as JSON."""
        found: dict[str, Any] = {"name": self.name, "ok": self.is_ok, "detail": self.detail}
        return found if self.next_step is None else {**found, "next": self.next_step}


def local(session: Session) -> list[Check]:
    """Return the checks that need no server."""
    root = default_directory()
    return [
        _versions(),
        _conflicts(),
        _configuration(session),
        _secret_store(session),
        _spool_place(root),
        _spool_waiting(root),
        _ring(root),
    ]


def remote(session: Session) -> list[Check]:
    """Return the checks of the server; what hangs on one that failed is not tried."""
    with session.client(timeout_s=5.0) as client:
        health = _asked("health_ready", lambda: _health(client), "Start one: rundial server")
        if not health.is_ok:
            return [health]
        found = [
            health,
            _asked("clock", lambda: _clock(client)),
            _asked("auth", lambda: _auth(client), "rundial auth login"),
        ]
        if found[-1].is_ok:
            upgrade = "Upgrade the server: pip install -U rundial"
            found += [
                _asked("capabilities", lambda: _capabilities(client), upgrade),
                _asked("target", lambda: _target(session, client), "rundial target use"),
            ]
        return found


def _asked(name: str, check: Callable[[], Check], next_step: str | None = None) -> Check:
    from rundial.cli.failure import CommandError

    try:
        return check()
    except RundialRequestError as error:
        step = "rundial auth login" if error.status_code in (401, 403) else next_step
        return Check(name, False, str(error), step)
    except CommandError as error:
        return Check(name, False, error.message, error.next_step or next_step)
    except ConfigError as error:
        return Check(name, False, str(error), "rundial auth login")


def _health(client: Client) -> Check:
    found = client.health()
    return Check("health_ready", True, f"{client.endpoint} is {found.get('status')}")


def _clock(client: Client) -> Check:
    began_s = time.time()
    sent = client.caller.date("/health/ready", what="reading the server's clock")
    ended_s = time.time()
    if sent is None:
        return Check("clock", True, "the server does not tell its time")
    # `Date` is cut to the second, so half a second is added.
    skew_s = parsedate_to_datetime(sent).timestamp() + 0.5 - (began_s + ended_s) / 2
    if abs(skew_s) <= MAX_SKEW_S:
        return Check("clock", True, f"{abs(skew_s):.0f} s apart from the server's")
    which = "behind" if skew_s > 0 else "ahead of"
    step = "Set this machine's clock: sudo timedatectl set-ntp true"
    return Check("clock", False, f"this clock is {abs(skew_s):.0f} s {which} the server's", step)


def _capabilities(client: Client) -> Check:
    version = str(client.get_cli_capabilities().get("version"))
    if version.split(".")[0] != __version__.split(".")[0]:
        step = "Bring both to one version: pip install -U rundial"
        return Check("capabilities", False, f"server {version}, this is {__version__}", step)
    return Check("capabilities", True, f"server {version}")


def _auth(client: Client) -> Check:
    from rundial.cli.auth import name_in

    return Check("auth", True, f"let in as {name_in(dict(client.whoami()))}")


def _target(session: Session, client: Client) -> Check:
    if not client.list_workspaces():
        return Check("target", False, "this key sees no workspace", "rundial auth whoami")
    place = session.target
    named = [str(row.get("workspaceSlug")) for row in client.list_workspaces()]
    if place.workspace is not None and place.workspace not in named:
        return Check("target", False, f"this key sees no workspace {place.workspace}", "rundial target use")
    where = f"{place.workspace or 'the only workspace'}/{place.project or 'no project chosen'}"
    return Check("target", True, where)


def _versions() -> Check:
    found = [f"rundial {__version__}", f"Python {platform.python_version()}"]
    try:
        found += [f"{name} {metadata.version(name)}" for name in ("opentelemetry-sdk", "urllib3", "click")]
    except metadata.PackageNotFoundError as error:
        return Check("versions", False, f"{error.name} is not installed", "pip install -U rundial")
    return Check("versions", True, ", ".join(found))


def _conflicts() -> Check:
    """Variables and packages that are known to get in the way of a run."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Check(
            "conflicts", False, "OTEL_SDK_DISABLED=true switches telemetry off", "unset OTEL_SDK_DISABLED"
        )
    if os.environ.get("RUNDIAL_MODE", "").strip().lower() == "disabled":
        return Check("conflicts", False, "RUNDIAL_MODE=disabled: runs record nothing", "unset RUNDIAL_MODE")
    elsewhere = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if elsewhere and os.environ.get("RUNDIAL_ENDPOINT"):
        return Check("conflicts", True, "RUNDIAL_ENDPOINT wins over OTEL_EXPORTER_OTLP_ENDPOINT for runs")
    try:
        sdk, api = metadata.version("opentelemetry-sdk"), metadata.version("opentelemetry-api")
    except metadata.PackageNotFoundError:
        return Check("conflicts", False, "OpenTelemetry is not installed", "pip install -U rundial")
    if sdk != api:
        step = f"pip install 'opentelemetry-api=={sdk}'"
        return Check("conflicts", False, f"opentelemetry-sdk {sdk} beside opentelemetry-api {api}", step)
    return Check("conflicts", True, "none known")


def _configuration(session: Session) -> Check:
    from rundial import profiles

    path = profiles.config_path()
    profile = session.target.profile
    if profile is None:
        return Check("config", True, f"no profile in {path}; defaults count")
    mode = Path(path).stat().st_mode & 0o077
    if mode:
        return Check("config", False, f"{path} can be read by others", f"chmod 600 {path}")
    return Check("config", True, f"profile {profile.name} in {path}")


def _secret_store(session: Session) -> Check:
    from rundial import keychain, profiles

    path = Path(profiles.secrets_path())
    if path.exists() and path.stat().st_mode & 0o077:
        return Check("secret_store", False, f"{path} can be read by others", f"chmod 600 {path}")
    try:
        key, token = session.credentials()
    except ConfigError as error:
        return Check("secret_store", False, str(error), "rundial auth login")
    named = "RUNDIAL_API_KEY" if os.environ.get("RUNDIAL_API_KEY", "").strip() else "the stored login"
    kept = named if key or token else "no key for this server"
    where = "the keyring" if keychain.lacking() is None else f"a file with --allow-plaintext-store ({path})"
    return Check("secret_store", True, f"{kept}; new ones go to {where}")


def _spool_place(root: Path) -> Check:
    from rundial.recorder import place

    there = root if root.exists() else root.absolute().parent
    kind = place.kind_of(str(there)) or "unknown"
    if not os.access(there, os.W_OK | os.X_OK):
        step = "export RUNDIAL_SPOOL_DIR=$HOME/.rundial_spool"
        return Check("spool", False, f"{there} cannot be written to ({kind})", step)
    free = shutil.disk_usage(there).free
    detail = f"{root.absolute()} on {kind}, {size(free)} free"
    if free < MIN_ROOM_BYTES:
        return Check("spool", False, detail, "Free space, or: export RUNDIAL_SPOOL_DIR=/another/disk")
    if kind.startswith(REMOTE):
        return Check(
            "spool", True, detail, "A disk of this machine is safer: export RUNDIAL_SPOOL_DIR=/tmp/spool"
        )
    return Check("spool", True, detail)


def _spool_waiting(root: Path) -> Check:
    from rundial.spool.survey import survey

    found = survey(root)
    live = [each for each in found if each.is_live]
    left = [each for each in found if not each.is_live]
    waiting = size(sum(each.waiting_bytes for each in found))
    detail = f"{len(live)} live, {len(left)} left behind, {waiting} waiting"
    trouble = next((each.trouble for each in found if each.trouble), "")
    if trouble:
        return Check("spool_waiting", False, f"{detail}; {trouble}", f"Look at it: ls -la {root}")
    if left:
        return Check("spool_waiting", False, detail, f"rundial sync {root}")
    return Check("spool_waiting", True, detail)


def _ring(root: Path) -> Check:
    from rundial.recorder import place
    from rundial.settings import OPTIONS

    there = root if root.exists() else root.absolute().parent
    wanted = next(int(str(option.default)) for option in OPTIONS if option.name == "ring_bytes")
    found = place.choose(str(there), wanted)
    means = {
        "disk": "survives a kill and a reboot",
        "container": "survives a kill, and goes with the container's writable layer",
        "host": "survives a kill, not a reboot",
        "memory": "does not survive a kill",
    }[found.durability]
    detail = f"{found.directory or 'memory'} ({size(found.size_bytes)}): {means}"
    if found.durability == "memory":
        step = "export RUNDIAL_SPOOL_DIR to a directory on ext4, xfs or tmpfs"
        return Check("ring", platform.system() != "Linux", detail, step)
    return Check("ring", True, detail)
