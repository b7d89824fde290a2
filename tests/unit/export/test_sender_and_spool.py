"""From a real spool through a real sender to a real endpoint."""

from __future__ import annotations

from pathlib import Path

from rundial.export.http import HttpTransport
from rundial.export.outcome import Outcome
from rundial.export.sender import Sender
from rundial.export.source import Source
from rundial.signals.split import split_request
from rundial.spool.meta import Meta
from rundial.spool.spool import Spool
from tests.support.collector import Collector, refused_if
from tests.support.lanes import metrics_frame


class SpoolSource:
    """A spool as the session hands it to the sender."""

    def __init__(self, spool: Spool, endpoint: str) -> None:
        self.label = "run test"
        self.lanes = spool.lanes
        self.endpoint = endpoint

    def url(self, lane: str) -> str:
        """One endpoint for all."""
        return f"{self.endpoint}/v1/{lane}"

    def headers(self, lane: str) -> dict[str, str]:
        """No key."""
        return {}

    def on_outcome(self, lane: str, outcome: Outcome) -> None:
        """Nothing to show."""


def _spool(root: Path) -> Spool:
    return Spool.create(root, Meta(run_id="run", instance_id="instance"))


def test_a_spool_is_delivered_and_its_counts_close(tmp_path: Path) -> None:
    """Everything spooled arrives once, but for what the server refuses, which is filed and counted."""
    spool = _spool(tmp_path)
    lane = spool.lanes["metrics"]
    for n in range(0, 100, 10):
        lane.append(metrics_frame([float(value) for value in range(n, n + 10)]))
    spool.publish()
    with Collector(["lost answer"], [refused_if(lambda point: point.as_double == 33.0)]) as collector:
        source: Source = SpoolSource(spool, collector.url)
        sender = Sender(HttpTransport(), split_request)
        sender.add(source)

        assert sender.drain(15.0)
        assert sender.stop(5.0)
        assert {point.value for point in collector.points} == {float(n) for n in range(100) if n != 33}

    assert (lane.delivered, lane.rejected, lane.waiting_units) == (99, 1, 0)
    assert spool.is_empty()
    spool.close()


def test_what_a_dead_process_left_is_delivered_by_the_next(tmp_path: Path) -> None:
    """Frames that no server answered for go out when the spool is adopted."""
    spool = _spool(tmp_path)
    spool.lanes["metrics"].append(metrics_frame([1.0, 2.0]))
    spool.publish()
    path = spool.path
    spool.close()
    adopted = Spool.adopt(path)
    with Collector() as collector:
        sender = Sender(HttpTransport(), split_request)
        sender.add(SpoolSource(adopted, collector.url))

        assert sender.drain(15.0)
        assert sender.stop(5.0)
        assert [point.value for point in collector.points] == [1.0, 2.0]

    assert adopted.lanes["metrics"].delivered == 2
    adopted.close()
