"""The quick decoder of our packer's requests against the general one, over any bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar, Metric, NumberDataPoint

from rundial.server.ingest import decode_any
from rundial.server.packed import decode_packed
from rundial.server.problems import Problem
from rundial.server.rows import Decoded
from rundial.signals.packer import Block, MetricsPacker
from rundial.signals.resource import encode_resource
from rundial.signals.wire import delimited, double, integer, tag, text, varint
from tests.support import otlp
from tests.support.blocks import blocks

FIXED64 = 1
RESOURCES = [
    otlp.resource("run").SerializeToString(),
    otlp.resource("run", host__name="other").SerializeToString(),
    otlp.resource("run", instance="two", attempt=2).SerializeToString(),
    otlp.resource(None).SerializeToString(),
    otlp.resource("no id: has spaces").SerializeToString(),
    encode_resource({"service.name": "p"}),
    b"",
    b"\x0a\x05torn",
]


def content(decoded: Decoded) -> object:
    """All that a decoded request says, with every bit of its values."""
    found = []
    for delivery in decoded.deliveries:
        rows = []
        for block in delivery.blocks:
            bits = [struct.pack("<d", value) for value in block.values]
            rows.append((block.name, block.unit, block.attributes, block.steps, block.times, bits))
        found.append((delivery.target, rows, delivery.items(), delivery.newest_unix_ns()))
    return found, decoded.refusals.items, sorted(decoded.refusals.reasons)


def agree(body: bytes) -> bool:
    """Check the quick decoder on a body; True when it took it.

    Whatever it takes must be a request to the general decoder, too, and say the same there.
    """
    quick = decode_packed(body)
    if quick is None:
        return False
    assert content(quick) == content(decode_any("metrics", body))
    return True


def packed(resource: bytes, given_blocks: Sequence[Block]) -> bytes:
    """A request as our client makes it: each take packs for itself, one resource after the other."""
    return b"".join(MetricsPacker(resource).pack([block]) for block in given_blocks)


@given(st.sampled_from(RESOURCES), st.lists(blocks(), max_size=4))
def test_decode_of_what_our_packer_wrote_is_what_the_general_decoder_says(
    resource: bytes, given_blocks: list[Block]
) -> None:
    """A shorter way to the store changes nothing of what is stored."""
    agree(packed(resource, given_blocks))
    agree(MetricsPacker(resource).pack(given_blocks))


@given(
    st.integers(0, 8),
    st.integers(1, 2**62),
    st.lists(st.lists(st.floats(), min_size=3, max_size=3), min_size=1, max_size=20),
    st.sampled_from([(), (("split", "val"),), (("a", "x" * 200), ("b", ""))]),
)
def test_decode_takes_every_request_of_ours_whose_steps_are_equally_long(
    size: int, start: int, rows: list[list[float]], context: tuple[tuple[str, str], ...]
) -> None:
    """The quick way is the one that is taken, or it would not be quick."""
    steps = [128**size - (size == 0) + number for number in range(len(rows))]
    times = range(start, start + len(rows))
    bodies = [struct.pack("<3d", *row) for row in rows]
    block = Block(("a", "b", "c"), context, times, steps, bodies)
    no_step = Block(("a", "b", "c"), context, times, [None] * len(rows), bodies)

    assert agree(packed(RESOURCES[0], [block, no_step, block]))


PIECES = st.sampled_from(
    [
        tag(3, FIXED64) + (5).to_bytes(8, "little"),  # a second time
        tag(2, FIXED64) + (4).to_bytes(8, "little"),  # start time
        double(4, 2.5),
        tag(6, FIXED64) + (9).to_bytes(8, "little"),  # as_int
        integer(8, 1),  # flags
        delimited(5, double(3, 1.0)),  # an exemplar
        delimited(5, b"\x0a\x09torn"),
        delimited(7, text(1, "split") + delimited(2, text(1, "val"))),
        delimited(7, text(1, "split") + delimited(2, text(1, "train"))),
        delimited(7, text(1, "rundial.step") + delimited(2, text(1, "7"))),
        delimited(7, text(1, "rundial.step") + delimited(2, integer(3, 5))),
        delimited(7, text(1, "rundial.step") + delimited(2, integer(3, 300))),
        delimited(7, text(1, "rundial.step")),
        delimited(7, delimited(2, integer(3, 5)) + text(1, "rundial.step")),
        delimited(7, delimited(1, b"\xff\xfe") + delimited(2, text(1, "not utf-8"))),
        delimited(7, b"\x0a\x7ftorn"),
        delimited(99, b"unknown"),
        b"\x9b\x06\x9c\x06",  # an unknown group
        b"\x3a",
    ]
)
STEP_FORMS = st.sampled_from(
    [b"\x05", b"\x85\x00", b"\xac\x02", b"\xff" * 9 + b"\x01", b"\x80\x80\x00", b"\x80"]
)


@given(
    st.lists(PIECES, max_size=3),
    st.none() | STEP_FORMS,
    st.lists(PIECES, max_size=1),
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.floats()), min_size=1, max_size=3),
    st.booleans(),
)
def test_decode_of_points_with_anything_between_time_and_value_agrees_or_is_left_to_the_general_decoder(
    before: list[bytes],
    step: bytes | None,
    after: list[bytes],
    rows: list[tuple[int, float]],
    is_time_first: bool,
) -> None:
    """No field that hides between the ones we know changes a stored number."""
    between = b"".join(before)
    if step is not None:
        value = b"\x18" + step
        between += delimited(7, text(1, "rundial.step") + b"\x12" + varint(len(value)) + value)
    between += b"".join(after)
    times = [tag(3, FIXED64) + time.to_bytes(8, "little") for time, _ in rows]
    values = [double(4, value) for _, value in rows]
    points = [
        delimited(1, time + between + value if is_time_first else value + between + time)
        for time, value in zip(times, values, strict=True)
    ]

    agree(_request(delimited(1, b"loss") + delimited(5, b"".join(points))))


@given(st.data())
def test_decode_of_damaged_bytes_is_never_more_than_the_general_decoder_takes(data: st.DataObject) -> None:
    """A body that was garbled on its way is refused, or read as any OTLP receiver would read it."""
    times, steps = [10, 11, 12], data.draw(st.sampled_from([[1, 2, 3], [200, 201, 202], [None] * 3]))
    block = Block(("a", "b"), (("split", "val"),), times, steps, [struct.pack("<2d", 1.5, 2.5)] * 3)
    body = bytearray(packed(RESOURCES[0], [block, block]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body)))
        match data.draw(st.sampled_from(["cut", "flip", "insert", "remove", "repeat"])):
            case "cut":
                del body[at:]
            case "flip" if at < len(body):
                body[at] ^= 1 << data.draw(st.integers(0, 7))
            case "insert":
                body[at:at] = data.draw(st.binary(min_size=1, max_size=3))
            case "remove":
                del body[at : at + data.draw(st.integers(1, 60))]
            case _:
                body[at:at] = body[at : at + data.draw(st.integers(1, 60))]

    agree(bytes(body))


@st.composite
def foreign_metrics(draw: st.DrawFn) -> Metric:
    """Draw a metric as any other program may send it."""
    steps = st.none() | st.integers(-2, 400)
    metric = Metric(
        name=draw(st.sampled_from(["loss", "", "x" * 1025])), unit=draw(st.sampled_from(["", "s"]))
    )
    kind = draw(st.sampled_from(["gauge", "gauge", "sum", "histogram"]))
    if kind == "histogram":
        metric.histogram.data_points.add(count=1)
        return metric
    points = getattr(metric, kind).data_points
    for step, number, time in draw(
        st.lists(st.tuples(steps, st.floats() | st.integers(-5, 5), st.integers(0, 2**64 - 1)), max_size=4)
    ):
        points.append(_foreign_point(draw, step, number, time))
    return metric


def _foreign_point(draw: st.DrawFn, step: int | None, number: float, time: int) -> NumberDataPoint:
    point = otlp.point(step, 0.0, time=time, **draw(st.sampled_from([{}, {"split": "val"}, {"n": [1, {}]}])))
    if isinstance(number, int):
        point.as_int = number
    else:
        point.as_double = number
    extra = draw(st.sampled_from(["", "", "flags", "start", "exemplar", "empty"]))
    if extra == "flags":
        point.flags = 1
    elif extra == "start":
        point.start_time_unix_nano = 7
    elif extra == "exemplar":
        point.exemplars.append(Exemplar(as_double=1.0))
    elif extra == "empty":
        point.ClearField("as_double")
    return point


@given(st.lists(foreign_metrics(), max_size=3), st.lists(blocks(), max_size=2))
def test_decode_of_foreign_requests_agrees_or_is_left_to_the_general_decoder(
    held: list[Metric], ours: list[Block]
) -> None:
    """Any OpenTelemetry program is understood as before, also in one request with ours."""
    body = otlp.metrics((otlp.resource("run"), held))

    agree(body)
    agree(packed(RESOURCES[0], ours) + body)


@given(st.binary(max_size=60))
def test_decode_of_any_bytes_takes_only_requests(body: bytes) -> None:
    """Noise is not a request."""
    try:
        decode_any("metrics", body)
    except Problem:
        assert decode_packed(body) is None
    else:
        agree(body)


def _request(*metrics: bytes) -> bytes:
    held = b"".join(delimited(2, metric) for metric in metrics)
    return delimited(1, delimited(1, RESOURCES[0]) + delimited(2, held))


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("first_step", [1, 200, None])
def test_decode_of_a_request_with_one_bit_turned_agrees_or_is_left_to_the_general_decoder(
    rows: int, first_step: int | None
) -> None:
    """Wherever one bit turns over, no point is stored that an OTLP receiver would not have read."""
    steps = [None if first_step is None else first_step + row for row in range(rows)]
    block = Block(
        ("a", "b"), (("k", "v"),), range(10, 10 + rows), steps, [struct.pack("<2d", 1.5, 2.5)] * rows
    )
    body = packed(encode_resource({"service.name": "p"}), [block])
    assert agree(body)

    for bit in range(8 * len(body)):
        turned = bytearray(body)
        turned[bit // 8] ^= 1 << bit % 8
        agree(bytes(turned))


TIME = tag(3, FIXED64) + (5).to_bytes(8, "little")
NAMED = delimited(1, b"loss")
VALUE = double(4, 1.0)
CONTEXT = delimited(7, text(1, "split") + delimited(2, text(1, "val")))
STEP = delimited(7, text(1, "rundial.step") + delimited(2, integer(3, 5)))
GAUGE = delimited(5, delimited(1, TIME + STEP + VALUE))


def points(between: bytes) -> bytes:
    """A metric of two points with the same bytes between time and value."""
    return NAMED + delimited(5, delimited(1, TIME + between + VALUE) * 2)


@pytest.mark.parametrize(
    "metric",
    {
        "a second time": points(tag(3, FIXED64) + (6).to_bytes(8, "little") + STEP),
        "a value of another kind": points(tag(6, FIXED64) + (9).to_bytes(8, "little") + STEP),
        "flags": points(integer(8, 1) + STEP),
        "a step before its context": points(STEP + CONTEXT),
        "two steps, the last one in its place": points(
            delimited(7, STEP[2:16] + delimited(2, b"\x18\x07")) + STEP
        ),
        "a step behind the step": points(STEP + delimited(7, STEP[2:16] + delimited(2, text(1, "7")))),
        "a step that is text": points(delimited(7, text(1, "rundial.step") + delimited(2, text(1, "7")))),
        "a negative step": points(delimited(7, text(1, "rundial.step") + delimited(2, integer(3, -1)))),
        "a step whose key's length takes two bytes": points(
            delimited(7, b"\x0a\x8c\x00rundial.step" + delimited(2, integer(3, 5)))
        ),
        "a torn context": points(b"\x3a\x7f" + STEP),
        "context that is not utf-8": points(delimited(7, delimited(1, b"\xff")) + STEP),
        "the gauge twice": NAMED + GAUGE + GAUGE,
        "the name twice": delimited(1, b"other") + NAMED + GAUGE,
        "a unit": NAMED + delimited(3, b"s") + GAUGE,
        "a sum behind the gauge": NAMED + GAUGE + delimited(7, GAUGE[2:]),
        "a torn histogram before the gauge": NAMED + delimited(9, b"\x0a\x7f") + GAUGE,
        "torn metadata": NAMED + GAUGE + delimited(12, b"\x0a\x7f"),
        "an unknown field": NAMED + GAUGE + delimited(99, b"x"),
        "an empty gauge": NAMED + delimited(5, b""),
        "no gauge": NAMED,
        "no name": GAUGE,
        "more rows than a block of ours": NAMED + delimited(5, delimited(1, TIME + STEP + VALUE) * 513),
        "a point in more bytes than it needs": NAMED
        + delimited(5, b"\x0a" + bytes([len(TIME + STEP + VALUE) | 0x80, 0]) + TIME + STEP + VALUE),
    }.items(),
    ids=lambda case: case[0],
)
def test_decode_of_what_our_packer_never_writes_agrees_or_is_left_to_the_general_decoder(
    metric: tuple[str, bytes],
) -> None:
    """Bytes that only look like ours are read as any OTLP receiver would read them."""
    agree(_request(metric[1]))


@pytest.mark.parametrize("scope", [b"\x0a\x7f", delimited(1, b"\xff"), b"\x3a" * 3])
def test_decode_of_a_torn_scope_or_resource_is_left_to_the_general_decoder(scope: bytes) -> None:
    """The parts that carry no points are held to the same rules."""
    metric = delimited(2, NAMED + GAUGE)

    for body in (
        delimited(1, delimited(1, RESOURCES[0]) + delimited(2, delimited(1, scope) + metric)),
        delimited(1, delimited(1, scope) + delimited(2, metric)),
        delimited(1, delimited(1, RESOURCES[0]) * 2 + delimited(2, metric)),
    ):
        assert decode_packed(body) is None
