"""The server as a process: killed, stopped, started again on the same data."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic

import pytest
import urllib3
from urllib3.exceptions import HTTPError

from tests.support import otlp
from tests.support.program import ServerProgram
from tests.support.waiting import wait_until

pytestmark = pytest.mark.fault

_STEPS = 40


def _request(run: str, instance: str, batch: int) -> bytes:
    """Batch number `batch` of an instance: steps that no other batch holds."""
    points = [otlp.point(step, float(step)) for step in range(batch * _STEPS, (batch + 1) * _STEPS)]
    return otlp.metrics((otlp.resource(run, instance=instance), [otlp.gauge("loss", points)]))


class _Sender(threading.Thread):
    """Sends batches as fast as they are acknowledged, until the server is gone.

    Attributes:
        acknowledged: Batches that were answered with 200.
    """

    def __init__(self, url: str, key: str, instance: str) -> None:
        super().__init__(name=f"sender-{instance}")
        self._url = f"{url}/v1/metrics"
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/x-protobuf"}
        self._instance = instance
        self.acknowledged = 0
        self.has_some = threading.Event()

    def run(self) -> None:
        """Send."""
        with urllib3.PoolManager(retries=False, timeout=10.0) as pool:
            while True:
                body = _request("run", self._instance, self.acknowledged)
                try:
                    answer = pool.request("POST", self._url, body=body, headers=self._headers)
                except HTTPError:
                    return
                if answer.status != 200:
                    return
                self.acknowledged += 1
                if self.acknowledged == 3:
                    self.has_some.set()


def _stored(server: ServerProgram) -> dict[str, int]:
    """How many points of each instance are stored."""
    details = server.get("/api/v1/workspaces/default-workspace/projects/digits/runs/run")
    instances = details["instances"]
    assert isinstance(instances, list)
    return {each["instanceId"]: each["counts"]["points"] for each in instances}


def test_sigterm_answers_what_was_accepted_and_leaves_with_0(server: ServerProgram) -> None:
    """A restart of the server during training costs the client nothing but a retry."""
    sender = _Sender(server.url, server.key, "rank-0")
    sender.start()
    assert sender.has_some.wait(20)

    status = server.stop()
    sender.join(20)
    server.start()

    assert status == 0
    batches, rest = divmod(_stored(server)["rank-0"], _STEPS)
    assert (rest, batches - sender.acknowledged in (0, 1)) == (0, True)


def test_a_restart_keeps_the_port_the_key_and_the_server_id(server: ServerProgram) -> None:
    """Clients and profiles go on as if nothing had happened."""
    before = (server.url, server.key, server.get("/health/ready")["serverId"])

    server.kill()
    server.start()

    assert (server.url, server.key, server.get("/health/ready")["serverId"]) == before


def test_a_taken_port_is_refused_in_words(server: ServerProgram, tmp_path: Path) -> None:
    """The error names the address and the way out."""
    port = server.url.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "rundial.server", "--port", port, "--data", str(tmp_path / "other")]

    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)

    assert second.returncode != 0
    assert f"cannot listen on 127.0.0.1:{port}" in second.stderr


def test_the_data_is_its_owners_alone_and_the_key_is_in_no_output(server: ServerProgram) -> None:
    """Other users of the machine read neither the runs nor the key (defect S4)."""
    paths = [server.data, *server.data.iterdir()]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()}

    assert {"rundial.db", "rundial.db-wal", "owner.key", "lock"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()} == {0o700}
    assert server.key.rsplit("_", 1)[1] not in server.output


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_a_server_that_waits_for_requests(
    server: ServerProgram, sig: signal.Signals
) -> None:
    """Nobody waits out a client that hangs; what was answered is there afterwards."""
    sender = _Sender(server.url, server.key, "rank-0")
    sender.start()
    assert sender.has_some.wait(20)
    host, port = server.url.removeprefix("http://").split(":")
    head = f"POST /v1/metrics HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {server.key}\r\n"
    with socket.create_connection((host, int(port))) as hanging:
        hanging.sendall(f"{head}content-type: application/x-protobuf\r\ncontent-length: 9\r\n\r\n1".encode())
        assert server.get("/health/ready")["serverId"]
        server.signal(sig)
        wait_until(lambda: _is_closed(host, int(port)), 10)

        started_s = monotonic()
        status = server.stop(sig)

    assert status == -sig
    assert monotonic() - started_s < 10
    sender.join(20)
    server.start()
    assert _stored(server)["rank-0"] >= sender.acknowledged * _STEPS


def _is_closed(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return True
    return False


def test_ctrl_c_leaves_quietly(tmp_path: Path) -> None:
    """Stopping the server at a terminal prints no traceback."""
    command = [sys.executable, "-m", "rundial.server", "--port", "0", "--data", str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert "listening" in child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=20)

    assert (child.returncode, errors) == (0, "")
