"""The keyring of the operating system, where it has one and the package `keyring` is installed.

Imported only by who stores a secret there, or has a profile that says so: looking for a keyring loads
its back ends. Nothing here writes a secret anywhere else, and no message holds one.
"""

from __future__ import annotations

from importlib.util import find_spec

from rundial.errors import ConfigError


def lacking() -> str | None:
    """Return why no secret can be kept there, None when it can."""
    if find_spec("keyring") is None:
        return "the package keyring is not installed (pip install 'rundial[cli]')"
    import keyring
    from keyring.backends import fail

    if isinstance(keyring.get_keyring(), fail.Keyring):
        return "this machine has no keyring service"
    return None


def read(service: str, kind: str) -> str | None:
    """Return a secret, None when there is none.

    Raises:
        ConfigError: The keyring is not there any more, or does not open.
    """
    _need()
    import keyring
    from keyring.errors import KeyringError

    try:
        found = keyring.get_password(service, kind)
    except KeyringError as error:
        raise _closed(error) from error
    return found if isinstance(found, str) and found else None


def write(service: str, kind: str, secret: str) -> None:
    """Keep a secret.

    Raises:
        ConfigError: There is no keyring, or it does not take it; nothing was stored.
    """
    _need()
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(service, kind, secret)
    except KeyringError as error:
        raise _closed(error) from error


def delete(service: str, kind: str) -> bool:
    """Forget a secret; return whether there was one.

    Raises:
        ConfigError: There is no keyring, or it does not open.
    """
    if read(service, kind) is None:
        return False
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.delete_password(service, kind)
    except KeyringError as error:
        raise _closed(error) from error
    return True


def _need() -> None:
    why = lacking()
    if why is not None:
        raise ConfigError(f"the keyring cannot be used: {why}; set RUNDIAL_API_KEY, or log in anew")


def _closed(error: Exception) -> ConfigError:
    # Only the kind of the error: what a back end says may quote what it was given.
    return ConfigError(
        f"the machine's keyring did not open ({type(error).__name__}); unlock it, or set RUNDIAL_API_KEY"
    )
