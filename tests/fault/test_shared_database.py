"""Several servers on one PostgreSQL, behind a proxy, and a PostgreSQL that goes away and comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import urllib3

import rundial as rd
from rundial.api.client import Client
from tests.support import otlp
from tests.support.nginx import Nginx
from tests.support.postgres import Postgres
from tests.support.program import ServerProgram
from tests.support.stored import read

pytestmark = pytest.mark.fault

_PROJECT = "digits"
_STEPS = 20


class Cluster:
    """Two server processes on one database, and a proxy before them.

    Attributes:
        url: The proxy's.
        key: The owner's key, which every server takes.
        servers: The processes.
    """

    def __init__(self, stack: ExitStack, place: Path, database: str) -> None:
        options = ("--database", database)
        first = stack.enter_context(ServerProgram(place / "one", options=options))
        self.servers = [first, stack.enter_context(ServerProgram(place / "two", options=options))]
        self.key = first.key
        (place / "nginx").mkdir()
        self.url = stack.enter_context(Nginx(place / "nginx", [each.url for each in self.servers])).url

    def send(self, signal: str, body: bytes, pool: urllib3.PoolManager) -> int:
        """POST an OTLP body to whichever server is next and return the status."""
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/x-protobuf"}
        return pool.request("POST", f"{self.url}/v1/{signal}", body=body, headers=headers).status

    def client(self) -> Client:
        """A client of the proxy."""
        return Client(endpoint=self.url, api_key=self.key)


@pytest.fixture
def cluster(tmp_path: Path, postgres: Postgres) -> Iterator[Cluster]:
    """Two servers that share an empty database."""
    with ExitStack() as stack:
        yield Cluster(stack, tmp_path, postgres.database())


class Sender:
    """Sends the points of one instance of each of some runs in turn, until it is stopped.

    What is not acknowledged is sent again, as a client does.

    Attributes:
        instance: Who it is.
        acknowledged: Requests that were answered with 200, for each run.
        refused: How many were answered otherwise, or not at all.
    """

    def __init__(self, cluster: Cluster, instance: str, runs: list[str], batches: int | None) -> None:
        self.acknowledged = dict.fromkeys(runs, 0)
        self.refused = 0
        self._cluster, self.instance, self._batches = cluster, instance, batches
        self._stop = threading.Event()
        self._has_moved = threading.Condition()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def wait_for(self, requests: int) -> None:
        """Wait until so many more requests are acknowledged."""
        with self._has_moved:
            goal = sum(self.acknowledged.values()) + requests
            assert self._has_moved.wait_for(lambda: sum(self.acknowledged.values()) >= goal, 60)

    def wait_for_refusal(self) -> None:
        """Wait until a request of it was refused."""
        with self._has_moved:
            assert self._has_moved.wait_for(lambda: self.refused > 0, 60)

    def stop(self) -> None:
        """Stop after the request that is on its way."""
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Wait until everything is acknowledged, or `stop` was called."""
        self._thread.join(90)
        assert not self._thread.is_alive()

    def _work(self) -> None:
        with urllib3.PoolManager(retries=False, timeout=30.0) as pool:
            while not self._stop.is_set() and self._batches != min(self.acknowledged.values()):
                for run, batch in self.acknowledged.items():
                    if self._is_taken(pool, run, batch):
                        with self._has_moved:
                            self.acknowledged[run] += 1
                            self._has_moved.notify_all()
                    else:
                        with self._has_moved:
                            self.refused += 1
                            self._has_moved.notify_all()
                        self._stop.wait(0.05)

    def _is_taken(self, pool: urllib3.PoolManager, run: str, batch: int) -> bool:
        first = batch * _STEPS
        points = [otlp.point(step, float(step)) for step in range(first, first + _STEPS)]
        body = otlp.metrics((otlp.resource(run, instance=self.instance), [otlp.gauge("loss", points)]))
        try:
            return self._cluster.send("metrics", body, pool) == 200
        except urllib3.exceptions.HTTPError:
            return False


def stored(cluster: Cluster, run: str, server: int = 0) -> tuple[dict[str, int], int]:
    """Points of each instance of a run, and how many its series says that it has, as one server sees it."""
    live = cluster.servers[server]
    details: Any = _get(
        live, cluster.key, f"/api/v1/workspaces/default-workspace/projects/{_PROJECT}/runs/{run}"
    )
    counts = {each["instanceId"]: each["counts"]["points"] for each in details["instances"]}
    path = f"/api/v1/metrics/keys?projectId={details['projectId']}&runId={run}"
    keys: Any = _get(live, cluster.key, path)
    return counts, sum(each["count"] for each in keys["keys"])


def _get(server: ServerProgram, key: str, path: str) -> Any:
    with urllib3.PoolManager(retries=False, timeout=30.0) as pool:
        answer = pool.request("GET", server.url + path, headers={"authorization": f"Bearer {key}"})
        assert answer.status == 200, answer.data
        return answer.json()


def test_two_servers_take_one_run_at_once_and_count_each_point_once(cluster: Cluster) -> None:
    """Whichever server a request reaches, the run, its series and its counts are one."""
    runs = ["night", "noon", "dawn"]
    # The runs in another order for each sender, which is how locks come to wait in a ring.
    senders = [
        Sender(cluster, f"rank-{rank}", runs[rank % 3 :] + runs[: rank % 3], batches=8) for rank in range(4)
    ]
    for sender in senders:
        sender.join()

    expected = {f"rank-{rank}": 8 * _STEPS for rank in range(4)}
    for run in runs:
        for server in range(2):
            assert stored(cluster, run, server) == (expected, 4 * 8 * _STEPS)
    assert [sender.refused for sender in senders] == [0, 0, 0, 0]


def test_a_run_recorded_through_the_proxy_is_complete(cluster: Cluster, tmp_path: Path) -> None:
    """Start, records, config and finish of one run reach different servers and make one run."""
    run = rd.init(
        project=_PROJECT, endpoint=cluster.url, api_key=cluster.key, spool_directory=str(tmp_path / "spool")
    )
    for step in range(500):
        run.log({"loss": 1 / (1 + step), "accuracy": step / 500}, step=step)
        if step % 100 == 0:
            run.log_text(f"step {step}")
            run.flush(30)
    run.finish(timeout_seconds=60)

    with cluster.client() as client:
        found = read(client, _PROJECT, run.run_id)

    assert found.details["status"] == "completed"
    assert found.details["ledger"]["complete"] is True
    assert sorted(found.points) == sorted(
        [("loss", step, 1 / (1 + step)) for step in range(500)]
        + [("accuracy", step, step / 500) for step in range(500)]
    )
    assert found.lines == [f"step {step}" for step in range(0, 500, 100)]


def test_points_that_one_server_took_after_the_other_show(cluster: Cluster) -> None:
    """Of several points at a step the one accepted last shows, though each server counts by itself."""
    shown = []
    # Asked past the proxy, so that the records go to one server and the other in turn.
    with (
        urllib3.PoolManager(retries=False, timeout=30.0) as pool,
        Client(endpoint=cluster.servers[0].url, api_key=cluster.key) as client,
    ):
        for place in range(6):
            point = otlp.point(7, float(place), time=100 - place)
            body = otlp.metrics((otlp.resource("night"), [otlp.gauge("loss", [point])]))
            assert cluster.send("metrics", body, pool) == 200
            details: Any = client.get_run_details(
                workspace_slug="default-workspace", project_slug=_PROJECT, run_id="night"
            )
            series: Any = client.query_series(
                project_id=details["projectId"],
                run_id="night",
                metric_keys=["loss"],
                max_points_per_series=10,
            )
            shown.append([point["value"] for point in series["series"][0]["points"]])

    assert shown == [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]]


def test_what_two_servers_are_told_of_a_run_at_once_is_all_kept(cluster: Cluster) -> None:
    """A run's config is read, added to and written back by one server at a time."""
    with urllib3.PoolManager(retries=False, timeout=30.0) as pool:
        body = otlp.metrics((otlp.resource("night"), [otlp.gauge("loss", [otlp.point(1, 1.0)])]))
        assert cluster.send("metrics", body, pool) == 200

    def write(server: int) -> None:
        with Client(endpoint=cluster.servers[server].url, api_key=cluster.key) as client:
            for number in range(15):
                client.update_run_config(run_id="night", config={f"from-{server}-{number}": number})

    writers = [threading.Thread(target=write, args=(server,)) for server in range(2)]
    for each in writers:
        each.start()
    for each in writers:
        each.join(60)

    path = f"/api/v1/workspaces/default-workspace/projects/{_PROJECT}/runs/night"
    config = _get(cluster.servers[0], cluster.key, path)["config"]
    assert config == {f"from-{server}-{number}": number for server in range(2) for number in range(15)}


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgresql_restarted_under_load_loses_nothing_that_was_acknowledged(
    tmp_path: Path, mode: str
) -> None:
    """Requests are refused while it is away; afterwards both servers go on by themselves."""
    with ExitStack() as stack:
        postgres = stack.enter_context(Postgres())
        cluster = Cluster(stack, tmp_path, postgres.database())
        senders = [Sender(cluster, f"rank-{rank}", ["night", "noon"], batches=None) for rank in range(3)]
        for sender in senders:
            sender.wait_for(2)

        postgres.stop(mode)  # type: ignore[arg-type] # one of the two words above
        for sender in senders:
            sender.wait_for_refusal()
        postgres.start()
        for sender in senders:
            sender.wait_for(6)
            sender.stop()

        for run in ("night", "noon"):
            counts, counted = stored(cluster, run)
            for sender in senders:
                batches, rest = divmod(counts[sender.instance], _STEPS)
                # One more may be stored whose answer was lost.
                assert rest == 0
                assert batches - sender.acknowledged[run] in (0, 1)
            assert counted == sum(counts.values())


def test_a_server_killed_under_load_loses_nothing_and_the_other_goes_on(cluster: Cluster) -> None:
    """What a server acknowledged is in the database; what it did not, its clients send to the other."""
    senders = [Sender(cluster, f"rank-{rank}", ["night", "noon"], batches=None) for rank in range(3)]
    for sender in senders:
        sender.wait_for(2)

    cluster.servers[0].kill()
    for sender in senders:
        sender.wait_for(6)
        sender.stop()

    for run in ("night", "noon"):
        counts, counted = stored(cluster, run, server=1)
        for sender in senders:
            batches, rest = divmod(counts[sender.instance], _STEPS)
            assert rest == 0
            assert batches - sender.acknowledged[run] in (0, 1)
        assert counted == sum(counts.values())


def test_two_servers_that_start_at_once_make_one_workspace_and_one_owner(
    tmp_path: Path, postgres: Postgres
) -> None:
    """The first start happens once, whoever comes first."""
    database = postgres.database()
    servers = [ServerProgram(tmp_path / f"{n}", options=("--database", database)) for n in range(2)]
    starts = [threading.Thread(target=each.start) for each in servers]
    for start in starts:
        start.start()
    for start in starts:
        start.join(60)

    try:
        owners = [each for each in servers if (each.data / "owner.key").exists()]
        ids = {_get(each, owners[0].key, "/health/ready")["serverId"] for each in servers}
        found = [_get(each, owners[0].key, "/api/v1/workspaces")["workspaces"] for each in servers]
        assert (len(owners), len(ids)) == (1, 1)
        assert found[0] == found[1]
    finally:
        for each in servers:
            each.kill()
