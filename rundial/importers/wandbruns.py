"""W&B's offline runs → runs: the `.wandb` file, and the files that lie beside it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rundial.importers.imported import Definition, Imported, Kept, Line, NothingToImportError, Point, Shown
from rundial.importers.wandbfile import NotAFileOfWandbError, Row, WandbRun, read
from rundial.media.values import Figure, Histogram, Image, Media, Table

# What W&B writes for itself.
_OWN_FILES = frozenset(
    (
        "config.yaml",
        "wandb-metadata.json",
        "wandb-summary.json",
        "output.log",
        "diff.patch",
        "requirements.txt",
    )
)
_OWN_ARTIFACTS = ("run_table", "job", "code", "wandb-history", "wandb-events")


def find(place: Path) -> list[Path]:
    """Return the `.wandb` files at or below a path.

    Raises:
        NothingToImportError: There are none.
    """
    found = [place] if place.is_file() else sorted(place.rglob("*.wandb"))
    if not found:
        raise NothingToImportError(f"no .wandb file is at or below {place}")
    return found


def imported(path: Path) -> Imported:
    """Read one offline run.

    Raises:
        NothingToImportError: The file is none of W&B's, or holds no run.
        OSError: It cannot be read.
    """
    try:
        run = read(path)
    except NotAFileOfWandbError as error:
        raise NothingToImportError(f"{path} is no file of W&B's: {error}") from error
    if not run.run_id:
        raise NothingToImportError(f"{path} holds no run: it is torn before the run's own record")
    times = [row.time_unix_ns for row in run.rows if row.time_unix_ns]
    out = Imported("wandb", run.run_id, run.project, run.name or None)
    out.group, out.job_type, out.tags = run.group or None, run.job_type or None, run.tags
    out.config = {**run.config, **({"_wandb": {"notes": run.notes}} if run.notes else {})}
    out.started_unix_ns = run.started_unix_ns
    out.finished_unix_ns = max([*times, *(stamp for stamp, _, _ in run.lines), run.started_unix_ns])
    out.status = "aborted" if run.exit_code is None else "failed" if run.exit_code else "completed"
    out.summary = _by_hand(run)
    out.left_out = _left_out(run)
    out.definitions = _definitions(run)
    out.points = _points(run)
    out.lines = _lines(run)
    out.media = _media(run, path.parent / "files", out.left_out)
    out.files = _files(run, path.parent / "files", out.left_out)
    return out


def _left_out(run: WandbRun) -> Counter[str]:
    found: Counter[str] = Counter()
    if run.is_torn:
        found["the torn end of the file"] = 1
    return found


def _definitions(run: WandbRun) -> Iterator[Definition]:
    for name, axis, rule in run.metrics:
        if axis or rule:
            yield Definition(name, axis or None, rule or None)


def _points(run: WandbRun) -> Iterator[Point]:
    for row in run.rows:
        for path, value in row.values.items():
            if isinstance(value, (int, float)):
                yield Point(".".join(path), row.step, float(value), _ms(row.time_unix_ns))
    for number, (stamp, values) in enumerate(run.stats):
        for name, value in values.items():
            if isinstance(value, (int, float)):
                yield Point(f"system/{name}", number, float(value), _ms(stamp))


def _lines(run: WandbRun) -> Iterator[Line]:
    for row in run.rows:
        for path, value in row.values.items():
            if value is not None and not isinstance(value, (int, float)) and not _is_medium(value):
                text = value if isinstance(value, str) else json.dumps(value)
                yield Line(text, _ms(row.time_unix_ns), key=".".join(path), step=row.step)
    for stamp, stream, text in _whole(run.lines):
        yield Line(text, _ms(stamp), "info" if stream == "stdout" else "error")
    for title, text, level in run.alerts:
        yield Line(f"{title}: {text}", level=level or "info")


def _whole(pieces: list[tuple[int, str, str]]) -> Iterator[tuple[int, str, str]]:
    """Yield whole lines: what a program prints comes in pieces."""
    open_: dict[str, tuple[int, str]] = {}
    for stamp, stream, text in pieces:
        began, before = open_.pop(stream, (stamp, ""))
        *lines, rest = (before + text).split("\n")
        yield from ((began, stream, line.rsplit("\r", 1)[-1]) for line in lines if line.strip())
        if rest:
            open_[stream] = (began if not lines else stamp, rest)
    yield from ((began, stream, rest) for stream, (began, rest) in open_.items() if rest.strip())


def _by_hand(run: WandbRun) -> dict[str, Any]:
    """Return what stands in the summary beside the last values of what was logged."""
    last: dict[tuple[str, ...], Any] = {}
    for row in run.rows:
        last.update(row.values)
    return {
        ".".join(path): value
        for path, value in run.summary.items()
        if not (path[0].startswith("_") or path in last or _is_part(path, last) or _is_medium(value))
    }


def _is_part(path: tuple[str, ...], last: Mapping[tuple[str, ...], Any]) -> bool:
    return any(path[:length] in last for length in range(1, len(path)))


def _media(run: WandbRun, files: Path, left_out: Counter[str]) -> Iterator[Shown]:
    for row in run.rows:
        for path, value in row.values.items():
            if _is_medium(value):
                yield from _shown(".".join(path), value, row, files, left_out)


def _shown(
    name: str, value: Mapping[str, Any], row: Row, files: Path, left_out: Counter[str]
) -> Iterator[Shown]:
    kind = value["_type"]
    if kind == "images/separated":
        captions = value.get("captions") or []
        for number, each in enumerate(value.get("filenames") or []):
            caption = captions[number] if number < len(captions) else None
            yield Shown(name, row.step, _image(_below(files, each), caption), _ms(row.time_unix_ns))
        return
    make = _maker(kind, value, files)
    if make is None:
        left_out[f"media of the kind {kind}"] += 1
        return
    yield Shown(name, row.step, make, _ms(row.time_unix_ns))


def _maker(kind: str, value: Mapping[str, Any], files: Path) -> Any:
    path = _below(files, str(value.get("path", "")))
    if kind == "image-file":
        return _image(path, value.get("caption"))
    if kind == "table-file":
        return lambda: _table(json.loads(path.read_text(encoding="utf-8")))
    if kind == "histogram":
        return lambda: _histogram(value)
    if kind == "plotly-file":
        return lambda: Figure(_Drawing(path.read_text(encoding="utf-8")))
    return None


def _image(path: Path, caption: Any) -> Any:
    def make() -> Media:
        if not path.is_file():
            raise FileNotFoundError(path)
        return Image(path, caption=None if caption is None else str(caption))

    return make


def _table(found: Mapping[str, Any]) -> Table:
    return Table(columns=[str(name) for name in found["columns"]], rows=found["data"])


def _histogram(value: Mapping[str, Any]) -> Histogram:
    edges = value.get("bins")
    if edges is None:
        packed = value["packedBins"]
        low, width, count = (float(packed[name]) for name in ("min", "size", "count"))
        edges = [low + width * number for number in range(int(count) + 1)]
    return Histogram(counts=value["values"], edges=edges)


class _Drawing:
    """A figure of plotly that is on disk."""

    def __init__(self, text: str) -> None:
        self._text = text

    def to_plotly_json(self) -> Any:
        return json.loads(self._text)

    def to_json(self) -> str:
        return self._text


def _files(run: WandbRun, files: Path, left_out: Counter[str]) -> Iterator[Kept]:
    if files.is_dir():
        for path in sorted(files.rglob("*")):
            name = path.relative_to(files).as_posix()
            if path.is_file() and name not in _OWN_FILES and not name.startswith("media/"):
                yield Kept(path, name, "file")
    for artifact in run.artifacts:
        if str(artifact["type"]).startswith(_OWN_ARTIFACTS):
            continue
        yield from _artifact(artifact, left_out)


def _artifact(artifact: Mapping[str, Any], left_out: Counter[str]) -> Iterator[Kept]:
    local = [Path(each["local"]) for each in artifact["files"] if each["local"]]
    there = [path for path in local if path.is_file()]
    if len(there) < len(artifact["files"]):
        left_out["files of artifacts that are not on this machine"] += len(artifact["files"]) - len(there)
    metadata = artifact["metadata"] if isinstance(artifact["metadata"], dict) else None
    for path, each in zip(local, artifact["files"], strict=False):
        if path.is_file():
            # One file is the artifact; of several each is one, under both names.
            name = artifact["name"] if len(local) == 1 else f"{artifact['name']}/{each['path']}"
            yield Kept(path, str(name), str(artifact["type"]), metadata, tuple(artifact["aliases"]))


def _below(files: Path, name: str) -> Path:
    """Return a file's path, which leads nowhere else than below its directory.

    Raises:
        ValueError: It does.
    """
    path = (files / name).resolve()
    if not path.is_relative_to(files.resolve()):
        raise ValueError(f"{name!r} leads out of the run's files")
    return path


def _is_medium(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("_type"), str)


def _ms(unix_ns: int) -> int | None:
    return unix_ns // 1_000_000 if unix_ns else None
