"""A server that decides by what a record says, the same each time, and knows what it holds.

A rule for `Collector`: it refuses poison with 400, reports what is unwelcome as a partial success and
stores the rest, and takes everything else, unless an outage answers in its place. Held is what the
ledger calls delivered: records by identity, however often they came.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from rundial.server.ledger import flatten, greatest
from rundial.signals import semconv
from tests.support.collector import Answer, Collector, Log, Point, Request, Span
from tests.support.control import control

# What a name or a text says of itself.
WELCOME, POISON, UNWELCOME = "fine", "poison", "unwelcome"
LOST_ANSWER = "lost answer"

Record = Point | Log | Span
Identity = tuple[Any, ...]


@dataclass(slots=True)
class Held:
    """What a server has of one run.

    Attributes:
        units: By signal, from identity to what the test logged: (name, number) or the number.
        said: The greatest of each counter in the run's ledger events.
    """

    units: dict[str, dict[Identity, Any]] = field(
        default_factory=lambda: {"points": {}, "lines": {}, "spans": {}}
    )
    said: Mapping[str, int] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Take a record in."""
        attributes, instance = record.attributes, record.resource[semconv.SERVICE_INSTANCE_ID]
        if isinstance(record, Point):
            identity = (instance, record.name, record.step, record.time_unix_ns)
            self.units["points"][identity] = (record.name, record.step)
        elif isinstance(record, Span):
            self.units["spans"][instance, record.trace_id, record.span_id] = int(record.name)
        elif not record.event_name:
            self.units["lines"][instance, attributes[semconv.SEQ]] = int(record.body.split()[0])
        elif record.event_name == semconv.EVENT_RUN_LEDGER:
            self.said = greatest(self.said, flatten(record.body))


class Judge:
    """The rule.

    Args:
        collector: Whose rule it is.

    Attributes:
        outage: The step that answers every OTLP request instead, None for none.
    """

    def __init__(self, collector: Collector) -> None:
        self.outage: Answer | None = None
        self._collector = collector
        self._control = control()
        self._held: dict[str, Held] = defaultdict(Held)
        self._seen: dict[str, int] = {"points": 0, "logs": 0, "spans": 0}

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._collector.url

    def held(self, run_id: str) -> Held:
        """Return what has been stored of a run."""
        with self._collector.changed:
            for name, seen in self._seen.items():
                records = getattr(self._collector, name)
                for record in records[seen:]:
                    self._held[record.resource[semconv.RUN_ID]].add(record)
                self._seen[name] = len(records)
        return self._held[run_id]

    def __call__(self, request: Request) -> Answer | None:
        """Answer a request, None to have it stored."""
        if request.path.startswith("/api/"):
            return self._control(request)
        if self.outage not in (None, LOST_ANSWER):
            return self.outage
        apart = Collector()
        apart.store(request)
        verdicts = [_verdict(record) for record in (*apart.points, *apart.logs)]
        if POISON in verdicts:
            return 400
        if UNWELCOME not in verdicts:
            return self.outage
        self._keep_rest(apart)
        return "reset" if self.outage else (200, {}, _partial(request, verdicts.count(UNWELCOME)))

    def _keep_rest(self, apart: Collector) -> None:
        with self._collector.changed:
            self._collector.points += _welcome(apart.points)
            self._collector.logs += _welcome(apart.logs)
            self._collector.changed.notify_all()


def _verdict(record: Record) -> str:
    if isinstance(record, Point):
        return record.name.split("/")[0]
    return str(record.body).split(" ", 2)[1] if isinstance(record, Log) and not record.event_name else WELCOME


def _welcome(records: Sequence[Any]) -> list[Any]:
    return [record for record in records if _verdict(record) != UNWELCOME]


def _partial(request: Request, refused: int) -> bytes:
    if request.path.endswith("metrics"):
        metrics = ExportMetricsServiceResponse()
        metrics.partial_success.rejected_data_points = refused
        return metrics.SerializeToString()
    logs = ExportLogsServiceResponse()
    logs.partial_success.rejected_log_records = refused
    return logs.SerializeToString()
