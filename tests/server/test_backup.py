"""Copies of a whole store: a backup of a running server, and the move from one engine to another."""

from __future__ import annotations

import itertools
import json
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from rundial.cli.main import main
from rundial.errors import ConfigError
from rundial.server.store.backup import back_up
from rundial.server.store.engine import open_engines
from rundial.server.store.tables import metadata, points
from rundial.server.store.transfer import copy_all
from tests.support import otlp
from tests.support.clock import ManualClock
from tests.support.postgres import Postgres
from tests.support.server import LocalServer

_RUN = "night"


def record(local: LocalServer, *, times: int = 1) -> None:
    """Send some of everything; each time logs step 3 again."""
    resource = otlp.resource(_RUN)
    for time in range(times):
        kept = [otlp.point(step, float(step)) for step in range(10)] + [
            otlp.point(3, -1.0 - time, time=9 - time)
        ]
        assert local.export("metrics", otlp.metrics((resource, [otlp.gauge("loss", kept)]))).status == 200
    told = [
        otlp.line(1, "žluť\u0001"),
        otlp.event(9, "rundial.run.start", {"name": "n", "config": {"lr": 1e-3}}),
    ]
    assert local.export("logs", otlp.logs(resource, told)).status == 200
    assert local.export("traces", otlp.spans(resource, [otlp.span(1, "step")])).status == 200


def shown(local: LocalServer, key: str) -> dict[str, Any]:
    """What a server shows of the run."""
    local.key = key
    details = local.details(_RUN)
    project = details["projectId"]
    logs = local.get(f"/api/v1/query/logs?projectId={project}&runId={_RUN}")
    exported = local.post("/api/v1/export/metrics", {"projectId": project, "runId": _RUN}).json["rows"]
    return {
        "details": details,
        "curve": local.curve(_RUN, "loss"),
        "points": sorted((row["step"], row["timestampNs"], row["value"]) for row in exported),
        "spans": local.spans(_RUN),
        "logs": (logs.status, logs.body if logs.status == 200 else b""),
    }


@contextmanager
def opened(data: Path, clock: ManualClock, key: str, database: str | None = None) -> Iterator[LocalServer]:
    """A server over a copy, which has no key file of its own."""
    data.mkdir(mode=0o700, exist_ok=True)
    (data / "owner.key").write_text(key)
    with LocalServer(data, clock, database=database) as server:
        yield server


def test_a_backup_opens_as_a_server_that_shows_the_same(tmp_path: Path, clock: ManualClock) -> None:
    """A backup is worth what can be read from it."""
    with LocalServer(tmp_path / "data", clock) as local:
        record(local, times=3)
        key = local.key
        before = shown(local, key)

        made = back_up(tmp_path / "data", tmp_path / "copy")

    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["rundial.db"]
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700
    with opened(tmp_path / "copy", clock, key) as again:
        assert shown(again, key) == before


def test_a_backup_of_a_server_that_is_written_to_is_one_state_of_it(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Every series counts what is there, though records came in from beginning to end."""
    with LocalServer(tmp_path / "data", clock) as local:
        record(local)
        is_over = threading.Event()
        acknowledged = [0]

        def write() -> None:
            for number in itertools.count(1):
                if is_over.is_set():
                    return
                held = [otlp.gauge("busy", [otlp.point(number * 50 + each, 1.0) for each in range(50)])]
                assert local.export("metrics", otlp.metrics((otlp.resource(_RUN), held))).status == 200
                acknowledged[0] += 50

        writer = threading.Thread(target=write)
        writer.start()
        reports: list[tuple[int, int]] = []
        while acknowledged[0] < 200:
            is_over.wait(0.01)
        earliest = acknowledged[0]
        back_up(tmp_path / "data", tmp_path / "copy", on_progress=lambda *seen: reports.append(seen))
        latest = acknowledged[0] + 50
        is_over.set()
        writer.join(10)

    engines = open_engines(tmp_path / "copy")
    with engines.reading.begin() as connection:
        counted = connection.exec_driver_sql("SELECT id, count FROM series WHERE name = 'busy'").one()
        there = connection.exec_driver_sql(
            "SELECT count(*) FROM points WHERE series = ?", (counted.id,)
        ).scalar()
    engines.close()
    assert counted.count == there
    assert earliest <= counted.count <= latest
    assert reports[-1][0] == reports[-1][1] > 0


def test_a_backup_replaces_nothing_and_leaves_nothing_behind(tmp_path: Path, clock: ManualClock) -> None:
    """Yesterday's backup is not lost to a slip of the pen."""
    with LocalServer(tmp_path / "data", clock):
        kept = back_up(tmp_path / "data", tmp_path / "copy").read_bytes()

        with pytest.raises(ConfigError, match="exists already and was left alone"):
            back_up(tmp_path / "data", tmp_path / "copy")
        with pytest.raises(ConfigError, match="there is no database"):
            back_up(tmp_path / "nothing", tmp_path / "other")

    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["rundial.db"]
    assert (tmp_path / "copy/rundial.db").read_bytes() == kept
    assert not (tmp_path / "other").exists()


def test_everything_moves_to_postgresql_and_back(
    tmp_path: Path, clock: ManualClock, postgres: Postgres
) -> None:
    """Either engine shows what the other did, and goes on from there."""
    url = postgres.database()
    with LocalServer(tmp_path / "data", clock) as local:
        record(local, times=3)
        key = local.key
        before = shown(local, key)

    there = _copied("--from", str(tmp_path / "data"), "--to", url)
    with opened(tmp_path / "shared", clock, key, url) as shared:
        assert shown(shared, key) == before
        record(shared, times=3)  # all of it is there already
        assert shown(shared, key)["points"] == before["points"]
        later = otlp.metrics((otlp.resource(_RUN), [otlp.gauge("loss", [otlp.point(3, 42.0, time=1)])]))
        assert shared.export("metrics", later).status == 200
        assert dict(shown(shared, key)["curve"])[3] == 42.0
        moved = shown(shared, key)
    back = _copied("--from", url, "--to", str(tmp_path / "again"))
    with opened(tmp_path / "again", clock, key) as again:
        assert shown(again, key) == moved
        newest = otlp.metrics((otlp.resource(_RUN), [otlp.gauge("loss", [otlp.point(3, 43.0, time=2)])]))
        assert again.export("metrics", newest).status == 200
        assert dict(shown(again, key)["curve"])[3] == 43.0

    assert there["rows"]["points"] == len(before["points"])
    assert back["rows"]["points"] == len(before["points"]) + 1


def test_a_copy_into_what_is_not_empty_changes_nothing(tmp_path: Path, clock: ManualClock) -> None:
    """Two servers' runs are never mixed."""
    for name in ("one", "two"):
        with LocalServer(tmp_path / name, clock) as local:
            record(local)
    before = (tmp_path / "two/rundial.db").read_bytes()

    found = CliRunner().invoke(
        main, ["server", "copy", "--from", str(tmp_path / "one"), "--to", str(tmp_path / "two")]
    )

    assert found.exit_code == 1
    assert "is not empty" in found.output
    assert "nothing was copied" in found.output
    assert (tmp_path / "two/rundial.db").read_bytes() == before


def test_a_copy_that_was_cut_off_is_opened_by_no_server(tmp_path: Path, clock: ManualClock) -> None:
    """Half a store that answers would be taken for a whole one."""
    with LocalServer(tmp_path / "data", clock) as local:
        record(local)
    (tmp_path / "half").mkdir()
    source, target = open_engines(tmp_path / "data"), open_engines(tmp_path / "half")

    def cut(name: str, _done: int, _total: int) -> None:
        if name == points.name:
            raise LookupError("killed")

    with pytest.raises(LookupError):
        copy_all(source, target, on_progress=cut)
    with pytest.raises(ConfigError, match="is not empty"):
        copy_all(source, target)
    source.close()
    target.close()

    with pytest.raises(ConfigError, match="was cut off, so it does not hold everything"):
        LocalServer(tmp_path / "half", clock)


def test_a_copy_reports_every_row_and_moves_every_table(tmp_path: Path, clock: ManualClock) -> None:
    """A table that someone adds is moved without a word about it here."""
    with LocalServer(tmp_path / "data", clock) as local:
        record(local)
    (tmp_path / "copy").mkdir()
    source, target = open_engines(tmp_path / "data"), open_engines(tmp_path / "copy")
    seen: list[tuple[int, int]] = []

    counts = copy_all(source, target, on_progress=lambda _name, done, total: seen.append((done, total)))

    assert seen[-1] == (sum(counts.values()), sum(counts.values()))
    with source.reading.begin() as old, target.reading.begin() as new:
        for table in metadata.sorted_tables:
            columns = [column for column in table.c if column.name != "accepted"]
            query = select(*columns).order_by(*table.primary_key)
            assert new.execute(query).all() == old.execute(query).all(), table.name
    source.close()
    target.close()


def _copied(*options: str) -> dict[str, Any]:
    found = CliRunner().invoke(main, ["server", "copy", *options, "--json"], standalone_mode=False)
    told = json.loads(found.stdout)
    assert told["ok"] is True, found.output
    assert isinstance(told, dict)
    return told
