"""`import rundial.compat.wandb as wandb`: the names of W&B's client, recorded by Rundial.

Keys, steps, values and configs are those that the real client stores. What has no counterpart raises
`rundial.errors.UnsupportedError`, which `hasattr` takes for an answer; `docs/wandb-compat.md` lists every
public name. `install()` makes `import wandb` itself come here, for libraries that import it.

Nothing is read from, written to or imported from the real client, and its keys are sent nowhere.
"""

from __future__ import annotations

from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

# Where each name lives; imported when it is first asked for.
_HOMES = {
    "AlertLevel": "rundial.compat.wandb.alerts",
    "Artifact": "rundial.compat.wandb.artifact",
    "CommError": "rundial.compat.wandb.failures",
    "Config": "rundial.compat.wandb.runconfig",
    "Error": "rundial.compat.wandb.failures",
    "Histogram": "rundial.compat.wandb.media",
    "Image": "rundial.compat.wandb.media",
    "Plotly": "rundial.compat.wandb.media",
    "Run": "rundial.compat.wandb.wandbrun",
    "Settings": "rundial.compat.wandb.opening",
    "Summary": "rundial.compat.wandb.runsummary",
    "Table": "rundial.compat.wandb.media",
    "UsageError": "rundial.compat.wandb.failures",
    "alert": "rundial.compat.wandb.active",
    "define_metric": "rundial.compat.wandb.active",
    "finish": "rundial.compat.wandb.active",
    "init": "rundial.compat.wandb.opening",
    "install": "rundial.compat.wandb.installation",
    "join": "rundial.compat.wandb.active",
    "log": "rundial.compat.wandb.active",
    "log_artifact": "rundial.compat.wandb.active",
    "log_model": "rundial.compat.wandb.active",
    "login": "rundial.compat.wandb.opening",
    "mark_preempting": "rundial.compat.wandb.active",
    "plot_table": "rundial.compat.wandb.plot",
    "require": "rundial.compat.wandb.active",
    "save": "rundial.compat.wandb.active",
    "setup": "rundial.compat.wandb.opening",
    "teardown": "rundial.compat.wandb.active",
    "termerror": "rundial.compat.wandb.terminal",
    "termlog": "rundial.compat.wandb.terminal",
    "termwarn": "rundial.compat.wandb.terminal",
    "unwatch": "rundial.compat.wandb.active",
    "use_artifact": "rundial.compat.wandb.active",
    "use_model": "rundial.compat.wandb.active",
    "watch": "rundial.compat.wandb.active",
}
# What changes with the run, and is looked up each time.
_CURRENT = ("run", "config", "summary")
# The client whose names these are; libraries compare it with the least that they can use.
__version__ = "0.31.0"

__all__ = ["__version__", *sorted(_HOMES), *_CURRENT]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _CURRENT:
        return getattr(import_module("rundial.compat.wandb.active"), f"current_{name}")()
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name == "plot":
        value = import_module("rundial.compat.wandb.plot")
    elif name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        value = import_module("rundial.compat.wandb.modules").module_of(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
