"""The account's profiles: which server, which workspace, and the key for it.

Two files under `$XDG_CONFIG_HOME/rundial` (default `~/.config/rundial`), both of mode 0600 in a
directory of mode 0700:

    config.toml     version = 2
                    active_profile = "local"
                    [profiles.local]
                    endpoint = "http://127.0.0.1:8787"
                    workspace = "default-workspace"

    secrets.json    {"rundial-cli:local:<12 hex of sha256(endpoint)>": {"api_key": …, "endpoint": …}}

A profile with `secret_store = "keyring"` has its secrets in the keyring of the operating system instead,
under the same names (`rundial.keychain`).

Promises: a stored key is returned for the endpoint that it was stored with and for no other; a
file that cannot be understood is reported and never overwritten; a file is written, atomically,
only when something in it changes. Nothing here reads environment variables other than
XDG_CONFIG_HOME, and nothing here touches the network. Any thread; writers exclude each other
with a lock file, so two servers that start together both keep their keys.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

from rundial.errors import ConfigError
from rundial.typed import TYPE_CHECKING, Any
from rundial.value import value

if TYPE_CHECKING:
    import tomlkit

FORMAT_VERSION = 2
LOCAL = "local"
_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}"
# `rundial server --port 0` takes another port each time; this many of its keys are kept.
_MAX_LOCAL_KEYS = 16
_DEFAULT_PORTS = {"http": 80, "https": 443}


@value
class Profile:
    """One named target.

    Attributes:
        name: As in `[profiles.NAME]`.
        endpoint: The server's address, normalised; None when the profile names none.
        workspace: Workspace slug, or None.
        project: Project slug, or None.
        default_format: `human` or `json`: what the CLI prints when no flag says.
        secret_store: `file`, or `keyring` where the operating system keeps the profile's secrets.
        fields: Everything that stands in the profile's table; a setting of `init` is found here by its name.
    """

    name: str
    endpoint: str | None = None
    workspace: str | None = None
    project: str | None = None
    default_format: str = "human"
    secret_store: str = "file"
    fields: Mapping[str, Any] | None = None


@value
class Profiles:
    """What the two files said when they were read.

    Attributes:
        active_name: The profile that counts when no flag names one, or None.
        by_name: Every profile.
        secrets: The secrets file's content, by service.
    """

    active_name: str | None
    by_name: Mapping[str, Profile]
    secrets: Mapping[str, Mapping[str, str]]

    def __repr__(self) -> str:
        # The secrets stay out of every traceback and log line.
        return f"Profiles(active_name={self.active_name!r}, names={sorted(self.by_name)!r})"

    @property
    def active(self) -> Profile | None:
        """The active profile, or None when there is none."""
        return self.by_name.get(self.active_name) if self.active_name else None

    def named(self, name: str) -> Profile:
        """Return the profile of this name.

        Raises:
            ConfigError: There is none; the message names those that there are.
        """
        if name in self.by_name:
            return self.by_name[name]
        known = ", ".join(sorted(self.by_name)) or "none"
        raise ConfigError(f"there is no profile {name!r} in {config_path()} (known: {known})")

    def key_for(self, endpoint: str, *, profile: str | None = None) -> str | None:
        """Return the API key that is stored for this endpoint.

        Args:
            endpoint: The server that the key would be sent to.
            profile: The profile to look at first; None means the active one.

        Returns:
            The key, or None when none was stored for exactly this endpoint.
        """
        return self._secret("api_key", endpoint, profile)

    def session_for(self, endpoint: str, *, profile: str | None = None) -> str | None:
        """Return the session of a login that is stored for this endpoint; arguments as for `key_for`."""
        return self._secret("session_token", endpoint, profile)

    def _secret(self, kind: str, endpoint: str, profile: str | None) -> str | None:
        wanted = normalise(endpoint)
        first = profile or self.active_name
        for name in sorted(self.by_name, key=lambda name: (name != first, name)):
            known = self.by_name[name]
            entry: Mapping[str, str] = self.secrets.get(service(name, wanted)) or {}
            # 48 bits of a hash name the entry; the address itself decides.
            if (entry.get("endpoint") or known.endpoint) != wanted:
                continue
            found = entry.get(kind) or self._kept(kind, known, wanted)
            if found:
                return found
        return None

    @staticmethod
    def _kept(kind: str, profile: Profile, endpoint: str) -> str | None:
        """Return what the operating system keeps, where the profile says that it does.

        The published client said so by `insecure_store = false`; there a keyring that is gone is no error.
        """
        is_published = (profile.fields or {}).get("insecure_store") is False
        if profile.secret_store != "keyring" and not is_published:
            return None
        from rundial import keychain

        if profile.secret_store != "keyring" and keychain.lacking() is not None:
            return None
        return keychain.read(service(profile.name, endpoint), kind)


def directory() -> str:
    """Return where the two files live; it need not exist."""
    root = os.environ.get("XDG_CONFIG_HOME", "")
    # The XDG specification asks to ignore a relative path.
    base = root if os.path.isabs(root) else os.path.expanduser("~/.config")
    return os.path.join(base, "rundial")


def config_path() -> str:
    """Return the path of config.toml."""
    return f"{directory()}/config.toml"


def secrets_path() -> str:
    """Return the path of secrets.json."""
    return f"{directory()}/secrets.json"


def service(profile: str, endpoint: str) -> str:
    """Return the name under which a profile's secrets for an endpoint are kept."""
    import hashlib

    return f"rundial-cli:{profile}:{hashlib.sha256(endpoint.encode()).hexdigest()[:12]}"


def normalise(endpoint: str) -> str:
    """Return an endpoint in the one spelling that is compared and stored.

    Raises:
        ConfigError: It is not an http or https address, or it carries a user, a query or a fragment.
    """
    from urllib.parse import urlsplit  # who has no profile and sends nothing needs none

    text = endpoint.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"the endpoint is not an address: {error}") from error
    if "@" in parts.netloc:
        # Not echoed: what stands there may be a password.
        raise ConfigError("the endpoint carries a user or password; pass the key as api_key instead")
    if parts.scheme.lower() not in _DEFAULT_PORTS or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(
            f"the endpoint {text!r} is not an http:// or https:// address; example: http://127.0.0.1:8787"
        )
    scheme = parts.scheme.lower()
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    suffix = "" if port in (None, _DEFAULT_PORTS[scheme]) else f":{port}"
    return f"{scheme}://{host}{suffix}{parts.path}"


def load() -> Profiles:
    """Read both files; a missing one is empty.

    Raises:
        ConfigError: A file cannot be read or understood; it is left as it is.
    """
    table = _parse_config(read(config_path()))
    active = table.get("active_profile")
    return Profiles(
        active_name=active if isinstance(active, str) and active else None,
        by_name=_profiles(table),
        secrets=_parse_secrets(read(secrets_path())),
    )


def store_local(endpoint: str, key: str, workspace: str) -> Profile:
    """Keep a server of this machine as the profile `local`, with its owner's key.

    The profile becomes the active one only when there was no profile at all. Files are written
    only when something in them changes.

    Raises:
        ConfigError: A file that is there cannot be understood; nothing was written.
        OSError: The files cannot be written.
    """
    target = normalise(endpoint)
    folder = directory()
    os.makedirs(folder, mode=0o700, exist_ok=True)
    handle = lock(f"{folder}/.lock")
    try:
        known = load()
        _store_secret(known.secrets, target, key)
        _store_profile(known, target, workspace)
    finally:
        os.close(handle)
    return load().named(LOCAL)


def _store_secret(secrets: Mapping[str, Mapping[str, str]], endpoint: str, key: str) -> None:
    name = service(LOCAL, endpoint)
    entry = {"api_key": key, "endpoint": endpoint}
    if secrets.get(name) == entry:
        return
    changed = {other: value for other, value in secrets.items() if other != name}
    local = [other for other in changed if other.startswith(f"rundial-cli:{LOCAL}:")]
    for oldest in local[: max(0, len(local) - _MAX_LOCAL_KEYS + 1)]:
        del changed[oldest]
    changed[name] = entry
    import json

    write(secrets_path(), json.dumps(changed, indent=2) + "\n")


def _store_profile(known: Profiles, endpoint: str, workspace: str) -> None:
    before = known.by_name.get(LOCAL)
    if before is not None and (before.endpoint, before.workspace) == (endpoint, workspace):
        return
    document = editable(read(config_path()))
    document["version"] = FORMAT_VERSION
    if not known.by_name:
        document["active_profile"] = LOCAL
    table = document.setdefault("profiles", {}).setdefault(LOCAL, {})
    now_ms = time.time_ns() // 1_000_000
    table.setdefault("created_at_ms", now_ms)
    table.update(endpoint=endpoint, workspace=workspace, auth_mode="api_key", updated_at_ms=now_ms)
    write(config_path(), document.as_string())


def editable(text: str) -> tomlkit.TOMLDocument:
    """Return a document that keeps the user's comments and order when it is written."""
    import tomlkit  # 20 ms that only a change of the file has to pay
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise _invalid(error) from error


def _invalid(error: Exception) -> ConfigError:
    # Both parsers name the line and the column.
    return ConfigError(f"{config_path()} is not valid TOML: {error}; it was left as it is")


def read(path: str) -> str:
    """Return a file's text, empty when there is none.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); it was left as it is") from error


def _parse_config(text: str) -> dict[str, Any]:
    if not text:
        # Nobody pays for a parser who has no file.
        return {}
    if sys.version_info >= (3, 11):
        import tomllib

        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise _invalid(error) from error
    else:
        table = editable(text).unwrap()
    version = table.get("version", FORMAT_VERSION)
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ConfigError(
            f"{config_path()} has version {version!r}, this Rundial reads {FORMAT_VERSION}; upgrade Rundial"
        )
    return table


def _profiles(table: Mapping[str, Any]) -> dict[str, Profile]:
    found = table.get("profiles", {})
    if not isinstance(found, Mapping):
        raise ConfigError(f"{config_path()}: `profiles` is not a table; it was left as it is")
    if not found:
        return {}
    import re  # who has no profile needs no pattern

    result = {}
    for name, fields in found.items():
        for secret, elsewhere in (
            ("api_key", f"RUNDIAL_API_KEY or {secrets_path()}"),
            ("otlp_headers", "RUNDIAL_OTLP_HEADERS"),
        ):
            if isinstance(fields, Mapping) and secret in fields:
                raise ConfigError(
                    f"{config_path()}: [profiles.{name}] holds an {secret}, where it does not belong; "
                    f"move it to {elsewhere}"
                )
        if not isinstance(fields, Mapping) or not re.fullmatch(_NAME, name):
            raise ConfigError(
                f"{config_path()}: [profiles.{name}] is not a profile "
                "(a table, named by letters, digits, _ and -)"
            )
        result[name] = Profile(
            name=name,
            endpoint=normalise(text) if (text := _text(fields, "endpoint")) else None,
            workspace=_text(fields, "workspace"),
            project=_text(fields, "project"),
            default_format=_text(fields, "default_format") or "human",
            secret_store=_text(fields, "secret_store") or "file",
            fields=fields,
        )
    return result


def _text(fields: Mapping[str, Any], key: str) -> str | None:
    value = fields.get(key)
    return value if isinstance(value, str) and value else None


def _parse_secrets(text: str) -> dict[str, dict[str, str]]:
    if not text:
        return {}
    import json

    try:
        table = json.loads(text)
    except ValueError as error:
        # Only the place: the parser's message quotes nothing, and the text holds keys.
        where = (
            f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "it"
        )
        raise ConfigError(f"{secrets_path()} is not valid JSON ({where}); it was left as it is") from None
    if not isinstance(table, dict) or not all(isinstance(entry, dict) for entry in table.values()):
        raise ConfigError(f"{secrets_path()} is not a table of tables; it was left as it is")
    return table


def write(path: str, text: str) -> None:
    """Replace a file whole, mode 0600 from its first byte."""
    import tempfile

    # mkstemp creates with 0600, so the content is at no moment readable by others.
    folder, name = os.path.split(path)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def lock(path: str) -> int:
    """Wait until nobody else writes; who closes the descriptor lets the next one in."""
    import fcntl  # absent on Windows, where no server runs

    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except BaseException:
        os.close(handle)
        raise
    return handle
