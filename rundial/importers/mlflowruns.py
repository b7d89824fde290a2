"""MLflow's runs → runs: its store of files (`mlruns/`) and its SQLite database, read without MLflow.

Parameters that are numbers become numbers: MLflow writes all of them as text. Metrics keep their steps and
their times in milliseconds; MLflow's own tags (`mlflow.…`) are kept in the config under `_mlflow`.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from rundial.importers.imported import Imported, Kept, NothingToImportError, Point

SQLITE = b"SQLite format 3\0"
# `mlflow.entities.RunStatus`, by number in files and by name in databases.
STATUSES = {"3": "completed", "FINISHED": "completed", "4": "failed", "FAILED": "failed"}
_DELETED = "deleted"


def imported(place: Path) -> Iterator[Imported]:
    """Yield every run at a path: a database, or a directory of files.

    Raises:
        NothingToImportError: It is neither.
        OSError: It cannot be read.
    """
    if place.is_file():
        if not place.read_bytes()[: len(SQLITE)] == SQLITE:
            raise NothingToImportError(f"{place} is no SQLite database of MLflow's")
        yield from _of_database(place)
        return
    metas = sorted(place.rglob("meta.yaml")) if place.is_dir() else []
    runs = [path.parent for path in metas if (path.parent / "metrics").is_dir() or "run_id" in _flat(path)]
    if not runs:
        database = place / "mlflow.db"
        if database.is_file():
            yield from imported(database)
            return
        raise NothingToImportError(f"no MLflow run is at or below {place}")
    for folder in runs:
        found = _of_folder(folder)
        if found is not None:
            yield found


def _of_folder(folder: Path) -> Imported | None:
    meta = _flat(folder / "meta.yaml")
    if meta.get("lifecycle_stage") == _DELETED:
        return None
    experiment = _flat(folder.parent / "meta.yaml") if (folder.parent / "meta.yaml").is_file() else {}
    run_id = meta.get("run_id") or meta.get("run_uuid") or folder.name
    out = Imported("mlflow", run_id, experiment.get("name") or "mlflow", meta.get("run_name") or None)
    tags = dict(_texts(folder / "tags"))
    _facts(out, dict(_texts(folder / "params")), tags, meta)
    out.points = _points_of(folder / "metrics", out)
    artifacts = folder / "artifacts"
    out.files = _artifacts(artifacts if artifacts.is_dir() else _local(meta.get("artifact_uri", "")), out)
    return out


def _facts(
    out: Imported, params: Mapping[str, str], tags: Mapping[str, str], meta: Mapping[str, str]
) -> None:
    own = {name: text for name, text in tags.items() if not name.startswith("mlflow.")}
    theirs = {name.removeprefix("mlflow."): text for name, text in tags.items() if name not in own}
    out.config = {name: _plain(text) for name, text in params.items()}
    if own or theirs:
        out.config["_mlflow"] = {"tags": own, **theirs}
    out.name = out.name or theirs.get("runName")
    out.started_unix_ns = _ms(meta.get("start_time")) * 1_000_000
    out.finished_unix_ns = _ms(meta.get("end_time")) * 1_000_000
    out.status = STATUSES.get(str(meta.get("status")), "aborted")


def _points_of(folder: Path, out: Imported) -> Iterator[Point]:
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            parts = line.split()
            try:
                stamp, value = int(parts[0]), float(parts[1])
                step = int(parts[2]) if len(parts) > 2 else 0
            except (ValueError, IndexError):
                out.left_out["lines of metrics that are torn"] += 1
                continue
            yield from _point(out, name, step, value, stamp)


def _point(out: Imported, name: str, step: int, value: float, stamp: int) -> Iterator[Point]:
    if step < 0:
        out.left_out["points at a negative step"] += 1
    else:
        yield Point(name, step, value, stamp if stamp > 0 else None)


def _of_database(path: Path) -> Iterator[Imported]:
    # Read only, and whatever MLflow does with it meanwhile.
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        projects = dict(_pairs(connection, "select experiment_id, name from experiments"))
        runs = connection.execute("select * from runs where lifecycle_stage != ?", (_DELETED,)).fetchall()
        if not runs:
            raise NothingToImportError(f"{path} holds no MLflow run")
        for row in runs:
            yield _of_row(connection, row, projects)
    except sqlite3.DatabaseError as error:
        raise NothingToImportError(f"{path} is no database of MLflow's: {error}") from error
    finally:
        connection.close()


def _of_row(connection: sqlite3.Connection, row: sqlite3.Row, projects: Mapping[Any, Any]) -> Imported:
    facts = {name: str(row[name]) for name in row.keys() if row[name] is not None}  # noqa: SIM118 - a Row has no other way
    run_id = facts["run_uuid"]
    project = str(projects.get(row["experiment_id"]) or "mlflow")
    out = Imported("mlflow", run_id, project, facts.get("name") or None)
    params = dict(_pairs(connection, "select key, value from params where run_uuid = ?", run_id))
    tags = dict(_pairs(connection, "select key, value from tags where run_uuid = ?", run_id))
    _facts(out, params, tags, facts)
    out.points = list(_points_in(connection, run_id, out))
    out.files = _artifacts(_local(facts.get("artifact_uri", "")), out)
    return out


def _points_in(connection: sqlite3.Connection, run_id: str, out: Imported) -> Iterator[Point]:
    query = "select key, value, timestamp, step, is_nan from metrics where run_uuid = ? order by timestamp"
    for name, value, stamp, step, is_nan in connection.execute(query, (run_id,)):
        yield from _point(out, name, int(step or 0), math.nan if is_nan else float(value), int(stamp or 0))


def _pairs(connection: sqlite3.Connection, query: str, *given: str) -> list[tuple[Any, Any]]:
    return [(row[0], row[1]) for row in connection.execute(query, given)]


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8", errors="replace")


def _artifacts(folder: Path | None, out: Imported) -> Iterator[Kept]:
    if folder is None or not folder.is_dir():
        if folder is None:
            out.left_out["artifacts that are not on this machine"] += 1
        return
    for path in sorted(folder.iterdir()):
        is_model = (path / "MLmodel").is_file()
        yield Kept(path, path.name, "model" if is_model else "file")


def _local(uri: str) -> Path | None:
    """Return where artifacts lie; None where that is another machine."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(uri) if uri and not parts.scheme else None


def _flat(path: Path) -> dict[str, str]:
    """Read MLflow's `meta.yaml`: a name and a value on each line, and nothing nested."""
    found = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        name, colon, text = line.partition(":")
        text = text.strip()
        if colon and not name.startswith((" ", "-", "#")):
            if len(text) > 1 and text[0] == text[-1] == "'":
                text = text[1:-1].replace("''", "'")
            elif len(text) > 1 and text[0] == text[-1] == '"':
                text = text[1:-1]
            found[name] = "" if text in ("null", "~") else text
    return found


def _plain(text: str) -> Any:
    """Return a parameter as a number where it is one: MLflow writes all of them as text."""
    words: dict[str, Any] = {"True": True, "False": False, "None": None}
    if text in words:
        return words[text]
    if text.lstrip("-").isdecimal():
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


def _ms(text: str | None) -> int:
    try:
        return max(0, int(float(text or 0)))
    except ValueError:
        return 0
