"""The server under what happens to servers: killed, full, doubled, out of time, left in the middle."""

from __future__ import annotations

import json
import random
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3
from urllib3.exceptions import HTTPError

from tests.support import otlp
from tests.support.clock import ManualClock
from tests.support.mounts import mounted
from tests.support.program import ServerProgram
from tests.support.rounds import rounds, scale
from tests.support.server import PROTOBUF, LocalServer
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120 * scale())]

BATCH = 40
DETAILS = "/api/v1/workspaces/default-workspace/projects/digits/runs"
NEXT_TO_NOTHING = 4096
HOUR_NS = 3600 * 10**9
Answer = tuple[int, str]


class Sender(threading.Thread):
    """Sends batches of points, lines or spans as fast as they are acknowledged, until the server is gone.

    Attributes:
        acknowledged: Batches that were answered with 200.
        refused: Statuses of the others.
    """

    def __init__(self, server: ServerProgram, instance: str, signal: str, *, keep_on: bool = False) -> None:
        super().__init__(name=instance)
        self._url = f"{server.url}/v1/{signal}"
        self._headers = {"authorization": f"Bearer {server.key}", "content-type": PROTOBUF}
        self._signal = signal
        self._keeps_on = keep_on
        self._is_over = threading.Event()
        self.acknowledged = 0
        self.refused: list[Answer] = []
        self.has_some = threading.Event()

    def run(self) -> None:
        """Send."""
        with urllib3.PoolManager(retries=False, timeout=20.0) as pool:
            while not self._is_over.is_set():
                body = batch(self.name, self._signal, self.acknowledged)
                try:
                    answer = pool.request("POST", self._url, body=body, headers=self._headers)
                except HTTPError:
                    return
                if answer.status == 200:
                    self.acknowledged += 1
                    if self.acknowledged == 3:
                        self.has_some.set()
                else:
                    self.refused.append((answer.status, answer.headers.get("retry-after", "")))
                    if not self._keeps_on:
                        return

    def end(self) -> None:
        """Send nothing more."""
        self._is_over.set()
        self.join(30)


def batch(instance: str, signal: str, number: int) -> bytes:
    """A request of records that no other request holds."""
    owner = otlp.resource("run", instance=instance)
    numbers = range(number * BATCH, (number + 1) * BATCH)
    if signal == "metrics":
        points = [otlp.point(step, float(step)) for step in numbers]
        return otlp.metrics((owner, [otlp.gauge(f"loss/{instance}", points)]))
    if signal == "logs":
        return otlp.logs(owner, [otlp.line(seq, secrets.token_hex(64)) for seq in numbers])
    first = int.from_bytes(instance.encode()[-4:], "big") << 24
    return otlp.spans(owner, [otlp.span(first + each, "step") for each in numbers])


def stored(server: ServerProgram) -> dict[str, int]:
    """How many records of each instance are stored, of whatever signal."""
    instances = server.get(f"{DETAILS}/run")["instances"]
    assert isinstance(instances, list)
    return {each["instanceId"]: sum(each["counts"].values()) for each in instances}


def check(server: ServerProgram, senders: list[Sender]) -> None:
    """Whether what was acknowledged is stored, whole batches alone, and at most one that was not."""
    found = stored(server)
    for sender in senders:
        # One more batch may have been committed whose answer never came; it is whole, or not there.
        batches, rest = divmod(found[sender.name], BATCH)
        assert rest == 0, f"{sender.name}: half a request is stored"
        assert batches in (sender.acknowledged, sender.acknowledged + 1), sender.name


def senders_of(server: ServerProgram, turn: int, *, keep_on: bool = False) -> list[Sender]:
    """One for each signal, started, each with some batches acknowledged."""
    signals = ("metrics", "logs", "traces")
    senders = [Sender(server, f"{signal}-{turn}", signal, keep_on=keep_on) for signal in signals]
    for sender in senders:
        sender.start()
    for sender in senders:
        assert sender.has_some.wait(30)
    return senders


def test_a_server_killed_under_load_has_all_that_it_acknowledged(server: ServerProgram) -> None:
    """A 200 makes the client delete its copy: what it stands for survives every kill -9, whole."""
    rng = random.Random(7)
    everybody: list[Sender] = []
    for turn in range(rounds(2)):
        senders = senders_of(server, turn)
        threading.Event().wait(rng.uniform(0.0, 0.4))
        server.kill()
        for sender in senders:
            sender.join(30)
        everybody += senders
        server.start()

        check(server, everybody)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A real file system of a few mebibytes."""
    with mounted(tmp_path / "small", "tmpfs", "size=6m") as place:
        yield place


def test_a_full_disk_is_answered_503_and_nothing_half_written_and_mends_itself(
    small: Path, home: Path
) -> None:
    """What was acknowledged is stored, nothing is in part; with room again the server goes on by itself."""
    filler = small / "filler"
    with ServerProgram(small / "data") as server:
        for turn in range(rounds(1)):
            starve(server, senders_of(server, turn, keep_on=True), filler)
        assert "sqlalche.me" not in server.output  # no statement, so nobody's data, in the log


def starve(server: ServerProgram, senders: list[Sender], filler: Path) -> None:
    """Fill the disk under the senders, and give it room again."""
    fill(filler)
    wait_until(lambda: all(len(each.refused) >= 2 for each in senders), 60)
    refused = {answer for sender in senders for answer in sender.refused}
    health = [status(server, path) for path in ("/health/live", "/health/ready")]

    filler.unlink()
    go_on(senders)
    for sender in senders:
        sender.end()

    assert {answer[0] for answer in refused} == {503}
    assert all(int(answer[1]) >= 1 for answer in refused)
    assert health == [200, 503]
    wait_until(lambda: status(server, "/health/ready") == 200, 30)
    check(server, senders)


def go_on(senders: list[Sender]) -> None:
    """Wait until each has one more batch acknowledged."""
    known = [sender.acknowledged for sender in senders]
    wait_until(lambda: all(each.acknowledged > was for each, was in zip(senders, known, strict=True)), 60)


def fill(filler: Path) -> None:
    """Take all the room that is left."""
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        for size in (1 << 16, NEXT_TO_NOTHING):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def status(server: ServerProgram, path: str) -> int:
    """The status of a GET without a key."""
    with urllib3.PoolManager(retries=False, timeout=20.0) as pool:
        return pool.request("GET", server.url + path).status


def test_a_second_server_on_the_same_data_refuses_in_words_and_the_first_goes_on(
    server: ServerProgram,
) -> None:
    """Two servers never write one SQLite directory; the second says which one is used and what to do."""
    command = [sys.executable, "-m", "rundial.server", "--port", "0", "--data", str(server.data)]
    senders = senders_of(server, 0)
    for _ in range(rounds(1)):
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

        assert second.returncode != 0
        assert f"another server is using {server.data}" in second.stderr
        assert "Traceback" not in second.stderr
    for sender in senders:
        sender.end()
    check(server, senders)


@pytest.mark.parametrize("jump_ns", [HOUR_NS, -HOUR_NS, 365 * 24 * HOUR_NS, -365 * 24 * HOUR_NS])
def test_a_clock_that_jumps_costs_no_record_and_ends_no_run_for_good(
    tmp_path: Path, clock: ManualClock, jump_ns: int
) -> None:
    """Records before and after the jump are stored and shown in order; a run that speaks is running."""
    with LocalServer(tmp_path / "data", clock) as local:
        for turn in range(2):
            now_ns = clock.time_unix_ns()
            owner = otlp.resource("run")
            points = [otlp.point(turn, float(turn), time=now_ns)]
            beat = otlp.event(turn, "rundial.run.heartbeat", {}, time=now_ns)
            line = otlp.line(100 + turn, f"line {turn}", time=now_ns)
            assert local.export("metrics", otlp.metrics((owner, [otlp.gauge("loss", points)]))).status == 200
            assert local.export("logs", otlp.logs(owner, [beat, line])).status == 200
            assert local.details("run")["status"] == "running"
            clock.jump_wall(jump_ns / 1e9)

        assert local.curve("run", "loss") == [(0, 0.0), (1, 1.0)]
        assert local.details("run")["counts"] == {"points": 2, "lines": 2, "spans": 0}
        # Sent again, by whatever clock: nothing changes.
        assert local.export("logs", otlp.logs(owner, [beat, line])).status == 200
        assert local.details("run")["counts"]["lines"] == 2


def test_clients_that_leave_in_the_middle_of_a_body_cost_nobody_anything(server: ServerProgram) -> None:
    """Of half a request nothing is stored, and the others are answered meanwhile."""
    senders = senders_of(server, 0)
    url = urlsplit(server.url)
    leaving = batch("leaving", "metrics", 0)
    head = (
        f"POST /v1/metrics HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {server.key}\r\n"
        f"content-type: {PROTOBUF}\r\ncontent-length: {len(leaving)}\r\n\r\n"
    ).encode()
    rng = random.Random(3)
    for _ in range(rounds(50)):
        with closing(socket.create_connection((url.hostname, url.port), timeout=20)) as client:
            client.sendall(head + leaving[: rng.randrange(len(leaving))])
    go_on(senders)
    for sender in senders:
        sender.end()

    check(server, senders)
    assert "leaving" not in json.dumps(stored(server))
