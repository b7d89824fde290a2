"""A server with a ClickHouse, under what happens to either."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fault.test_server import BATCH, DETAILS, Sender, senders_of, stored
from tests.support.clickhouse import ClickHouseServer, HttpClickHouse
from tests.support.program import ServerProgram
from tests.support.rounds import rounds, scale
from tests.support.server import Caller
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240 * scale())]


def rows_of(server: ServerProgram) -> dict[str, list[int]]:
    """The numbers of the records that are stored, in order, by signal, read from ClickHouse itself."""
    caller = Caller(server.url, server.key)
    run = {"projectId": caller.project_id(), "runId": "run", "format": "jsonl"}
    files = {
        name: caller.post(f"/api/v1/export/{path}/file", run).body.decode().splitlines()
        for name, path in (("points", "metrics"), ("lines", "logs"))
    }
    spans: list[int] = []
    cursor = ""
    while cursor is not None:
        page = caller.get(f"{DETAILS}/run/spans?limit=1000" + (f"&cursor={cursor}" if cursor else "")).json
        spans += [int(each["spanId"], 16) for each in page["spans"]]
        cursor = page["page"]["nextCursor"]
    caller.hang_up()
    return {name: [len(each) for each in lines] for name, lines in files.items()} | {"spans": spans}


def check(server: ServerProgram, senders: list[Sender], *, most: int = 1) -> None:
    """Whether ClickHouse holds what the catalog counts: all that was acknowledged, whole, each once."""
    counted = stored(server)
    for sender in senders:
        batches, rest = divmod(counted[sender.name], BATCH)
        assert rest == 0, f"{sender.name}: half a request is stored"
        assert sender.acknowledged <= batches <= sender.acknowledged + most, sender.name
    found = rows_of(server)
    for signal, name in (("metrics", "points"), ("logs", "lines"), ("traces", "spans")):
        wanted = sum(count for instance, count in counted.items() if instance.startswith(signal))
        assert len(found[name]) == wanted, name
    assert len(set(found["spans"])) == len(found["spans"])


def test_a_server_killed_between_clickhouse_and_its_catalog_has_all_that_it_acknowledged(
    tmp_path: Path,
) -> None:
    """Rows are acknowledged when both have them; a kill -9 at any moment leaves each once, or not at all."""
    rng = random.Random(11)
    everybody: list[Sender] = []
    with ClickHouseServer(tmp_path) as server:
        for turn in range(rounds(2)):
            senders = senders_of(server.program, turn)
            threading.Event().wait(rng.uniform(0.0, 0.4))
            server.program.kill()
            for sender in senders:
                sender.join(30)
            everybody += senders
            server.program.start()

            check(server.program, everybody)


@pytest.mark.parametrize("inserts", ["refused", "lost", "killed"])
def test_a_clickhouse_that_fails_under_load_costs_nothing_that_was_acknowledged(
    tmp_path: Path, inserts: str
) -> None:
    """Whoever is refused sends again, also where the rows had arrived and only the answer was lost."""
    with HttpClickHouse(tmp_path / "events") as clickhouse, _server(tmp_path, clickhouse) as server:
        senders = senders_of(server, 0, keep_on=True)
        _break(clickhouse, inserts)
        wait_until(lambda: all(sender.refused for sender in senders), 60)
        _mend(clickhouse, inserts)
        before = [sender.acknowledged for sender in senders]
        wait_until(lambda: all(map(_is_more, senders, before)), 60)
        for sender in senders:
            sender.end()

        assert {answer[0] for sender in senders for answer in sender.refused} == {503}
        assert all(answer[1] for sender in senders for answer in sender.refused)
        check(server, senders, most=0)


def _server(place: Path, clickhouse: HttpClickHouse) -> ServerProgram:
    return ServerProgram(place / "data", options=("--events", clickhouse.url))


def _is_more(sender: Sender, before: int) -> bool:
    return sender.acknowledged > before


def _break(clickhouse: HttpClickHouse, inserts: str) -> None:
    breaking: dict[str, Callable[[], None]] = {
        "refused": lambda: clickhouse.fail("refused"),
        "lost": lambda: clickhouse.fail("lost"),
        "killed": clickhouse.kill,
    }
    breaking[inserts]()


def _mend(clickhouse: HttpClickHouse, inserts: str) -> None:
    if inserts == "killed":
        clickhouse.start()
    else:
        clickhouse.fail("none")
