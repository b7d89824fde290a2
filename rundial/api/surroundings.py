"""Which server and which key a program means that names neither: environment, then profile, then default."""

from __future__ import annotations

import os

from rundial import profiles
from rundial.api.key import Key
from rundial.settings import DEFAULT_ENDPOINT


def endpoint() -> str:
    """Return `RUNDIAL_ENDPOINT`, the active profile's endpoint, or the default, normalised.

    Raises:
        ConfigError: It is no address, or the profile file is broken.
    """
    named = os.environ.get("RUNDIAL_ENDPOINT", "").strip()
    if not named:
        active = profiles.load().active
        named = (active.endpoint if active else None) or DEFAULT_ENDPOINT
    return profiles.normalise(named)


def key_for(endpoint: str) -> Key:
    """Return `RUNDIAL_API_KEY`, or the key that is stored for this endpoint, followed as it changes."""
    named = os.environ.get("RUNDIAL_API_KEY", "").strip()
    if named:
        return Key(named)
    return Key(profiles.load().key_for(endpoint), stored_for=endpoint)
