"""The table of `docs/wandb-compat.md`: every public name of W&B's client, and what becomes of it here.

`wandb_names.txt` lists the names as the real client has them; a test compares. Whether one is there is
looked up, so that the page cannot say otherwise; what of it is not as there is said in `PARTIAL`.

    python -m tests.support.wandb_page
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "wandb-compat.md"
NAMES = Path(__file__).with_name("wandb_names.txt")
TABLE = re.compile(r"(?<=<!-- names -->\n).*?(?=<!-- end -->)", re.DOTALL)
# Printed by the real client; classes and modules whose members count are named here.
LISTING = """
import importlib, wandb, wandb.plot
from wandb.sdk.wandb_summary import Summary
def public(thing): return [name for name in dir(thing) if not name.startswith("_")]
found = {*public(wandb), *wandb.__all__} - {"annotations", "__version__"}
lines = {f"wandb.{name}" for name in found}
for thing in (wandb.Run, wandb.Artifact, wandb.Table, wandb.Config, Summary):
    lines |= {f"{thing.__name__}.{name}" for name in public(thing)}
lines |= {f"wandb.plot.{name}" for name in wandb.plot.__all__}
print("\\n".join(sorted(lines)))
"""
PARTIAL = {
    "wandb.alert": "the same title once a minute, whatever `wait_duration`",
    "wandb.config": "a path is JSON only; `config-defaults.yaml` is not read",
    "wandb.define_metric": "of several summaries the first counts; `hidden` has no effect",
    "wandb.Image": "arrays and figures become PNG; `mode` and `grouping` have no effect",
    "wandb.init": "no `resume_from`, `fork_from`, `mode='shared'`; an id that exists needs `resume`",
    "wandb.log": "NaN and infinities are dropped and counted; texts and lists are lines with key and step",
    "wandb.log_artifact": "tags go into the metadata",
    "wandb.require": "nothing",
    "wandb.login": "takes a Rundial key; any other is used for nothing",
    "wandb.plot": "see the names below",
    "wandb.plot_table": "the table, and a scatter plot of its first two fields; nothing draws Vega",
    "wandb.save": "files are artifacts of type `file`",
    "wandb.sdk": "`wandb_run.Run`, `wandb_config.Config`, `wandb_settings.Settings`, `lib.RunDisabled`",
    "wandb.data_types": "the classes that have a row here",
    "wandb.errors": "`Error`, `CommError`, `UsageError`",
    "wandb.Settings": "every setting is taken; those in `init`'s arguments have an effect",
    "wandb.setup": "returns the settings; there is no service",
    "wandb.teardown": "ends the run; there is no service",
    "wandb.summary": "texts and what is set by hand stand until a number is logged under the name",
    "wandb.Table": "at most 256 columns and 10,000 rows; pictures in cells become words",
    "wandb.use_artifact": "online; of the run's own project",
    "wandb.watch": "`criterion` and `log_graph` have no effect",
    "wandb.plot.plot_table": "as `wandb.plot_table`",
    "Run.alert": "as `wandb.alert`",
    "Run.define_metric": "as `wandb.define_metric`",
    "Run.log": "as `wandb.log`",
    "Run.log_artifact": "as `wandb.log_artifact`",
    "Run.log_code": "nothing: the commit is recorded at the start, `capture_diff=True` records what differs",
    "Run.name": "set later it is kept in the config, as `_wandb.name`",
    "Run.notes": "kept in the config, as `_wandb.notes`",
    "Run.save": "as `wandb.save`",
    "Run.sweep_id": "None",
    "Run.tags": "set later they are kept in the config, as `_wandb.tags`",
    "Run.use_artifact": "as `wandb.use_artifact`",
    "Run.watch": "as `wandb.watch`",
    "Artifact.add": "a table or picture, as the files that it is made of",
    "Artifact.version": "`latest` until it was fetched",
    "Artifact.tags": "go into the metadata",
}
# What to use where there is nothing.
INSTEAD = {
    "wandb.Api": "`rundial.Client`",
    "wandb.sweep": "Optuna, with `rundial.integrations.optuna`",
    "wandb.agent": "as `wandb.sweep`",
    "wandb.controller": "as `wandb.sweep`",
    "wandb.sklearn": "`rundial.integrations.sklearn`",
    "wandb.keras": "`rundial.integrations.keras`",
    "wandb.xgboost": "`rundial.integrations.xgboost`",
    "wandb.lightgbm": "`rundial.integrations.lightgbm`",
    "wandb.tensorboard": "`sync_tensorboard=True`, or `rundial.compat.tensorboard`",
    "wandb.EvalTable": "`rundial.eval`",
    "wandb.restore": "`use_artifact`",
}


def status(name: str) -> str:
    """Return `full`, `partial` or `no`."""
    if not exists(name):
        return "no"
    return "partial" if name in PARTIAL else "full"


def exists(name: str) -> bool:
    """Whether a name has a counterpart."""
    import rundial.compat.wandb as wandb

    head, *path = name.split(".")
    place: Any = wandb if head == "wandb" else getattr(wandb, head)
    for part in path:
        if part in getattr(place, "__annotations__", ()):
            return True
        if not hasattr(place, part):
            return False
        place = getattr(place, part)
    return True


def names() -> list[str]:
    """Return the names of the real client."""
    return NAMES.read_text(encoding="utf-8").split()


def listed(python: Path) -> list[str]:
    """Return the names as the real client has them now."""
    done = subprocess.run(
        [str(python), "-c", LISTING], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split()


def table() -> str:
    """Return the table."""
    lines = ["| name | | |", "|---|---|---|"]
    for name in names():
        found = status(name)
        said = PARTIAL.get(name, "") if found == "partial" else INSTEAD.get(name, "") if found == "no" else ""
        lines.append(f"| `{name}` | {found} | {said} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda _: table(), text), encoding="utf-8")
