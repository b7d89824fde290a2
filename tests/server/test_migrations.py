"""Databases of earlier versions: brought up by numbered steps, whole or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, inspect, select, update

from rundial.errors import ConfigError
from rundial.server.store.engine import Engines, open_engines
from rundial.server.store.eval_tables import eval_runs, eval_suites
from rundial.server.store.inserts import MOST_OF_A_MEAN
from rundial.server.store.migrations import m0023_means, m0027_eval_order, m0028_accepted
from rundial.server.store.migrations.changes import add_column, create
from rundial.server.store.migrations.ladder import FIRST, STEPS, Step, bring_up
from rundial.server.store.tables import facts, schema_migrations, series
from tests.conftest import ROOT
from tests.support import otlp
from tests.support.following import following
from tests.support.server import LocalServer

SCHEMA_1 = (ROOT / "tests/support/schema1.sql").read_text("utf-8")
NEWEST = max((step.number for step in STEPS), default=FIRST)


def first_version(data: Path) -> Path:
    """A database as the first version made it, with a run in it."""
    path = data / "rundial.db"
    database = sqlite3.connect(path)
    database.executescript(SCHEMA_1)
    database.executescript(
        """
        INSERT INTO workspaces VALUES (1, 'lab', 'Lab', 1);
        INSERT INTO projects VALUES (1, 'prj_1', 1, 'digits', 'digits', 1);
        INSERT INTO runs VALUES (1, 1, 'night', 0,
          '{"attempt":1,"started":5,"finish":null,"fields":{},"config":{},"summary":{}}',
          'one', 5, 'Night', 'training', 'running', 5, 6, 0);
        """
    )
    database.commit()
    database.close()
    return path


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Engines]:
    """A database of the first version, opened by this one."""
    first_version(tmp_path)
    opened = open_engines(tmp_path)
    yield opened
    opened.close()


def shape(connection: Connection) -> dict[str, object]:
    """Every table with its columns and indexes, whatever the order in which they were made."""
    look = inspect(connection)
    return {
        name: (
            {each["name"]: (str(each["type"]), each["nullable"]) for each in look.get_columns(name)},
            {str(each["name"]): each["column_names"] for each in look.get_indexes(name)},
        )
        for name in look.get_table_names()
    }


def test_a_database_of_the_first_version_becomes_what_an_empty_one_gets(
    engines: Engines, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whoever installed early has the same tables as whoever installed today."""
    fresh = open_engines(tmp_path_factory.mktemp("fresh"))

    with engines.reading.begin() as old, fresh.reading.begin() as new:
        assert shape(old) == shape(new)
        steps = select(schema_migrations.c.number).order_by(schema_migrations.c.number)
        assert old.execute(steps).all() == new.execute(steps).all()
    fresh.close()


def test_what_the_first_version_stored_is_there(engines: Engines) -> None:
    """An upgrade costs no run."""
    with engines.reading.begin() as connection:
        found = connection.exec_driver_sql("SELECT run_id, name FROM runs").all()

    assert found == [("night", "Night")]


def test_means_are_filled_in_from_the_points_that_are_there(local: LocalServer) -> None:
    """A run table's means are right after an upgrade, also where their sum is no float any more."""
    for name, values in {"plain": [1.0, 2.0, 6.0], "great": [1e308, 1e308], "small": [5e-324]}.items():
        assert local.export("metrics", otlp.curve("run", name, values)).status == 200

    def upgrade(connection: Connection) -> dict[str, float]:
        connection.execute(update(series).values(mean_value=None))
        m0023_means.upgrade(connection)
        return dict(connection.execute(select(series.c.name, series.c.mean_value)).all())

    means = local.services.writer.submit(upgrade).result(10)

    assert means == {"plain": 3.0, "great": MOST_OF_A_MEAN, "small": pytest.approx(0.0)}


def test_what_was_said_of_evaluations_before_an_upgrade_stands_until_later_is_said(
    local: LocalServer,
) -> None:
    """A start that is sent again, from before the upgrade, changes nothing; a later one does."""

    def start(model: str, at: int, **suite: str) -> None:
        body = {"eval_run_id": "night", "config": {"model": model}, **suite}
        told = otlp.event(at, "rundial.eval.start", body, time=otlp.T0 + at)
        assert local.export("logs", otlp.logs(otlp.resource("run"), [told])).status == 200

    def shown() -> tuple[str, str]:
        path = "/api/v1/workspaces/default-workspace/projects/digits/evals/runs/night"
        found = local.get(path).json
        return found["config"]["model"], found["suiteName"]

    def upgrade(connection: Connection) -> None:
        for column in (eval_suites.c.said_unix_ns, eval_runs.c.said_unix_ns, eval_runs.c.suite_unix_ns):
            connection.exec_driver_sql(f"ALTER TABLE {column.table.name} DROP COLUMN {column.name}")
        m0027_eval_order.upgrade(connection)

    start("kept", 20, suite_id="s", suite_name="kept")
    local.services.writer.submit(upgrade).result(10)
    start("early", 10, suite_id="s", suite_name="early")
    before = shown()
    start("late", 30, suite_id="s", suite_name="late")

    assert (before, shown()) == (("kept", "kept"), ("late", "late"))


def test_each_missing_step_is_taken_once_in_order(tmp_path: Path) -> None:
    """A step never meets a database that has it already."""
    taken: list[int] = []

    def step(number: int) -> Step:
        return Step(NEWEST + number, f"step {number}", lambda _connection: taken.append(number))

    steps = [step(1), step(2), step(3)]
    engines = open_engines(tmp_path)
    with engines.writing.begin() as connection:
        bring_up(connection, where="here", steps=[*STEPS, steps[1]])

    with engines.writing.begin() as connection:
        bring_up(connection, where="here", steps=[*STEPS, *steps])
        bring_up(connection, where="here", steps=[*STEPS, *steps])

    assert taken == [2, 1, 3]
    engines.close()


def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    """Half an upgrade would be a database that no version knows."""
    path = first_version(tmp_path)
    table = Table("extra", MetaData(), Column("id", Integer, primary_key=True))

    def fails(connection: Connection) -> None:
        create(connection, table)
        raise LookupError("no room")

    engines = open_engines(tmp_path)
    with pytest.raises(LookupError), engines.writing.begin() as connection:
        bring_up(connection, where="here", steps=[*STEPS, Step(NEWEST + 1, "extra", fails)])

    with engines.reading.begin() as connection:
        assert "extra" not in inspect(connection).get_table_names()
        numbers = set(connection.execute(select(schema_migrations.c.number)).scalars())
    assert NEWEST + 1 not in numbers
    assert path.exists()
    engines.close()


def test_a_column_is_added_with_its_default_and_only_once(tmp_path: Path) -> None:
    """Rows that are there get the value; taking the step again changes nothing."""
    engines = open_engines(tmp_path)
    held = MetaData()
    plain = Table("extra", held, Column("id", Integer, primary_key=True))
    wider = Table(
        "extra",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("note", Text, nullable=False, server_default="none", index=True),
    )
    with engines.writing.begin() as connection:
        create(connection, plain)
        connection.execute(plain.insert().values(id=1))

        add_column(connection, wider.c.note)
        add_column(connection, wider.c.note)

        assert connection.execute(select(wider)).all() == [(1, "none")]
        assert [each["column_names"] for each in inspect(connection).get_indexes("extra")] == [["note"]]
    engines.close()


@pytest.mark.parametrize("is_recorded", [False, True])
def test_a_newer_schema_is_refused_in_words_and_left_alone(tmp_path: Path, is_recorded: bool) -> None:
    """An older server never writes into what it does not understand."""
    engines = open_engines(tmp_path)
    with engines.writing.begin() as connection:
        connection.execute(facts.update().where(facts.c.name == "schema").values(value="999"))
        if is_recorded:
            connection.execute(schema_migrations.insert().values(number=999, name="later"))
        else:
            connection.execute(schema_migrations.delete())
    engines.close()
    before = (tmp_path / "rundial.db").read_bytes()

    with pytest.raises(ConfigError, match=rf"has schema 999, this server knows up to {NEWEST}; nothing was"):
        open_engines(tmp_path)

    assert (tmp_path / "rundial.db").read_bytes() == before


def test_a_schema_from_before_the_steps_reads_as_newer_for_the_first_version(engines: Engines) -> None:
    """The first version compares one number, and refuses a database that has more than it knows."""
    with engines.reading.begin() as connection:
        assert connection.execute(select(facts.c.value).where(facts.c.name == "schema")).scalar() == str(
            NEWEST
        )


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ("mysql://root:hunter2@host/x", r"mysql://root:\*\*\*@host/x.*is no database that this server knows"),
        ("not a url", "--database is no URL"),
        ("sqlite:///no/such/directory/file.db", "no/such/directory/file.db cannot be used: No such file"),
    ],
)
def test_a_database_that_cannot_be_is_refused_without_its_password(
    tmp_path: Path, database: str, said: str
) -> None:
    """The message says what to write, and a password is in no terminal's history."""
    with pytest.raises(ConfigError, match=said) as caught:
        open_engines(tmp_path, database)

    assert "hunter2" not in str(caught.value)


def test_a_stream_after_an_upgrade_tells_what_is_new_from_what_was_there(local: LocalServer) -> None:
    """Series of before know how far their points are numbered."""
    assert local.export("metrics", otlp.curve("r", "loss", [1.0, 2.0])).status == 200

    def upgrade(connection: Connection) -> None:
        connection.execute(update(series).values(accepted=0))
        m0028_accepted.upgrade(connection)

    local.services.writer.submit(upgrade).result(10)
    with following(local, "/api/v1/stream/metrics", "r") as found:
        place = next(found)["id"]
    assert local.export("metrics", otlp.curve("r", "loss", [1.0, 2.0, 3.0])).status == 200

    with following(local, "/api/v1/stream/metrics", "r", last=place, follow="false") as found:
        told = [each["data"] for each in found if each["event"] == "points"]
    assert [[row[3] for row in each["rows"]] for each in told] == [[3.0]]
