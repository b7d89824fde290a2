"""The modules below `wandb` that programs reach into, such as `wandb.sdk.wandb_run.Run`.

They are made when they are first asked for, of what this package has; a name that is in none of them has no
counterpart.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from rundial.compat.wandb.failures import unsupported

HOME = "rundial.compat.wandb"
# By dotted name below wandb: which names it has, and where they live.
TREE: dict[str, dict[str, str]] = {
    "data_types": dict.fromkeys(("Histogram", "Image", "Plotly", "Table"), f"{HOME}.media"),
    "errors": dict.fromkeys(("CommError", "Error", "UsageError"), f"{HOME}.failures"),
    "sdk": {"Artifact": f"{HOME}.artifact", "Config": f"{HOME}.runconfig", "Settings": f"{HOME}.opening"},
    "sdk.artifacts": {},
    "sdk.artifacts.artifact": {"Artifact": f"{HOME}.artifact"},
    "sdk.data_types": {},
    "sdk.lib": {"RunDisabled": f"{HOME}.wandbrun:Run"},
    "sdk.lib.config_util": {"ConfigError": f"{HOME}.failures:ConfigChangeError"},
    "sdk.wandb_config": {"Config": f"{HOME}.runconfig"},
    "sdk.wandb_run": {"Run": f"{HOME}.wandbrun"},
    "sdk.wandb_settings": {"Settings": f"{HOME}.opening"},
    "sdk.wandb_summary": {"Summary": f"{HOME}.runsummary"},
    "wandb_run": {"Run": f"{HOME}.wandbrun"},
}


class _Module(ModuleType):
    """A module whose names are loaded when they are asked for."""

    def __init__(self, path: str) -> None:
        super().__init__(f"wandb.{path}", "Names of W&B's client; see `rundial.compat.wandb`.")
        self._path = path
        # Imported from, it looks like a package: what is below it is found in `sys.modules`.
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = _found(self._path, name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted(TREE[self._path])


_made: dict[str, _Module] = {}


def module_of(path: str) -> ModuleType:
    """Return the module of a dotted name below wandb.

    Raises:
        UnsupportedError: There is none.
    """
    if path not in TREE:
        raise unsupported(path)
    return _made.setdefault(path, _Module(path))


def _found(path: str, name: str) -> Any:
    if f"{path}.{name}" in TREE:
        return module_of(f"{path}.{name}")
    home = TREE[path].get(name)
    if home is None:
        raise unsupported(f"{path}.{name}")
    module, _, other = home.partition(":")
    return getattr(import_module(module), other or name)
