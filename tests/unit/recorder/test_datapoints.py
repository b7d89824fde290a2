"""OpenTelemetry's data points among a run's own rows: in order, counted, and there after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint, ScopeMetrics

from rundial.recorder.recovery import recover
from rundial.recorder.runrecorder import RunRecorder
from tests.unit.recorder.builders import RESOURCE, Rig, RunParts, dead_copy, log, points


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A ring and a spool."""
    return Rig(tmp_path)


@pytest.fixture
def run(rig: Rig) -> RunParts:
    """A run."""
    return rig.attach()


def put(run: RunParts, name: str, value: float) -> bool:
    """Offer a gauge's point, as the exporter does."""
    point = NumberDataPoint(time_unix_nano=5, as_double=value)
    scope = ScopeMetrics(metrics=[Metric(name=name, gauge=Gauge(data_points=[point]))])
    return run.recorder.data_point(scope.SerializeToString(), {name: value})


def named(run: Path) -> list[tuple[str, float]]:
    """The points on disk, in their order."""
    return [(name, value) for name, _, value in points(run)]


def test_rows_and_data_points_keep_their_order(rig: Rig, run: RunParts) -> None:
    """Of two points of one series the one that was logged last is shown, whoever logged it."""
    log(run, 0, value=1.0)
    log(run, 1, value=2.0)
    put(run, "loss", 3.0)
    put(run, "calls", 4.0)
    log(run, 2, value=5.0)
    put(run, "loss", 6.0)
    assert rig.work()

    expected = [("loss", 1.0), ("loss", 2.0), ("loss", 3.0), ("calls", 4.0), ("loss", 5.0), ("loss", 6.0)]
    assert named(run.spool.path) == expected
    account = run.recorder.ledger().points
    assert (account.recorded, account.waiting_spool, account.closes) == (6, 6, True)


def test_what_a_kill_left_in_the_ring_is_there_once(rig: Rig, run: RunParts, tmp_path: Path) -> None:
    """A data point survives `kill -9` as a row does, and recovering twice adds nothing."""
    put(run, "calls", 1.0)
    assert rig.work()
    put(run, "calls", 2.0)
    log(run, 0, value=3.0)
    file, spool = dead_copy(rig, run, tmp_path / "dead")

    found = recover(file, run.slot.index, spool, RESOURCE)
    again = recover(file, run.slot.index, spool, RESOURCE)

    assert (found.units[0], again.units[0]) == (2, 0)
    assert named(spool.path) == [("calls", 1.0), ("calls", 2.0), ("loss", 3.0)]


def test_a_disk_that_is_full_in_between_loses_and_doubles_none(rig: Rig, run: RunParts) -> None:
    """The take is read again, from where the lane stopped."""
    lane = run.fragile("metrics")
    lane.takes = 1
    log(run, 0, value=1.0)
    put(run, "calls", 2.0)
    log(run, 1, value=3.0)
    assert not rig.work()
    lane.is_broken, lane.takes = False, None
    assert rig.work()

    assert named(run.spool.path) == [("loss", 1.0), ("calls", 2.0), ("loss", 3.0)]


def test_the_capacity_is_theirs_too(rig: Rig, run: RunParts) -> None:
    """A data point beyond `queue_capacity` is refused and counted."""
    run.recorder = RunRecorder(
        rig.ring, run.slot, rig.keysets, encoder=rig.encoder, run_encoder=run.encoder, capacity=2
    )

    assert [put(run, "calls", float(number)) for number in range(3)] == [True, True, False]
    assert run.recorder.ledger().points.dropped == {"queue_full": 1}


def test_the_last_value_is_the_summarys(run: RunParts) -> None:
    """A meter's gauge is a metric of the summary as a logged number is."""
    log(run, 0, value=1.0)
    put(run, "calls", 2.0)
    put(run, "calls", 3.0)

    assert run.recorder.latest() == {"loss": 1.0, "calls": 3.0}
