"""MLflow's stores are read as they are."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import pytest

from rundial.importers import mlflowruns
from rundial.importers.imported import NothingToImportError

META = """artifact_uri: {uri}
end_time: 1700000060000
experiment_id: '1'
lifecycle_stage: {stage}
run_id: {run_id}
run_name: 'it''s bold'
start_time: 1700000000000
status: 3
"""


def _store(place: Path, run_id: str = "a" * 32, stage: str = "active") -> Path:
    """A store of files with one run."""
    experiment = place / "mlruns" / "1"
    run = experiment / run_id
    for folder in ("metrics/val", "params", "tags", "artifacts"):
        (run / folder).mkdir(parents=True)
    (experiment / "meta.yaml").write_text("experiment_id: '1'\nname: digits\n")
    (run / "meta.yaml").write_text(META.format(uri=(run / "artifacts").as_uri(), run_id=run_id, stage=stage))
    (run / "metrics" / "loss").write_text("1700000001000 0.5 0\n1700000002000 0.25 1\n17000")
    (run / "metrics" / "val" / "acc").write_text("1700000003000 nan 0\n")
    (run / "params" / "lr").write_text("0.1")
    (run / "params" / "opt").write_text("sgd")
    (run / "tags" / "team").write_text("red")
    (run / "tags" / "mlflow.user").write_text("ada")
    (run / "artifacts" / "model.bin").write_text("weights")
    return place / "mlruns"


def test_store_of_files_is_read(tmp_path: Path) -> None:
    """Id, name, times, parameters, tags, metrics with steps and times, artifacts."""
    (found,) = mlflowruns.imported(_store(tmp_path))
    points = list(found.points)

    assert (found.run_id, found.project, found.name, found.status) == (
        "a" * 32,
        "digits",
        "it's bold",
        "completed",
    )
    assert (found.started_unix_ns, found.finished_unix_ns) == (1_700_000_000 * 10**9, 1_700_000_060 * 10**9)
    assert found.config == {"lr": 0.1, "opt": "sgd", "_mlflow": {"tags": {"team": "red"}, "user": "ada"}}
    assert [tuple(point) for point in points[:2]] == [
        ("loss", 0, 0.5, 1_700_000_001_000),
        ("loss", 1, 0.25, 1_700_000_002_000),
    ]
    assert points[2].name == "val/acc"
    assert math.isnan(points[2].value)
    assert [(kept.name, kept.path.read_text()) for kept in found.files] == [("model.bin", "weights")]
    assert dict(found.left_out) == {"lines of metrics that are torn": 1}


def test_deleted_runs_stay_deleted(tmp_path: Path) -> None:
    """What somebody has thrown away does not come back."""
    assert list(mlflowruns.imported(_store(tmp_path, stage="deleted"))) == []


def test_database_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    """The same from SQLite, NaN included; nothing is written."""
    path = tmp_path / "mlflow.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        """
        create table experiments (experiment_id integer, name text);
        create table runs (run_uuid text, name text, status text, start_time integer, end_time integer,
            lifecycle_stage text, artifact_uri text, experiment_id integer);
        create table metrics (key text, value real, timestamp integer, run_uuid text, step integer, is_nan
        integer); create table params (key text, value text, run_uuid text);
        create table tags (key text, value text, run_uuid text);
        insert into experiments values (1, 'digits');
        insert into runs values ('r1', 'bold', 'FAILED', 1700000000000, 1700000060000, 'active', 's3://b/a',
        1); insert into metrics values ('loss', 0.5, 1700000001000, 'r1', 0, 0), ('loss', 0, 1700000002000,
        'r1', 1, 1); insert into params values ('depth', '3', 'r1');
        """
    )
    connection.commit()
    connection.close()
    before = path.read_bytes()
    (found,) = mlflowruns.imported(path)
    points = list(found.points)

    assert (found.run_id, found.project, found.name, found.status) == ("r1", "digits", "bold", "failed")
    assert found.config == {"depth": 3}
    assert [(point.step, point.value) for point in points[:1]] == [(0, 0.5)]
    assert math.isnan(points[1].value)
    assert list(found.files) == []
    assert dict(found.left_out) == {"artifacts that are not on this machine": 1}
    assert path.read_bytes() == before


def test_other_files_are_refused(tmp_path: Path) -> None:
    """A wrong path is one error that says what was looked for."""
    (tmp_path / "x.db").write_text("no")
    for place in (tmp_path, tmp_path / "x.db"):
        with pytest.raises(NothingToImportError):
            list(mlflowruns.imported(place))
