"""Other tracers in the same process, whoever begins first: each span once on each side."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import recorded
from tests.support.companions import Companions

# The first of them installs the environment.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

OURS = ["ours/inner", "ours/outer"]
THEIRS = ["theirs/inner", "theirs/outer"]
# How each begins, makes a span, and tells what it has.
LOGFIRE = """
    import logfire
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    kept = InMemorySpanExporter()
    def begin():
        logfire.configure(
            send_to_logfire=False, console=False, inspect_arguments=False,
            additional_span_processors=[SimpleSpanProcessor(kept)],
        )
    span = logfire.span
    def told():
        return [each.name for each in kept.get_finished_spans()]
"""
LANGFUSE = """
    from langfuse import Langfuse
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    kept = InMemorySpanExporter()
    def begin():
        global client
        client = Langfuse(
            public_key="pk-lf-none", secret_key="sk-lf-none", host="http://127.0.0.1:9", span_exporter=kept
        )
    def span(name):
        return client.start_as_current_observation(name=name)
    def told():
        client.flush()
        return [each.name for each in kept.get_finished_spans()]
"""
MLFLOW = """
    import mlflow
    def begin():
        mlflow.set_tracking_uri(os.path.join(os.getcwd(), "mlruns"))
        mlflow.set_experiment("beside")
    span = mlflow.start_span
    def told():
        mlflow.flush_trace_async_logging()
        traces = mlflow.search_traces(return_type="list")
        return [each.name for trace in traces for each in trace.data.spans]
"""
PROGRAM = """
    from opentelemetry import trace as globals_

    def ours():
        global run, before
        before = type(globals_.get_tracer_provider()).__name__
        run = rd.init(
            project="beside", mode="offline", spool_directory=given["spool"], system_metrics=False,
            otel=given["otel"],
        )
        # `init` has set none, and changed none.
        assert type(globals_.get_tracer_provider()).__name__ == before

    for start in (ours, begin) if given["first"] == "ours" else (begin, ours):
        start()
    if given["otel"] == "attach":
        assert "traces" in run.attach_otel()
    with run.trace("ours/outer"), span("theirs/outer"), run.trace("ours/inner"), span("theirs/inner"):
        pass
    found = told()
    assert run.finish(20)
    sys.stdout.write(json.dumps(sorted(found)) + "\\n")
    sys.stdout.flush()
    # Their own threads may try for long to reach servers that are not there.
    os._exit(0)
"""
# MLflow's file store needs nothing else installed; its users' database would.
ENV = {"MLFLOW_ALLOW_FILE_STORE": "true", "LANGFUSE_TRACING_ENVIRONMENT": "test"}


def beside_each_other(beside: Companions, theirs: str, *, first: str, otel: str) -> tuple[Any, list[str]]:
    """Run both tracers; return the names of the spans on their side, and on ours."""
    told = beside.run(theirs + PROGRAM, env=ENV, first=first, otel=otel)
    return told, sorted(span.name for span in recorded.read(beside.spool).spans)


@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize("theirs", [LOGFIRE, LANGFUSE, MLFLOW], ids=["logfire", "langfuse", "mlflow"])
def test_each_tracer_has_its_own_spans_once(beside: Companions, theirs: str, first: str) -> None:
    """Nested into each other, and by default none of the one's at the other."""
    assert beside_each_other(beside, theirs, first=first, otel="off") == (THEIRS, OURS)


@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize("theirs", [LOGFIRE, LANGFUSE], ids=["logfire", "langfuse"])
def test_an_attached_run_has_their_spans_too_once(beside: Companions, theirs: str, first: str) -> None:
    """Those of tracers that set OpenTelemetry's global provider; MLflow keeps one to itself."""
    assert beside_each_other(beside, theirs, first=first, otel="attach") == (THEIRS, sorted(OURS + THEIRS))
