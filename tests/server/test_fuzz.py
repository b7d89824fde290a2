"""A quick share of `make fuzz`: good requests, spoiled at random, and inputs that once broke a promise."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import run

SEEDS = list(seeds())


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_spoiled_requests_give_rows_or_refusals(number: int) -> None:
    """Whatever is flipped, cut, doubled or put elsewhere: any other exception fails the test."""
    rng = random.Random(number)
    run(SEEDS[number])
    for _ in range(150):
        run(spoiled(SEEDS[number], rng))


def spoiled(seed: bytes, rng: random.Random) -> bytes:
    """A request with some bytes changed; the first, which names the way in, stays."""
    data = bytearray(seed)
    for _ in range(rng.randint(1, 4)):
        at, end = sorted(rng.randint(1, len(data)) for _ in range(2))
        change = rng.randrange(4)
        if change == 0 and at < len(data):
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif change == 1:
            del data[at:end]
        elif change == 2:
            data[at:at] = data[at:end][:64]
        else:
            data[at:at] = rng.randbytes(rng.randint(1, 9))
    return bytes(data)


@given(st.binary(max_size=200))
def test_junk_gives_rows_or_refusals(junk: bytes) -> None:
    """Whatever someone sends."""
    run(junk)
