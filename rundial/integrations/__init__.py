"""Rundial inside training frameworks: one file each, imported only when it is used.

Importing one of them imports the framework that it is for, where it is installed, and no other.
"""

from __future__ import annotations

from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from rundial.integrations.keras import RundialKerasCallback as RundialKerasCallback
    from rundial.integrations.lightning import RundialLogger as RundialLogger
    from rundial.integrations.transformers import RundialCallback as RundialCallback

_HOMES = {
    "RundialCallback": "rundial.integrations.transformers",
    "RundialKerasCallback": "rundial.integrations.keras",
    "RundialLogger": "rundial.integrations.lightning",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
