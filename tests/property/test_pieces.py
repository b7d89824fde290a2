"""Cutting large requests before they are decoded, over any request."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.server.ingest import MAX_RESOURCES, decode, decode_any
from rundial.server.pieces import MAX_FIELDS, MAX_MESSAGES, MAX_RECORD_BYTES, PIECE_BYTES, pieces
from rundial.server.problems import Problem
from rundial.server.rows import Decoded, Signal
from rundial.signals.wire import delimited
from tests.property.test_split import COUNTS, KINDS, metrics_request, records_request
from tests.support import otlp

SIGNALS: list[Signal] = ["metrics", "logs", "traces"]


def told(decoded: Decoded) -> Any:
    """What a request says, whatever its pieces."""
    rows: dict[Any, Any] = {}
    for delivery in decoded.deliveries:
        found = rows.setdefault(delivery.target, ({}, [], [], []))
        for block in delivery.blocks:
            columns = found[0].setdefault((block.name, block.unit, block.attributes), ([], [], []))
            for column, more in zip(columns, (block.steps, block.times, block.values), strict=True):
                column.extend(more)
        for kept, more_rows in zip(found[1:], (delivery.texts, delivery.events, delivery.spans), strict=True):
            kept.extend(more_rows)
    return {key: value for key, value in rows.items() if any(value)}, decoded.refusals.items


def whole(signal: Signal, counts: list[list[int]], kinds: list[str]) -> bytes:
    """A request."""
    request = metrics_request(counts, kinds) if signal == "metrics" else records_request(signal, counts)
    found: bytes = request.SerializeToString()
    return found


@given(st.sampled_from(SIGNALS), COUNTS, st.lists(KINDS, min_size=3, max_size=3), st.integers(1, 300))
def test_the_pieces_are_the_request(
    signal: Signal, counts: list[list[int]], kinds: list[str], piece_bytes: int
) -> None:
    """However small the pieces, the same records come out, in the same order, and none twice."""
    body = whole(signal, counts, kinds)
    found = Decoded([], decode_any(signal, b"").refusals)
    for piece in pieces(signal, body, piece_bytes=piece_bytes):
        part = decode_any(signal, piece)
        found.deliveries.extend(part.deliveries)
        found.refusals.merge(part.refusals)

    assert told(found) == told(decode_any(signal, body))


@given(st.sampled_from(SIGNALS), st.binary(max_size=300), st.integers(0, 50))
def test_junk_is_a_refusal_and_nothing_else(signal: Signal, junk: bytes, piece_bytes: int) -> None:
    """Whatever someone sends, the answer is ours."""
    with suppress(Problem):  # any other exception fails the test
        found = list(pieces(signal, junk, piece_bytes=piece_bytes))
        assert sum(map(len, found)) <= 20 * len(junk)


def test_a_large_request_of_ours_decodes_to_what_it_would_in_one_piece() -> None:
    """A gauge of many points, larger than a piece, is divided too."""
    body = otlp.curve("run", "loss", [float(number) for number in range(30_000)])
    assert len(body) > 2 * PIECE_BYTES

    assert told(decode("metrics", body)) == told(decode_any("metrics", body))


def test_small_messages_without_end_are_refused_by_their_number() -> None:
    """Two bytes cost fifty once parsed: they are counted before."""
    few, many = b"\x0a\x00" * (MAX_RESOURCES + 1), b"\x0a\x00" * (2 * MAX_FIELDS)
    requests: list[tuple[Signal, bytes]] = [("logs", few), ("traces", many)]

    for signal, groups in requests:
        with pytest.raises(Problem) as caught:
            decode(signal, groups)
        assert caught.value.status == 413


def test_one_record_that_is_too_large_to_decode_is_refused() -> None:
    """What cannot be divided is bounded by itself."""
    body = otlp.logs(otlp.resource("run"), [otlp.line(1, "x" * (MAX_RECORD_BYTES + 1))])

    with pytest.raises(Problem) as caught:
        decode("logs", body)

    assert (caught.value.status, "one record" in caught.value.message) == (413, True)


def test_one_record_of_too_many_values_is_refused() -> None:
    """A large record is a long text; as many small values would take a hundred times their bytes."""
    attributes = b"".join(delimited(6, delimited(1, b"k" * 10)) for _ in range(MAX_MESSAGES + 1))
    body = delimited(1, delimited(2, delimited(2, attributes)))
    assert len(body) > PIECE_BYTES

    with pytest.raises(Problem) as caught:
        decode("logs", body)

    assert (caught.value.status, "one record" in caught.value.message) == (413, True)
