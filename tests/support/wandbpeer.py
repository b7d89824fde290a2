"""W&B's own client, offline, in an environment of its own; and what a script stored with it and with ours."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rundial.importers.wandbfile import WandbRun, read
from rundial.signals import semconv
from rundial.testing.recorded import Recorded

RELEASE = "wandb==0.31.0"
TIMEOUT_S = 110.0
# What W&B calls each kind of media.
MEDIA = {
    "image-file": "image",
    "images/separated": "image",
    "table-file": "table",
    "histogram": "histogram",
    "plotly-file": "figure",
}


@dataclass
class Stored:
    """What a script has stored, in terms of both.

    Attributes:
        numbers: By key and step.
        texts: Texts and lists, by key and step.
        media: Kinds, by key and step.
        config: Names and values.
        facts: Name, tags, group and job type.
    """

    numbers: dict[tuple[str, int], float] = field(default_factory=dict)
    texts: dict[tuple[str, int], Any] = field(default_factory=dict)
    media: dict[tuple[str, int], str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def interpreter(cache: Path) -> Path:
    """Return the interpreter of an environment with the real client, made once and kept."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers may ask for it at once
        return _environment(cache)


def _environment(cache: Path) -> Path:
    place = cache / f"{RELEASE.replace('==', '-')}-python-{sys.version_info.major}.{sys.version_info.minor}"
    python, stamp = place / "bin" / "python", place / ".complete"
    if stamp.exists() and python.exists():
        return python
    venv.EnvBuilder(with_pip=True, clear=True).create(place)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run([*command, RELEASE], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        pytest.skip(f"pip cannot install {RELEASE}: {last}")
    # Behind its own packages, ours: numpy and the like need not be there twice.
    (next(place.glob("lib/python*/site-packages")) / "behind.pth").write_text(
        sysconfig.get_path("purelib") + "\n"
    )
    stamp.touch()
    return python


def run_theirs(python: Path, script: str, place: Path) -> tuple[Stored, WandbRun]:
    """Run a script with the real client."""
    _run([str(python), "-c", script], place)
    (path,) = place.glob("wandb/offline-run-*/*.wandb")
    run = read(path)
    return _of_theirs(run), run


def run_ours(script: str, place: Path) -> tuple[Stored, Recorded]:
    """Run a script with nothing but its import changed."""
    changed = script.replace("import wandb\n", "import rundial.compat.wandb as wandb\n")
    assert changed != script
    _run([sys.executable, "-c", changed], place)
    recorded = Recorded(place / ".rundial_spool")
    return _of_ours(recorded), recorded


def _run(command: list[str], place: Path) -> None:
    place.mkdir(exist_ok=True)
    environ = {**os.environ, "WANDB_MODE": "offline", "MPLBACKEND": "Agg", "WANDB_SILENT": "true"}
    done = subprocess.run(
        command, cwd=place, env=environ, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _of_theirs(run: WandbRun) -> Stored:
    found = Stored(config=run.config)
    found.facts = {"name": run.name or None, "tags": run.tags, "group": run.group, "job_type": run.job_type}
    for row in run.rows:
        for path, value in row.values.items():
            at = (".".join(path), row.step)
            if isinstance(value, dict):
                if value.get("_type") in MEDIA:
                    found.media[at] = MEDIA[value["_type"]]
                else:
                    found.texts[at] = value
            elif isinstance(value, (int, float)):
                found.numbers[at] = float(value)
            elif value is not None:
                found.texts[at] = value
    return found


def _of_ours(recorded: Recorded) -> Stored:
    found = Stored(config={name: value for name, value in recorded.config.items() if name != "_wandb"})
    found.numbers = {(point.name, point.step or 0): point.value for point in recorded.points()}
    for line in recorded.lines:
        key = line.attributes.get(semconv.TEXT_KEY)
        if key is not None:
            found.texts[key, line.attributes[semconv.STEP]] = _plain(line.text)
    (start,) = [event.body for event in recorded.events if event.name == semconv.EVENT_RUN_START]
    found.facts = {
        "name": start["name"],
        "tags": start["tags"],
        "group": start["group"] or "",
        "job_type": start["job_type"] or "",
    }
    found.media = {
        (event.body["media_key"], event.body["step"]): event.body["media_type"]
        for event in recorded.events
        if event.name == semconv.EVENT_MEDIA
    }
    return found


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
