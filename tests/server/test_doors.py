"""How a server is reached: TLS, the bound address, and how often one key may come."""

from __future__ import annotations

import json
import logging
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3

from rundial.api.client import Client
from rundial.clock import SystemClock
from rundial.errors import ConfigError
from rundial.server.doors import Doors
from rundial.server.serve import DEFAULT_HOST, listen
from tests.support import certificates
from tests.support.clock import ManualClock
from tests.support.processes import own_parts
from tests.support.program import ServerProgram
from tests.support.server import LocalServer

FEW = Doors(requests_per_minute=60)


@pytest.mark.timeout(60)
@pytest.mark.e2e
def test_a_server_with_a_certificate_speaks_https_alone(tmp_path: Path) -> None:
    """A client that checks the certificate is served, its cookie is marked, and plain HTTP is not read."""
    paths = certificates.written(tmp_path)
    options = ("--ssl-certfile", paths["server"], "--ssl-keyfile", paths["server_key"])
    with ServerProgram(tmp_path / "data", options=options) as program:
        assert program.url.startswith("https://127.0.0.1:")
        pool = urllib3.PoolManager(ca_certs=paths["server"], retries=False, timeout=10.0)
        bearer = {"authorization": f"Bearer {program.key}", "content-type": "application/json"}
        member = {"email": "ada@example.org", "role": "viewer", "password": "open sesame, please"}
        added = pool.request(
            "POST",
            f"{program.url}/api/v1/workspaces/default-workspace/members",
            body=json.dumps(member).encode(),
            headers=bearer,
        )
        login = pool.request(
            "POST",
            f"{program.url}/api/v1/auth/login/credentials",
            body=json.dumps(member).encode(),
            headers={"origin": program.url, "content-type": "application/json"},
        )
        other = urllib3.PoolManager(ca_certs=paths["client"], retries=False, timeout=10.0)
        with pytest.raises(urllib3.exceptions.SSLError):
            other.request("GET", f"{program.url}/health/ready")
        with pytest.raises((urllib3.exceptions.ProtocolError, urllib3.exceptions.HTTPError)):
            urllib3.PoolManager(retries=False, timeout=5.0).request(
                "GET", program.url.replace("https", "http") + "/health/ready"
            )

    assert (added.status, login.status) == (200, 200)
    assert "secure" in {part.strip().lower() for part in login.headers["set-cookie"].split(";")}


def test_old_protocols_are_not_spoken(tmp_path: Path) -> None:
    """TLS begins at 1.2, whatever a client offers."""
    paths = certificates.written(tmp_path)
    context = Doors(certificate=Path(paths["server"]), private_key=Path(paths["server_key"])).tls()

    assert context is not None
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("certificate", "key"),
    [("nowhere", "server_key"), ("server", "client_key"), ("server_key", None), (None, "server_key")],
)
def test_a_certificate_that_cannot_be_used_stops_the_start(
    tmp_path: Path, certificate: str | None, key: str | None
) -> None:
    """A mistake is told before anything listens, without the key's content."""
    paths = {**certificates.written(tmp_path), "nowhere": str(tmp_path / "nowhere.pem")}
    doors = Doors(
        certificate=None if certificate is None else Path(paths[certificate]),
        private_key=None if key is None else Path(paths[key]),
    )
    with pytest.raises(ConfigError) as raised:
        doors.tls()

    assert "PRIVATE KEY" not in str(raised.value)
    assert "certificate" in str(raised.value)


def test_a_key_with_a_passphrase_is_refused_instead_of_asked_for(tmp_path: Path) -> None:
    """A server that nobody watches does not wait for somebody to type."""
    paths = certificates.written(tmp_path)
    encrypted = tmp_path / "encrypted.pem"
    encrypted.write_text(certificates.SERVER_KEY_LOCKED)
    with pytest.raises(ConfigError, match="passphrase"):
        Doors(certificate=Path(paths["server"]), private_key=encrypted).tls()


@pytest.mark.e2e
def test_a_bind_beyond_loopback_is_said_and_must_be_asked_for(server: ServerProgram) -> None:
    """Without --host nobody outside this machine reaches the server."""
    assert DEFAULT_HOST == "127.0.0.1"
    assert server.url.startswith("http://127.0.0.1:")
    with listen(DEFAULT_HOST, 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
    shown = subprocess.run(
        [sys.executable, "-m", "rundial", "server", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "127.0.0.1" in shown


@pytest.mark.e2e
def test_plain_http_beyond_loopback_is_warned_of(tmp_path: Path) -> None:
    """Who opens a server to a network without TLS is told what crosses it."""
    with ServerProgram(tmp_path / "data", options=("--host", "0.0.0.0")) as program:
        assert "without --ssl-certfile" in program.output


def test_a_key_that_sends_too_much_is_told_when_to_come_back(tmp_path: Path, clock: ManualClock) -> None:
    """The bound is each key's own, the wait is said, and after it the same request is taken."""
    with LocalServer(tmp_path / "few", clock, doors=FEW) as few:
        other = few.make_key({"project:read"})
        while few.get("/api/v1/workspaces").status == 200:
            pass
        refused = few.get("/api/v1/workspaces")

        assert (refused.status, refused.error["code"], refused.headers["retry-after"]) == (
            429,
            "RATE_LIMITED",
            "1",
        )
        assert few.get("/api/v1/workspaces", key=other).status == 200
        clock.advance(1)
        assert few.get("/api/v1/workspaces").status == 200
        assert few.get("/api/v1/workspaces").status == 429


def test_the_usual_bound_lets_a_large_job_begin(local: LocalServer) -> None:
    """A thousand ranks that start at once with one key are not in each other's way."""
    assert {local.get("/health/ready").status for _ in range(5)} == {200}
    doors = Doors()
    assert doors.requests_per_minute / 6 >= 10_000


@pytest.mark.timeout(90)
@pytest.mark.e2e
def test_a_run_that_is_slowed_waits_and_loses_nothing(
    tmp_path: Path, spool_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Over a bound far below what it sends, every point of a run arrives, once."""
    caplog.set_level(logging.INFO, logger="rundial.server")
    doors = Doors(requests_per_minute=120)
    with LocalServer(tmp_path / "slow", SystemClock(), doors=doors) as slow:
        project = slow.project_id()
        key = slow.make_key({"admin"})
        with own_parts(), Client(slow.url, api_key=key, spool_directory=spool_dir) as client:
            run = client.start_run(project_id=project, run_id="slowed")
            for step in range(30):
                run.log({"loss": float(step)}, step=step)
                run.flush(20)
            assert run.finish(60)

        found = slow.details("slowed")
        ledger = found["ledger"]
    assert "requests a minute" in caplog.text, "it was slowed"
    assert (found["status"], found["counts"]["points"]) == ("completed", 30)
    assert ledger["complete"] is True
    assert ledger["points"]["dropped"] in ({}, 0)
