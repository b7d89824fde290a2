"""What whoever operates the server sees of it: health, counters, logs, leaving, and its own OpenTelemetry."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rundial.server import keys
from rundial.server.ownotel import open_otel
from rundial.server.problems import Problem, StoreProblem
from tests.support import otlp
from tests.support.clock import ManualClock
from tests.support.collector import Collector
from tests.support.program import ServerProgram
from tests.support.server import LocalServer, fresh_id
from tests.support.waiting import wait_until


def counters(local: LocalServer, key: str | None = None) -> dict[tuple[str, ...], float]:
    """What /metrics says, by name and labels."""
    reply = local.get("/metrics", key=key)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


def test_health_needs_no_key_and_the_counters_need_one(local: LocalServer) -> None:
    """A supervisor asks without secrets; what says how much is going on is not for everybody."""
    local.project_id()
    bound = local.make_key(keys.SCOPES, project_id=1)
    writer = local.make_key([keys.METRICS_WRITE])
    reader = local.make_key([keys.STREAM_READ])

    assert local.get("/health/live", key="").json == {"status": "live"}
    assert local.get("/health/ready", key="").json["status"] == "ready"
    assert [local.get("/metrics", key=each).status for each in ("", writer, bound, reader)] == [
        401,
        403,
        403,
        200,
    ]


def test_counters_tell_of_requests_and_records_and_name_nobody(local: LocalServer) -> None:
    """Requests by route and status, records by outcome; no run, key or project is a label."""
    run = fresh_id()
    points = [otlp.point(0, 1.0), otlp.point(1, float("nan")), otlp.point(2, 3.0)]
    local.export("metrics", otlp.metrics((otlp.resource(run), [otlp.gauge("loss", points)])))
    local.details(run)
    local.get(f"/nowhere/{run}")
    local.send("PROPFIND", "/v1/metrics")

    found = counters(local)

    requests = "rundial_server_requests_total"
    details = "/api/v1/workspaces/{workspace}/projects/{project}/runs/{run_id}"
    assert found[requests, "POST", "/v1/metrics", "200"] == 1
    assert found[requests, "GET", details, "200"] == 1
    assert found[requests, "GET", "none", "404"] == 1
    assert (requests, "other", "/v1/metrics", "405") in found
    assert found["rundial_server_records_total", "accepted", "metrics"] == 2
    assert found["rundial_server_records_total", "refused", "metrics"] == 1
    assert found["rundial_server_request_duration_seconds_count", "/v1/metrics"] >= 1
    assert found["process_resident_memory_bytes",] > 2**20
    text = local.get("/metrics").body.decode()
    assert (run in text, "digits" in text, local.key.split("_")[1] in text) == (False, False, False)


def test_a_server_whose_store_took_no_change_is_not_ready_for_a_while(
    local: LocalServer, clock: ManualClock
) -> None:
    """A balancer looks elsewhere while the disk is full, and comes back without anyone's doing."""

    def fail(_: object) -> None:
        raise StoreProblem(503, "the store could not write")

    with pytest.raises(Problem):
        asyncio.run(local.services.write(fail))
    statuses = []
    for _ in range(3):
        statuses.append(local.get("/health/ready").status)
        clock.advance(6)

    assert statuses == [503, 503, 200]


def test_a_server_that_drains_answers_and_is_not_ready(local: LocalServer) -> None:
    """Between SIGTERM and the end, requests are served and balancers are told to look elsewhere."""
    local.services.draining.set()

    assert (local.get("/health/ready").status, local.get("/health/live").status) == (503, 200)
    assert local.export("metrics", otlp.curve(fresh_id(), "loss", [1.0])).status == 200


@pytest.mark.fault
@pytest.mark.timeout(120)
def test_sigterm_drains_then_leaves_with_0(tmp_path: Path, home: Path) -> None:
    """With --drain the process goes on answering, not ready; a second signal ends the wait."""
    with ServerProgram(tmp_path / "data", options=("--drain", "600", "--log-format", "json")) as server:
        host = server.url.removeprefix("http://")
        server.signal(signal.SIGTERM)

        def is_draining() -> bool:
            with closing(HTTPConnection(host, timeout=10)) as connection:
                connection.request("GET", "/health/ready")
                return connection.getresponse().status == 503

        wait_until(is_draining, 20)
        assert server.get("/api/v1/auth/whoami")["authenticated"] is True

        assert server.stop() == 0


@pytest.mark.fault
@pytest.mark.timeout(120)
def test_the_json_log_has_a_line_a_request_and_no_secret(tmp_path: Path, home: Path) -> None:
    """Programs read the log; nobody finds a key, a query or a body in it."""
    with ServerProgram(tmp_path / "data", options=("--log-format", "json")) as server:
        server.get("/api/v1/workspaces?cursor=&limit=5")
        key = server.key
        server.stop()
        lines = [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]

    request = next(each for each in lines if each.get("route") == "/api/v1/workspaces")
    assert (request["method"], request["status"], request["level"]) == ("GET", 200, "info")
    assert request["keyId"] == key.split("_")[1]
    assert request["requestId"].startswith("req_")
    assert key.split("_", 2)[2] not in server.output
    assert "limit=5" not in server.output


@pytest.mark.fault
@pytest.mark.timeout(120)
def test_its_own_spans_go_where_the_environment_says(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator sees each request in their own tracing, named by its route."""
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with ServerProgram(tmp_path / "data") as server:
            server.get("/api/v1/auth/whoami")
            assert server.stop() == 0

        # Ended by the server's own end, so all of it is there.
        texts = b"".join(request.plain for request in collector.requests)

    assert {request.path for request in collector.requests} == {"/v1/metrics", "/v1/traces"}
    assert b"GET /api/v1/auth/whoami" in texts
    assert b"http.server.request.duration" in texts
    assert b"rundial-server" in texts


def test_it_exports_nothing_to_itself() -> None:
    """Each export would be a request, and each request an export."""
    own = frozenset({8787})

    assert open_otel(own, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:8787"}) is None
    assert open_otel(own, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://[::1]:8787/v1/traces"}) is None
    assert open_otel(own, {}) is None
    assert open_otel(own, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}) is None
