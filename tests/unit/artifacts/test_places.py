"""Writing below one directory and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from rundial.artifacts.places import Place, parts_of
from rundial.errors import ArtifactError


@pytest.mark.parametrize(
    "name",
    ["..", "../a", "a/../b", "/a", "a//b", "a/", "", ".", "./a", "a\\b", "con", "NUL.txt", "a/COM1", "a\nb",
     "a\0b", "x" * 256, None, 3],
)  # fmt: skip
def test_name_that_could_lead_out_is_refused(name: object) -> None:
    """No name that a server sends opens anything but a file below the directory."""
    with pytest.raises(ArtifactError):
        parts_of(name)


@given(st.text(max_size=30))
def test_name_that_is_taken_stays_below(name: str) -> None:
    """Whatever the name: it is refused, or its path lies below."""
    try:
        parts = parts_of(name)
    except ArtifactError:
        return
    root = "/some/where"
    assert os.path.normpath(os.path.join(root, *parts)).startswith(root + "/")


def test_link_on_the_way_is_refused_and_one_at_the_place_is_replaced(tmp_path: Path) -> None:
    """A link that somebody has set up is never followed."""
    source, outside, root = tmp_path / "source", tmp_path / "outside", tmp_path / "root"
    source.write_text("content")
    outside.mkdir()
    root.mkdir()
    (root / "way").symlink_to(outside)
    (root / "file").symlink_to(outside / "file")
    place = Place(str(root))
    try:
        with pytest.raises(ArtifactError, match="in the way"):
            place.put(["way", "file"], str(source))
        place.put(["file"], str(source))
        place.put(["deep", "er", "file"], str(source))
    finally:
        place.close()

    assert list(outside.iterdir()) == []
    assert not (root / "file").is_symlink()
    assert (root / "file").read_text() == (root / "deep" / "er" / "file").read_text() == "content"
    assert sorted(path.name for path in root.iterdir()) == ["deep", "file", "way"]
