"""Decoding points against OpenTelemetry's own messages."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint, Sum

from rundial.server.anyvalue import canonical
from rundial.server.ingest import decode
from rundial.server.rows import NO_STEP
from tests.support import otlp

_POINTS = st.lists(
    st.tuples(
        st.none() | st.integers(0, 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1),
        st.integers(1, 2**63 - 1),
        st.dictionaries(st.sampled_from(["split", "fold"]), st.text(max_size=2), max_size=2),
    ),
    max_size=8,
)


def _point(step: int | None, number: float, time: int, context: dict[str, str]) -> NumberDataPoint:
    made = otlp.point(step, 0.0, time=time, **context)
    if isinstance(number, int):
        made.as_int = number
    else:
        made.as_double = number
    return made


@given(_POINTS)
def test_every_point_is_decoded_once_with_its_own_step_time_value_and_context(
    drawn: list[tuple[int | None, float, int, dict[str, str]]],
) -> None:
    """What a client logged is what the store gets, in order within each series."""
    held = [_point(*each) for each in drawn]
    decoded = decode("metrics", otlp.metrics((otlp.resource("run"), [otlp.gauge("loss", held)])))

    found: dict[str, list[tuple[int, float, int]]] = {}
    for block in decoded.deliveries[0].blocks:
        rows = zip(block.steps, block.values, block.times, strict=True)
        found.setdefault(block.attributes, []).extend(rows)
    expected: dict[str, list[tuple[int, float, int]]] = {}
    for step, number, time, context in drawn:
        expected.setdefault(canonical(context), []).append(
            (NO_STEP if step is None else step, float(number), time)
        )
    assert {key: sorted(rows) for key, rows in found.items()} == {
        key: sorted(rows) for key, rows in expected.items()
    }
    assert decoded.refusals.items == 0


def test_points_that_say_more_keep_their_place_among_the_others() -> None:
    """Of several points at one step the one that was logged last is shown, whatever hangs on the others."""
    held = [otlp.point(7, number, time=otlp.T0 + 1) for number in (1.0, 2.0, 3.0, 4.0)]
    held[0].flags = held[2].flags = 2
    held[1].exemplars.add(as_double=0.5)
    held[3].flags = 1  # nothing was recorded
    (delivery,) = decode("metrics", otlp.metrics((otlp.resource("run"), [otlp.gauge("a", held)]))).deliveries

    assert [block.values for block in delivery.blocks] == [[1.0, 2.0, 3.0]]
    bodies = [json.loads(row.body) for row in delivery.data_points]
    assert [body.get("value") for body in bodies] == [2.0, None]
    assert bodies[1]["noRecordedValue"] is True


def test_a_delivery_weighs_what_it_writes() -> None:
    """A sum is two rows, and long texts count as more than a row: the writer's queue is bounded by it."""
    points = [otlp.point(step, 1.0) for step in range(10)]
    total = Metric(name="total", sum=Sum(data_points=points))
    wide = otlp.histogram("wide", [10**15] * 10_000, list(range(9_999)))
    (delivery,) = decode("metrics", otlp.metrics((otlp.resource("run"), [total, wide]))).deliveries
    assert (delivery.items(), 21 + 200 < delivery.weight() < 21 + 300) == (11, True)
    (delivery,) = decode("logs", otlp.logs(otlp.resource("run"), [otlp.line(1, "x" * 2**20)])).deliveries
    assert 600 < delivery.weight() < 1_100


def test_points_of_one_series_keep_the_order_in_which_they_were_sent() -> None:
    """The point that was logged last is the one that a step shows."""
    held = [otlp.point(7, number, time=otlp.T0 + 100 - int(number)) for number in (3.0, 1.0, 2.0)]

    decoded = decode("metrics", otlp.metrics((otlp.resource("run"), [otlp.gauge("loss", held)])))

    assert decoded.deliveries[0].blocks[0].values == [3.0, 1.0, 2.0]
