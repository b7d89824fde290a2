"""What the server tells of itself: counters for `GET /metrics`, one log line a request, and OpenTelemetry.

Labels are route patterns, methods, statuses and signals: no name that a user chose, no id, no key, so their
number is bounded and nothing of a project shows.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rundial.server.ownotel import OwnOtel
from rundial.server.rows import Signal
from rundial.server.security import PRINCIPAL, REQUEST_ID
from rundial.version import __version__

_log: Final = logging.getLogger("rundial.server.requests")

NO_ROUTE: Final = "none"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Telemetry:
    """Counts requests and records.

    Args:
        gauges: What is read when someone asks, by name.
        otel: Where OpenTelemetry's own metrics and spans go; None for nowhere.
    """

    def __init__(self, gauges: Mapping[str, Callable[[], float]], otel: OwnOtel | None = None) -> None:
        self.otel = otel
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "rundial_server_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._durations = Histogram(
            "rundial_server_request_duration_seconds",
            "From a request's head to the end of its answer.",
            ("route",),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._records = Counter(
            "rundial_server_records",
            "Points, lines and spans of acknowledged requests, repeated ones too.",
            ("signal", "outcome"),
            registry=self._registry,
        )
        self._registry.register(_Gauges(gauges))
        ProcessCollector(registry=self._registry)

    def count_request(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count an answer."""
        self._requests.labels(method, route, str(status)).inc()
        self._durations.labels(route).observe(duration_s)
        if self.otel is not None:
            self.otel.count_request(method, route, status, duration_s)

    def count_records(self, signal: Signal, *, accepted: int, refused: int) -> None:
        """Count the records of a request that was answered with success."""
        self._records.labels(signal, "accepted").inc(accepted)
        self._records.labels(signal, "refused").inc(refused)

    def exposition(self) -> bytes:
        """Everything, in Prometheus' text form."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    """Numbers that are read when they are asked for."""

    def __init__(self, gauges: Mapping[str, Callable[[], float]]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield them, and the version."""
        version = GaugeMetricFamily("rundial_server_build", "1, with the version.", labels=("version",))
        version.add_metric((__version__,), 1)
        yield version
        for name, read in self._gauges.items():
            yield GaugeMetricFamily(f"rundial_server_{name}", name.replace("_", " "), value=read())


class Observed:
    """ASGI middleware around everything else: counts, logs and traces each request.

    Args:
        app: What is observed.
        routes: Its routes, for their patterns.
        telemetry: Where it is counted.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute], telemetry: Telemetry) -> None:
        self._app = app
        self._patterns: dict[object, str] = {
            each.endpoint: each.path for each in routes if isinstance(each, Route)
        }
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = time.monotonic()
        status = 500  # of an answer that never began

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        span = self._telemetry.otel.start_span() if self._telemetry.otel is not None else None
        try:
            await self._app(scope, receive, send_observed)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = self._patterns.get(scope.get("endpoint"), NO_ROUTE)
            duration_s = time.monotonic() - started_s
            self._telemetry.count_request(method, route, status, duration_s)
            if span is not None:
                span.finish(method, route, status)
            _log_request(scope, route, status, duration_s)


def _log_request(scope: Scope, route: str, status: int, duration_s: float) -> None:
    if not _log.isEnabledFor(logging.INFO):
        return
    principal = scope.get(PRINCIPAL)
    facts = {
        "method": scope["method"],
        "route": route,
        "status": status,
        "durationMs": round(duration_s * 1000, 3),
        "requestId": scope.get(REQUEST_ID),
        "keyId": getattr(principal, "key_id", None),
    }
    _log.info("%s %s %d", scope["method"], route, status, extra={"facts": facts})
