"""What an importer has read of one run, in terms of Rundial. Pure data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rundial.media.values import Media


class Point(NamedTuple):
    """One value of one metric."""

    name: str
    step: int
    value: float
    time_ms: int | None = None


class Line(NamedTuple):
    """One text line; `key` is that of a text that was logged as a value, at `step`."""

    text: str
    time_ms: int | None = None
    level: str = "info"
    key: str | None = None
    step: int | None = None


class Shown(NamedTuple):
    """One picture, table, histogram or figure; made when its turn comes."""

    name: str
    step: int
    make: Callable[[], Media]
    time_ms: int | None = None


class Kept(NamedTuple):
    """One file or directory."""

    path: Path
    name: str
    type: str | None = None
    metadata: Mapping[str, Any] | None = None
    aliases: tuple[str, ...] = ()


class Definition(NamedTuple):
    """How a metric is to be read."""

    name: str
    step_metric: str | None
    summary: str | None


@dataclass(slots=True)
class Imported:
    """One run.

    Attributes:
        source: Whose it was: `wandb`, `mlflow`, `csv`, `tensorboard`.
        run_id: Its id, or one made of what it holds; the same each time.
        project: Its project there.
        name: What people call it.
        group: The group that it belongs to.
        job_type: Its role in the group.
        tags: Labels.
        config: Names and values.
        summary: What was set by hand.
        started_unix_ns: When it began; 0 where nothing says.
        finished_unix_ns: When it ended; 0 where nothing says.
        status: `completed`, `failed` or `aborted`.
        points: Values; may be read only once.
        lines: Text; may be read only once.
        media: Pictures and the like; may be read only once.
        files: Files and directories.
        definitions: How metrics are to be read.
        left_out: What is not carried over, in words, and how much of it.
    """

    source: str
    run_id: str
    project: str = ""
    name: str | None = None
    group: str | None = None
    job_type: str | None = None
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    started_unix_ns: int = 0
    finished_unix_ns: int = 0
    status: str = "completed"
    points: Iterable[Point] = ()
    lines: Iterable[Line] = ()
    media: Iterable[Shown] = ()
    files: Iterable[Kept] = ()
    definitions: Iterable[Definition] = ()
    left_out: Counter[str] = field(default_factory=Counter)


class NothingToImportError(ValueError):
    """There is nothing of the kind at the path; the message says what was looked for."""
