"""The server's own OpenTelemetry, where `OTEL_EXPORTER_OTLP_ENDPOINT` is set: a span and a time a request.

Providers of its own, never the global ones. What it exports would, sent to itself, be requests that it
exports in turn, so it sends nothing to its own address.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from rundial.version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

_log: Final = logging.getLogger("rundial.server")

SERVICE: Final = "rundial-server"
ENDPOINTS: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
_SCOPE: Final = "rundial.server"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"})
_CLOSE_MS: Final = 3_000


class OwnOtel:
    """Spans and metrics of this server.

    Threads: the SDK's, which send in the background; `close` ends them.
    """

    def __init__(self, tracers: TracerProvider, meters: MeterProvider) -> None:
        self._tracers = tracers
        self._meters = meters
        self._tracer = tracers.get_tracer(_SCOPE, __version__)
        self._durations = meters.get_meter(_SCOPE, __version__).create_histogram(
            "http.server.request.duration", "s", "Duration of HTTP server requests."
        )

    def count_request(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count an answer, under the names of OpenTelemetry's HTTP conventions."""
        self._durations.record(duration_s, _attributes(method, route, status))

    def start_span(self) -> RequestSpan:
        """Begin a request's span."""
        from opentelemetry.trace import SpanKind

        return RequestSpan(self._tracer.start_span("request", kind=SpanKind.SERVER))

    def close(self) -> None:
        """Send what waits, for some seconds at most."""
        self._tracers.force_flush(_CLOSE_MS)
        self._tracers.shutdown()
        self._meters.shutdown(_CLOSE_MS)


class RequestSpan:
    """A request's span; what it is called is known at its end, when its route is."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def finish(self, method: str, route: str, status: int) -> None:
        """End it."""
        from opentelemetry.trace import StatusCode

        self._span.update_name(f"{method} {route}")
        self._span.set_attributes(_attributes(method, route, status))
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


def open_otel(own_ports: frozenset[int], environ: Mapping[str, str] = os.environ) -> OwnOtel | None:
    """Start it where the environment asks for it; None where it does not, or names this server itself.

    Args:
        own_ports: Ports of this machine on which this server listens.
        environ: The environment.
    """
    asked = [environ[name] for name in ENDPOINTS if environ.get(name)]
    if not asked or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if any(_is_own(each, own_ports) for each in asked):
        _log.warning("OTEL_EXPORTER_OTLP_ENDPOINT is this server itself; its own telemetry is not exported")
        return None
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = environ.get("OTEL_SERVICE_NAME") or SERVICE
    resource = Resource.create({"service.name": name, "service.version": __version__})
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    return OwnOtel(tracers, MeterProvider([reader], resource=resource, shutdown_on_exit=False))


def _is_own(endpoint: str, own_ports: frozenset[int]) -> bool:
    try:
        parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return False
    return (parts.hostname or "") in _LOOPBACK and port in own_ports


def _attributes(method: str, route: str, status: int) -> dict[str, str | int]:
    return {"http.request.method": method, "http.route": route, "http.response.status_code": status}
