"""What ClickHouse holds: what was acknowledged, on disk, whatever became of what was not; and its schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from rundial.server.store.clickhouse.mark import (
    BLOCK,
    FACT,
    SEEN,
    Gap,
    Mark,
    Numbers,
    numbers_of,
    seen_of,
    set_numbers,
)
from rundial.server.store.dialect import set_fact
from rundial.server.store.engine import open_engines
from rundial.server.store.tables import facts
from tests.support import otlp
from tests.support.clickhouse import (
    ClickHouseServer,
    HttpClickHouse,
    events_url,
    inside,
    refused,
    seen,
    tellable,
)
from tests.support.program import ServerProgram
from tests.support.server import Caller

pytestmark = pytest.mark.timeout(240)


def test_rows_that_were_never_acknowledged_are_seen_by_nobody_and_go(tmp_path: Path) -> None:
    """A server killed between ClickHouse and its catalog leaves rows behind; what follows them is right."""
    with ClickHouseServer(tmp_path) as server:
        assert server.export("metrics", otlp.curve("run", "loss", [1.0, 2.0])).status == 200
        server.program.stop()
        inside(
            tmp_path / "events",
            "INSERT INTO points SELECT series, step + 5, instance, time_unix_ns + 1, attempt, 9, 1000000 "
            "FROM points",
        )
        server.start()
        before = server.curve("run", "loss")
        assert server.export("metrics", otlp.curve("run", "loss", [1.0, 2.0, 3.0])).status == 200
        after = server.curve("run", "loss")
        server.program.stop()

    assert (before, after) == ([(0, 1.0), (1, 2.0)], [(0, 1.0), (1, 2.0), (2, 3.0)])
    assert inside(tmp_path / "events", "SELECT count() FROM points WHERE value = 9") == "0"


def test_a_span_that_was_never_acknowledged_as_ended_stays_as_it_was_acknowledged(tmp_path: Path) -> None:
    """ClickHouse merges rows whenever it likes: what was refused takes nothing along that was a success."""
    span = otlp.spans(otlp.resource("run"), [otlp.span(1, "step", is_interrupted=True)])
    with ClickHouseServer(tmp_path) as server:
        assert server.export("traces", span).status == 200
        before = server.spans("run")
        server.program.stop()
        inside(
            tmp_path / "events",
            "INSERT INTO spans SELECT * REPLACE (2 AS state, 1000000 AS n) FROM spans",
        )
        inside(tmp_path / "events", "OPTIMIZE TABLE spans FINAL")
        server.start()

        assert len(before) == 1
        assert server.spans("run") == before


def test_rows_whose_answer_was_lost_are_seen_by_nobody(tmp_path: Path) -> None:
    """What was refused is not shown in between either, whether it is sent again or never."""
    first = [*tellable([1.0], ["one"], ["a"]).items()]
    more = [*tellable([1.0, 2.0], ["one", "two"], ["a", "b"]).items()]
    with HttpClickHouse(tmp_path / "events") as clickhouse:
        options = ("--events", clickhouse.url)
        with ServerProgram(tmp_path / "data", options=options) as program:
            server = Caller(program.url, program.key)
            assert [server.export(*each).status for each in first] == [200] * 3
            before = seen(server)
            clickhouse.fail("lost")
            refused_ones = [(server.export(*each).status, seen(server)) for each in more]
            clickhouse.fail("none")
            other = server.export("metrics", otlp.curve("other", "loss", [5.0])).status
            meanwhile = seen(server)
            again = [server.export(*each).status for each in more]
            after = seen(server)
            server.hang_up()

    assert before == ([(0, 1.0)], ["one"], ["a"])
    assert refused_ones == [(503, before)] * 3
    assert (other, meanwhile, again) == (200, before, [200] * 3)
    assert after == ([(0, 1.0), (1, 2.0)], ["two", "one"], ["a", "b"])


@pytest.mark.parametrize("is_killed", [False, True])
def test_an_insert_that_arrives_after_it_was_given_up_is_seen_by_nobody(
    tmp_path: Path, is_killed: bool
) -> None:
    """A late insert shows in no run, hides nothing, and stops nobody from sending the same again."""
    gone = [*tellable([7.0, 8.0, 9.0], ["seven", "eight", "nine"], ["x", "y", "z"], "gone").items()]
    other = [*tellable([5.0], ["five"], ["o"], "other").items()]
    with HttpClickHouse(tmp_path / "events") as clickhouse:
        options = ("--events", clickhouse.url)
        with ServerProgram(tmp_path / "data", options=options) as program:
            server = Caller(program.url, program.key)
            clickhouse.fail("late")
            assert [server.export(*each).status for each in gone] == [503] * 3
            clickhouse.fail("none")
            server.hang_up()
            if is_killed:
                program.kill()
                program.start()
            server = Caller(program.url, program.key)
            # It is given the ids that the refused run would have had.
            assert [server.export(*each).status for each in other] == [200] * 3
            before = seen(server, "other")
            clickhouse.arrive()
            after = seen(server, "other")
            assert [server.export(*each).status for each in gone] == [200] * 3
            clickhouse.kill()
            for table in ("points", "lines", "spans"):
                inside(tmp_path / "events", f"OPTIMIZE TABLE {table} FINAL")
            clickhouse.start()
            server.hang_up()
            server = Caller(program.url, program.key)
            both = seen(server, "other"), seen(server, "gone")
            server.hang_up()

    assert before == ([(0, 5.0)], ["five"], ["o"])
    assert after == before
    assert both == (before, ([(0, 7.0), (1, 8.0), (2, 9.0)], ["nine", "eight", "seven"], ["x", "y", "z"]))


def test_rows_are_on_disk_when_they_are_acknowledged(tmp_path: Path) -> None:
    """A success outlives a power cut: every table waits for the disk, as SQLite does."""
    with ClickHouseServer(tmp_path) as server:
        assert server.export("metrics", otlp.curve("run", "loss", [1.0])).status == 200
        server.program.stop()
    careless = (
        "SELECT name FROM system.tables WHERE database = 'rundial' AND NOT (engine_full LIKE "
        "'%fsync_after_insert = 1%' AND engine_full LIKE '%fsync_part_directory = 1%' AND engine_full LIKE "
        "'%min_rows_to_fsync_after_merge = 1%')"
    )

    assert inside(tmp_path / "events", careless) == ""


def test_an_insert_is_not_left_in_memory_by_what_a_users_profile_says(tmp_path: Path) -> None:
    """`async_insert` without waiting answers before anything is stored; ours are never such."""
    requests = tellable([1.0, 2.0], ["one", "two"], ["a", "b"])
    with HttpClickHouse(tmp_path / "events") as clickhouse:
        clickhouse.fail("async")
        options = ("--events", clickhouse.url)
        with ServerProgram(tmp_path / "data", options=options) as program:
            server = Caller(program.url, program.key)
            assert [server.export(*each).status for each in requests.items()] == [200] * 3
            found = seen(server)
            server.hang_up()

    assert found == ([(0, 1.0), (1, 2.0)], ["two", "one"], ["a", "b"])


DEFINITIONS = (
    "SELECT name, sorting_key, engine_full FROM system.tables WHERE database = 'rundial' ORDER BY name"
)


FIRST_SCHEMA = (
    *(
        part
        for table, engine, key in (
            ("points", "ReplacingMergeTree", "series, step, instance, time_unix_ns"),
            ("lines", "ReplacingMergeTree", "run, time_unix_ns, instance, seq"),
            ("spans", "ReplacingMergeTree(state)", "run, trace_id, span_id"),
        )
        for part in (
            f"CREATE TABLE first AS {table} ENGINE = {engine} ORDER BY ({key})",
            f"INSERT INTO first SELECT * FROM {table}",
            f"DROP TABLE {table}",
            f"RENAME TABLE first TO {table}",
        )
    ),
    "DROP TABLE schema_version",
    # What a kill in the middle leaves.
    "CREATE TABLE spans_new AS spans",
    "INSERT INTO spans_new SELECT * FROM spans",
)


def test_tables_of_the_first_schema_become_those_of_this_one_with_all_rows(tmp_path: Path) -> None:
    """A start of a newer version loses no row, also when the one before it was killed half-way."""
    requests = tellable([1.0, 2.0], ["one", "two"], ["a", "b"])
    with ClickHouseServer(tmp_path) as server:
        assert [server.export(*each).status for each in requests.items()] == [200] * 3
        before = seen(server)
        server.program.stop()
        wanted = inside(tmp_path / "events", DEFINITIONS)
        for statement in FIRST_SCHEMA:
            inside(tmp_path / "events", statement)
        server.start()
        after = seen(server)
        assert [server.export(*each).status for each in requests.items()] == [200] * 3
        again = seen(server)
        server.program.stop()

    assert (after, again) == (before, before)
    assert inside(tmp_path / "events", DEFINITIONS) == wanted


def test_tables_of_a_newer_schema_are_left_alone(tmp_path: Path) -> None:
    """An older server does not write what a newer one would misread."""
    with ClickHouseServer(tmp_path) as server:
        server.program.stop()
    inside(tmp_path / "events", "INSERT INTO schema_version VALUES (1000)")

    said = refused(tmp_path / "data", "--events", events_url(tmp_path / "events"))

    assert "was made by a newer server: its schema is 1000, and this one knows 2; nothing was changed" in said


DAY_S = 86_400


def test_numbers_that_were_given_up_again_and_again_are_one_gap() -> None:
    """An outage of a thousand inserts, over any number of restarts, costs a query one comparison."""
    numbers = Numbers().moved(Mark(10, 0, 5))
    for turn, greatest in enumerate((Mark(20, 0, 5), Mark(30, 7, 5), Mark(90, 7, 6)), 1):
        numbers = numbers.given_up(greatest, turn)

    assert numbers.gaps == ((Gap(10, 90, 3),), (Gap(0, 7, 3),), (Gap(5, 6, 3),))
    assert seen_of(numbers.moved(Mark(95, 7, 7)), "points").only(f"WHERE {SEEN} LIMIT 1") == (
        "WHERE n <= 95 AND n NOT BETWEEN 11 AND 90 LIMIT 1"
    )


def test_a_gap_is_kept_for_a_day() -> None:
    """No request lasts so long; what never ends would make every query longer."""
    early = Numbers().given_up(Mark(points=3), 0).moved(Mark(points=9))
    assert early.given_up(Mark(points=9), DAY_S - 1).gaps[0] == (Gap(0, 3, 0),)
    assert early.given_up(Mark(points=12), DAY_S).gaps[0] == (Gap(9, 12, DAY_S),)


def test_a_process_uses_no_number_that_the_next_one_would_take_for_its_own() -> None:
    """What a process may use is written before it does, and the next one begins behind that."""
    numbers = Numbers().reserved(Mark())

    assert numbers.has_room(Mark(BLOCK, 1, 1))
    assert not numbers.has_room(Mark(0, BLOCK + 1, 0))


def test_a_mark_of_the_first_schema_is_read(tmp_path: Path) -> None:
    """A catalog of before there were gaps says the mark alone."""
    engines = open_engines(tmp_path)
    with engines.writing.begin() as connection:
        set_fact(connection, facts, FACT, "5 6 7")
        old = numbers_of(connection)
        set_numbers(connection, old.given_up(Mark(8, 6, 7), 1))
        new = numbers_of(connection)
    engines.close()

    assert (old.mark, old.gaps) == (Mark(5, 6, 7), ((), (), ()))
    assert old.given == Mark(BLOCK + 5, BLOCK + 6, BLOCK + 7)
    assert new == old.given_up(Mark(8, 6, 7), 1)
