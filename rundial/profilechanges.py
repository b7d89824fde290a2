"""Changes to the account's profiles, one function each; every one whole or not at all.

A file is written only when something in it changes, keeps its comments and its order, and is left as it
is when it cannot be understood. A secret goes where it was asked to: into the keyring of the operating
system, or into the file beside, which nobody but its owner can read.

Raises, all of them: ConfigError where a file or an argument cannot be used, OSError where none can be
written; nothing was changed then.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rundial import keychain, profiles
from rundial.errors import ConfigError
from rundial.settings import OPTIONS

if TYPE_CHECKING:
    import tomlkit

NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}")
SECRETS: Final = ("api_key", "session_token")
FORMATS: Final = ("human", "json")
# Beside the settings of `init` a profile says how commands print.
SETTABLE: Final = (*sorted({option.name for option in OPTIONS} - {"api_key"}), "default_format")


def create(name: str, *, endpoint: str | None, is_activated: bool) -> None:
    """Make a profile that is not there yet."""
    _need_name(name)
    wanted = None if endpoint is None else profiles.normalise(endpoint)

    def edit(document: tomlkit.TOMLDocument) -> None:
        table = document.setdefault("profiles", {})
        if name in table:
            raise ConfigError(f"there is a profile {name!r} already; change it with `rundial config set`")
        table[name] = {} if wanted is None else {"endpoint": wanted}
        table[name]["created_at_ms"] = _now_ms()
        if is_activated:
            document["active_profile"] = name

    _change(edit)


def use(name: str) -> None:
    """Make a profile the active one."""
    profiles.load().named(name)

    def edit(document: tomlkit.TOMLDocument) -> None:
        document["active_profile"] = name

    _change(edit)


def delete(name: str) -> None:
    """Remove a profile and its secrets; the active one leaves none active."""
    known = profiles.load()
    profile = known.named(name)
    for endpoint in _endpoints(known, name):
        forget(name, endpoint)
    if profile.secret_store == "keyring" and profile.endpoint and keychain.lacking() is None:
        forget(name, profile.endpoint)

    def edit(document: tomlkit.TOMLDocument) -> None:
        del document["profiles"][name]
        if document.get("active_profile") == name:
            del document["active_profile"]

    _change(edit)


def write_fields(name: str, fields: Mapping[str, object]) -> bool:
    """Set fields of a profile, which is made when there is none; None takes one away.

    Returns:
        Whether anything was changed.
    """
    _need_name(name)

    def edit(document: tomlkit.TOMLDocument) -> None:
        table = document.setdefault("profiles", {})
        if name not in table:
            table[name] = {"created_at_ms": _now_ms()}
            document.setdefault("active_profile", name)
        for field, wanted in fields.items():
            if wanted is None:
                table[name].pop(field, None)
            elif table[name].get(field) != wanted:
                table[name][field] = wanted

    return _change(edit, touched=name)


def checked(field: str, text: str) -> object:
    """Return what a text means as a field of a profile.

    Args:
        field: A setting of `init`, or `default_format`.
        text: As a person writes it.
    """
    if field == "api_key":
        raise ConfigError(
            "a key has no place in config.toml; store it with `rundial auth login`, or set RUNDIAL_API_KEY"
        )
    if field == "default_format":
        if text not in FORMATS:
            raise ConfigError(f"default_format is {text!r}; it is one of {', '.join(FORMATS)}")
        return text
    if field == "endpoint":
        return profiles.normalise(text)
    for option in OPTIONS:
        if option.name == field:
            return _read_option(option, text)
    raise ConfigError(f"there is no setting {field!r}; there are {', '.join(SETTABLE)}")


def keep(name: str, endpoint: str, kind: str, secret: str, *, allows_plain: bool) -> str:
    """Keep a secret of a profile for one endpoint.

    Args:
        name: The profile.
        endpoint: The server that it opens, normalised.
        kind: `api_key` or `session_token`.
        secret: As it is.
        allows_plain: The file may be used where there is no keyring.

    Returns:
        `keyring` or `file`.
    """
    service = profiles.service(name, endpoint)
    if keychain.lacking() is None:
        keychain.write(service, kind, secret)
        # A key in the place of a session, or the other way round: the one before would still be taken.
        for other in SECRETS:
            if other != kind:
                keychain.delete(service, other)
        _drop_stored(service)
        return "keyring"
    if not allows_plain:
        raise ConfigError(
            f"the secret was not stored: {keychain.lacking()}; allow a file that only you can read with "
            "--allow-plaintext-store, or set RUNDIAL_API_KEY for each command instead"
        )
    entry = {kind: secret, "endpoint": endpoint}
    _change_secrets(lambda table: table.update({service: entry}))
    return "file"


def forget(name: str, endpoint: str) -> bool:
    """Remove what is kept of a profile for an endpoint; return whether there was anything."""
    service = profiles.service(name, endpoint)
    found = _drop_stored(service)
    known = profiles.load().by_name.get(name)
    if known is not None and known.secret_store == "keyring":
        for kind in SECRETS:
            found = keychain.delete(service, kind) or found
    return found


def _read_option(option: Any, text: str) -> object:
    try:
        found = option.read(text)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{option.name} is {text!r}: it {error}") from error
    if option.minimum is not None and found < option.minimum:
        raise ConfigError(f"{option.name} is {found}; the least is {option.minimum:g}")
    if callable(found):
        return text  # `module:name` stays what it is
    return list(found) if isinstance(found, tuple) else found


def _need_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name of a profile: at most 64 letters, digits, _ and -, first a letter or digit"
        )


def _endpoints(known: profiles.Profiles, name: str) -> list[str]:
    """Return the endpoints that a profile has stored secrets for."""
    return [
        entry["endpoint"]
        for service, entry in known.secrets.items()
        if service.startswith(f"rundial-cli:{name}:") and "endpoint" in entry
    ]


def _drop_stored(service: str) -> bool:
    return _change_secrets(lambda table: table.pop(service, None))


def _change(edit: Callable[[tomlkit.TOMLDocument], None], *, touched: str | None = None) -> bool:
    """Apply an edit to config.toml; return whether it changed anything."""
    with _locked():
        profiles.load()
        document = profiles.editable(profiles.read(profiles.config_path()))
        before = document.as_string()
        edit(document)
        if document.as_string() == before:
            return False
        document["version"] = profiles.FORMAT_VERSION
        if touched is not None:
            document["profiles"][touched]["updated_at_ms"] = _now_ms()
        profiles.write(profiles.config_path(), document.as_string())
        return True


def _change_secrets(edit: Callable[[dict[str, Any]], object]) -> bool:
    with _locked():
        before = profiles.load().secrets
        table = {service: dict(entry) for service, entry in before.items()}
        edit(table)
        if table == before:
            return False
        profiles.write(profiles.secrets_path(), json.dumps(table, indent=2) + "\n")
        return True


@contextmanager
def _locked() -> Iterator[None]:
    folder = profiles.directory()
    os.makedirs(folder, mode=0o700, exist_ok=True)
    handle = profiles.lock(f"{folder}/.lock")
    try:
        yield
    finally:
        os.close(handle)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
