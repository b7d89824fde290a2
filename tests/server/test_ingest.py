"""Taking records over OTLP: once each, whoever sends them, however often, and honest about the rest."""

from __future__ import annotations

import gzip

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)

from tests.support import otlp
from tests.support.server import LocalServer, fresh_id


def test_ingest_stores_points_of_a_run_that_it_never_heard_of(local: LocalServer) -> None:
    """Telemetry alone makes its project and its run: an offline run needs no other channel."""
    run = fresh_id()

    assert local.export("metrics", otlp.curve(run, "loss", [0.5, 0.25])).status == 200

    assert local.curve(run, "loss") == [(0, 0.5), (1, 0.25)]
    assert local.details(run)["counts"] == {"points": 2, "lines": 0, "spans": 0}


def test_values_read_back_as_they_were_sent(local: LocalServer, request: pytest.FixtureRequest) -> None:
    """Bit for bit; SQLite, which writes whole numbers as integers, loses the sign of a negative zero."""
    run = fresh_id()
    sent = [-0.0, 0.1 + 0.2, 5e-324, -1.7976931348623157e308, 2.0**53 + 2, 1e16, 3.0]
    assert local.export("metrics", otlp.curve(run, "edge", sent)).status == 200

    found = [value for _, value in local.curve(run, "edge")]

    is_sqlite = request.node.callspec.params["database"] == "sqlite"
    assert [repr(float(value)) for value in found] == ["0.0" if is_sqlite else "-0.0", *map(repr, sent[1:])]


def test_ingest_answers_an_accepted_request_with_an_empty_otlp_body(local: LocalServer) -> None:
    """A sender can tell an accept from a proxy's page."""
    reply = local.export("metrics", otlp.curve(fresh_id(), "loss", [1.0]))

    assert (reply.body, reply.headers["content-type"]) == (b"", "application/x-protobuf")


def test_ingest_reads_gzip_also_in_several_members(local: LocalServer) -> None:
    """A compressed request is the same request."""
    run = fresh_id()
    body = otlp.curve(run, "loss", [1.0, 2.0, 3.0])
    packed = gzip.compress(body[:20]) + gzip.compress(body[20:])

    assert local.export("metrics", packed, encoding="gzip").status == 200

    assert local.curve(run, "loss") == [(0, 1.0), (1, 2.0), (2, 3.0)]


def test_ingest_of_a_repeated_request_changes_nothing(local: LocalServer) -> None:
    """A sender that missed the answer sends again, and every number stays as it was."""
    run = fresh_id()
    owner = otlp.resource(run)
    bodies = {
        "metrics": otlp.curve(run, "loss", [0.5, 0.25, 0.75]),
        "logs": otlp.logs(owner, [otlp.line(1, "one"), otlp.event(2, "rundial.run.heartbeat", {})]),
        "traces": otlp.spans(owner, [otlp.span(1, "epoch")]),
    }
    for signal, body in bodies.items():
        local.export(signal, body)
    keys = f"/api/v1/metrics/keys?projectId={local.project_id()}&runId={run}"
    before = (local.details(run), local.get(keys).json, local.curve(run, "loss"))

    for signal, body in [*bodies.items()] * 2:
        assert local.export(signal, body).status == 200

    assert (local.details(run), local.get(keys).json, local.curve(run, "loss")) == before


def test_ingest_counts_only_the_new_points_of_a_request_that_was_partly_sent_before(
    local: LocalServer,
) -> None:
    """A Collector that re-batches makes no summary count a point twice."""
    run = fresh_id()
    local.export("metrics", otlp.curve(run, "loss", [3.0, 2.0]))

    local.export("metrics", otlp.curve(run, "loss", [3.0, 2.0, 1.0]))

    found = local.get(f"/api/v1/metrics/keys?projectId={local.project_id()}&runId={run}").json["keys"][0]
    assert (found["count"], found["lastStep"], found["lastValue"], found["min"], found["max"]) == (
        3,
        2,
        1.0,
        1.0,
        3.0,
    )
    assert local.details(run)["counts"]["points"] == 3


def test_ingest_stores_more_points_than_one_statement_holds(local: LocalServer) -> None:
    """Every point of a large request is stored, whatever its size is a multiple of."""
    run = fresh_id()
    numbers = [float(number) for number in range(1_300)]

    local.export("metrics", otlp.curve(run, "loss", numbers))

    assert local.curve(run, "loss", max_points=2_000) == list(enumerate(numbers))


def test_ingest_keeps_the_same_point_of_two_ranks_apart(local: LocalServer) -> None:
    """Two processes may log one key at one step and one nanosecond; both points are stored."""
    run = fresh_id()
    for instance in ("rank-0", "rank-1"):
        local.export("metrics", otlp.curve(run, "loss", [1.0], instance=instance))

    assert local.details(run)["counts"]["points"] == 2


def test_ingest_keeps_contexts_apart(local: LocalServer) -> None:
    """A key logged with a context keeps its value, and each context is a series of its own (defect C1)."""
    run = fresh_id()
    points = [otlp.point(0, 0.5, split="train"), otlp.point(0, 0.75, split="val"), otlp.point(0, 0.25)]
    local.export("metrics", otlp.metrics((otlp.resource(run), [otlp.gauge("acc", points)])))

    body = {"projectId": local.project_id(), "runId": run, "metricKeys": ["acc"]}
    series = local.post("/api/v1/query/series", body).json["series"]

    shown = {str(each["context"]): each["points"][0]["value"] for each in series}
    assert shown == {"{'split': 'train'}": 0.5, "{'split': 'val'}": 0.75, "{}": 0.25}


def test_ingest_keeps_every_point_without_a_step(local: LocalServer) -> None:
    """Points that are known by their time alone are all shown, in the order of time."""
    run = fresh_id()
    points = [otlp.point(None, number, time=otlp.T0 + 10 - int(number)) for number in (1.0, 2.0, 3.0)]
    local.export("metrics", otlp.metrics((otlp.resource(run), [otlp.gauge("cpu", points)])))

    assert local.curve(run, "cpu") == [(None, 3.0), (None, 2.0), (None, 1.0)]


@pytest.mark.inside
def test_ingest_makes_a_run_of_a_program_that_knows_no_runs(local: LocalServer) -> None:
    """Any OpenTelemetry program can be pointed here; each of its instances becomes a run."""
    owner = otlp.resource(None, rundial__project=None, rundial__run__kind=None, rundial__run__attempt=None)
    local.export("metrics", otlp.metrics((owner, [otlp.gauge("requests", [otlp.point(None, 1.0)])])))
    local.export(
        "logs", otlp.logs(owner, [otlp.line(None, "hello"), otlp.line(None, "hello", time=otlp.T0 + 5)])
    )
    local.export("logs", otlp.logs(owner, [otlp.line(None, "hello")]))

    runs = local.get("/api/v1/workspaces/default-workspace/projects/digits/runs/query").json["runs"]
    assert [run["kind"] for run in runs] == ["service"]
    assert local.details(runs[0]["runId"])["counts"] == {"points": 1, "lines": 2, "spans": 0}


def test_ingest_stores_sums_and_whole_numbers_in_series_and_invents_none_for_histograms(
    local: LocalServer,
) -> None:
    """A number is a number; what is none is kept as what it is."""
    run = fresh_id()
    delta = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    total = NumberDataPoint(time_unix_nano=otlp.T0, as_int=41)
    held = [
        Metric(name="tokens", sum=Sum(data_points=[total], aggregation_temporality=delta)),
        Metric(
            name="latency",
            histogram=Histogram(
                data_points=[HistogramDataPoint(time_unix_nano=otlp.T0 + each) for each in range(2)]
            ),
        ),
    ]
    reply = local.export("metrics", otlp.metrics((otlp.resource(run), held)))

    partial = ExportMetricsServiceResponse.FromString(reply.body).partial_success
    assert (reply.status, partial.rejected_data_points) == (200, 0)
    assert local.curve(run, "tokens") == [(None, 41.0)]
    assert local.curve(run, "latency") == []
    assert local.details(run)["counts"]["points"] == 3


def test_ingest_refuses_single_points_and_keeps_their_neighbours(local: LocalServer) -> None:
    """One bad point costs one point, not its batch (defect L3)."""
    run = fresh_id()
    points = [
        otlp.point(0, 1.0),
        otlp.point(1, float("nan")),
        otlp.point(-4, 2.0, time=otlp.T0 + 2),
        otlp.point(3, 4.0, time=0),
        otlp.point(4, 5.0),
        NumberDataPoint(time_unix_nano=otlp.T0),
    ]
    reply = local.export("metrics", otlp.metrics((otlp.resource(run), [otlp.gauge("loss", points)])))

    assert ExportMetricsServiceResponse.FromString(reply.body).partial_success.rejected_data_points == 4
    assert local.curve(run, "loss") == [(0, 1.0), (4, 5.0)]


def test_ingest_refuses_lines_and_spans_that_have_no_identity(local: LocalServer) -> None:
    """What could not be told from its copies is refused with a reason; the rest is kept."""
    run = fresh_id()
    owner = otlp.resource(run)
    nameless = otlp.span(1, "bad")
    nameless.span_id = b"\0" * 8
    logs = local.export("logs", otlp.logs(owner, [otlp.line(-1, "bad"), otlp.line(1, "good")]))
    traces = local.export("traces", otlp.spans(owner, [nameless, otlp.span(2, "good")]))

    refused_line = ExportLogsServiceResponse.FromString(logs.body).partial_success
    refused_span = ExportTraceServiceResponse.FromString(traces.body).partial_success
    assert (refused_line.rejected_log_records, refused_span.rejected_spans) == (1, 1)
    assert "rundial.seq" in refused_line.error_message
    assert local.details(run)["counts"] == {"points": 0, "lines": 1, "spans": 1}


def test_ingest_refuses_a_run_id_that_cannot_be_one_and_takes_the_other_resource(local: LocalServer) -> None:
    """A bad resource in a Collector's batch does not stop the good ones beside it."""
    run = fresh_id()
    held = [otlp.gauge("loss", [otlp.point(0, 1.0)])]
    reply = local.export(
        "metrics", otlp.metrics((otlp.resource("../../etc"), held), (otlp.resource(run), held))
    )

    partial = ExportMetricsServiceResponse.FromString(reply.body).partial_success
    assert partial.rejected_data_points == 1
    assert "rundial.run.id" in partial.error_message
    assert local.curve(run, "loss") == [(0, 1.0)]


@pytest.mark.inside
def test_ingest_makes_an_unknown_workspace_for_the_owner_alone(local: LocalServer) -> None:
    """The owner's key may open a workspace by writing to it; any other key is told what to do."""
    run = fresh_id()
    member = local.make_key({"metrics:write"})
    body = otlp.curve(run, "loss", [1.0], rundial__workspace="vision")

    refused = local.export("metrics", body, key=member)
    accepted = local.export("metrics", body)

    assert (refused.status, accepted.status) == (403, 200)
    assert "owner" in refused.error["details"]["hint"]
    assert local.details(run, workspace="vision")["counts"]["points"] == 1


@pytest.mark.inside
def test_ingest_by_a_key_of_another_workspace_is_refused_and_stores_nothing(local: LocalServer) -> None:
    """A key writes where it belongs and nowhere else."""
    run = fresh_id()
    local.export("metrics", otlp.curve(run, "loss", [1.0], rundial__workspace="vision"))
    member = local.make_key({"metrics:write"})

    reply = local.export(
        "metrics", otlp.curve(run, "loss", [9.0, 9.0], rundial__workspace="vision"), key=member
    )

    assert reply.status == 403
    assert local.details(run, workspace="vision")["counts"]["points"] == 1


@pytest.mark.inside
def test_ingest_by_a_key_of_one_project_makes_no_other(local: LocalServer) -> None:
    """A project's key cannot spread into the workspace."""
    local.project_id("digits")
    bound = local.make_key({"metrics:write"}, project_id=1)

    own = local.export("metrics", otlp.curve(fresh_id(), "loss", [1.0]), key=bound)
    other = local.export(
        "metrics", otlp.curve(fresh_id(), "loss", [1.0], rundial__project="faces"), key=bound
    )

    assert (own.status, other.status) == (200, 403)


def test_ingest_never_mixes_runs_of_one_id_in_two_projects(local: LocalServer) -> None:
    """Run ids are the user's own words; the same one in another project is another run."""
    for project, number in (("digits", 1.0), ("faces", 2.0)):
        local.export("metrics", otlp.curve("baseline", "loss", [number], rundial__project=project))

    assert local.curve("baseline", "loss") == [(0, 1.0)]


def test_ingest_shows_the_latest_attempt_at_each_step(local: LocalServer) -> None:
    """A late sync of an old attempt fills gaps and never overwrites the newer curve."""
    run = fresh_id()
    local.export("metrics", otlp.curve(run, "loss", [1.0, 1.0], instance="second", attempt=2))

    local.export("metrics", otlp.curve(run, "loss", [9.0, 9.0, 9.0], instance="first", attempt=1))

    assert local.curve(run, "loss") == [(0, 1.0), (1, 1.0), (2, 9.0)]


def test_ingest_shows_the_point_accepted_last_within_an_attempt(local: LocalServer) -> None:
    """Logging a step again shows the new value, also when both come in one request."""
    run = fresh_id()
    first = [otlp.point(5, 1.0, time=otlp.T0 + 90), otlp.point(5, 2.0, time=otlp.T0 + 80)]
    local.export("metrics", otlp.metrics((otlp.resource(run), [otlp.gauge("loss", first)])))
    in_one_request = local.curve(run, "loss")

    again = [otlp.point(5, 3.0, time=otlp.T0 + 10)]
    local.export("metrics", otlp.metrics((otlp.resource(run), [otlp.gauge("loss", again)])))

    assert (in_one_request, local.curve(run, "loss")) == ([(5, 2.0)], [(5, 3.0)])


@pytest.mark.inside
def test_ingest_of_a_resource_without_records_makes_no_run(local: LocalServer) -> None:
    """A run appears with its first record."""
    local.project_id()

    assert local.export("metrics", otlp.metrics((otlp.resource(fresh_id()), []))).status == 200

    assert local.get("/api/v1/workspaces/default-workspace/projects/digits/runs/query").json["runs"] == []
