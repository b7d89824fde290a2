"""`install()`: from then on `import wandb` in this process reaches Rundial.

Libraries ask for the package in three ways: they import it, look for its spec, and read its version from the
installed distributions. All three are answered; nothing is written to disk, and a real W&B that is installed
is left as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module, metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import rundial.compat.wandb as names
from rundial.compat.wandb import modules
from rundial.compat.wandb.failures import UsageError

NAME = "wandb"


class _Distribution(metadata.Distribution):
    """What is said of the distribution `wandb`: its name and version, and that it is Rundial."""

    def read_text(self, filename: str) -> str | None:
        if filename == "METADATA":
            return f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {names.__version__}\n"
        return NAME if filename == "top_level.txt" else None

    def locate_file(self, path: Any) -> Path:
        return Path(str(names.__file__)).parent / str(path)


class _Finder:
    """Finds the distribution; modules are found in `sys.modules` already."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find no module: those that there are have been found."""
        del name, path, target
        return None

    @staticmethod
    def find_distributions(context: Any = None) -> Iterable[metadata.Distribution]:
        """Find the distribution `wandb`, where it or any is looked for."""
        wanted = getattr(context, "name", None)
        return [_Distribution()] if wanted is None or wanted.lower() == NAME else []


def install() -> ModuleType:
    """Make `import wandb` in this process reach Rundial, for libraries that import it; returns the module.

    Call it before anything imports W&B. Called again it does nothing.

    Raises:
        UsageError: The real W&B has been imported; nothing was changed.
    """
    known = sys.modules.get(NAME)
    if known is not None and known is not names:
        raise UsageError(
            "the real wandb has been imported already: call install() before whatever imports it"
        )
    if known is None:
        sys.modules[NAME] = names
        sys.modules[f"{NAME}.plot"] = import_module(f"{modules.HOME}.plot")
        for path in modules.TREE:
            sys.modules[f"{NAME}.{path}"] = modules.module_of(path)
        finder: Any = _Finder
        sys.meta_path.insert(0, finder)
    return names
