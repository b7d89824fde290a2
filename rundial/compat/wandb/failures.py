"""The errors of W&B's client, as its users catch them; and what is said of a name that has no counterpart."""

from __future__ import annotations

from rundial.errors import ConfigError, RundialError, UnsupportedError

PAGE = "docs/wandb-compat.md"


class Error(RundialError):
    """Base of what the names of W&B's client raise."""


class UsageError(Error):
    """Something was called that cannot be called now."""


class CommError(Error):
    """A server could not be asked."""


class ConfigChangeError(Error, ConfigError):
    """A key of the config would have changed, and the call did not say that it may."""


def unsupported(name: str) -> UnsupportedError:
    """Return what to raise for a name that has no counterpart."""
    return UnsupportedError(f"wandb.{name}", PAGE)


def before_init(name: str) -> Error:
    """Return what to raise for a name that needs a run when there is none."""
    return Error(f"You must call wandb.init() before wandb.{name}")
