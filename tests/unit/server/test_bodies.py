"""Unpacking a body, within its bound."""

from __future__ import annotations

import gzip
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.server.bodies import unpack
from rundial.server.problems import Problem


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4))
def test_unpack_reads_every_member_of_a_gzip_body(parts: list[bytes]) -> None:
    """A body that was packed in pieces is read whole."""
    assert unpack(b"".join(map(gzip.compress, parts)), "gzip") == b"".join(parts)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_unpack_refuses_a_torn_gzip_body(body: bytes, data: st.DataObject) -> None:
    """Half a request is never taken for a whole one."""
    packed = gzip.compress(body)
    cut = data.draw(st.integers(1, len(packed) - 1))

    with pytest.raises(Problem) as caught:
        unpack(packed[:cut], "gzip")

    assert caught.value.status == 400


@given(st.binary(max_size=100))
def test_unpack_of_junk_is_a_refusal_and_nothing_else(junk: bytes) -> None:
    """Whatever someone sends, the answer is ours."""
    with suppress(Problem):  # any other exception fails the test
        assert unpack(junk, "gzip") is not None


@pytest.mark.parametrize("members", [1, 3])
def test_unpack_holds_to_its_bound_over_all_members(members: int) -> None:
    """Many small members cannot add up to what one large one may not be."""
    packed = gzip.compress(bytes(100)) * members

    assert len(unpack(packed, "gzip", max_bytes=100 * members)) == 100 * members
    with pytest.raises(Problem) as caught:
        unpack(packed, "gzip", max_bytes=100 * members - 1)
    assert caught.value.status == 413


def test_unpack_leaves_a_plain_body_alone_and_bounds_it_too() -> None:
    """The bound is on what is decoded, packed or not."""
    assert unpack(b"abc", "", max_bytes=3) == unpack(b"abc", " Identity ", max_bytes=3) == b"abc"
    with pytest.raises(Problem) as caught:
        unpack(b"abcd", "", max_bytes=3)
    assert caught.value.status == 413


@given(st.binary(max_size=400), st.booleans())
def test_unpack_reads_deflate_with_and_without_its_head(body: bytes, is_bare: bool) -> None:
    """HTTP means zlib's form by that name, and some programs send the bare one."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS if is_bare else zlib.MAX_WBITS)

    assert unpack(packer.compress(body) + packer.flush(), "deflate") == body


@given(st.binary(max_size=100))
def test_unpack_of_junk_as_deflate_is_a_refusal_and_nothing_else(junk: bytes) -> None:
    """Whatever someone sends, the answer is ours."""
    with suppress(Problem):
        assert unpack(junk, "deflate", max_bytes=1_000) is not None
