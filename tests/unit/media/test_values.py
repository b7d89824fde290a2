"""Images, tables, histograms and figures: what is written is what was logged."""

from __future__ import annotations

import io
import json
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pil

import rundial as rd
from rundial.media import pixels
from rundial.media.values import Media


def _written(value: Media, place: Path) -> tuple[dict[str, Any], list[bytes]]:
    facts = value.snapshot().write(str(place))
    return facts, [(place / each["name"]).read_bytes() for each in facts["files"]]


def _shown(content: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Pil.open(io.BytesIO(content)))


class Tensor:
    """What torch's tensors look like, on a GPU or not; torch itself is gigabytes."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, f"torch.{array.dtype}"

    def detach(self) -> Tensor:
        """As torch has it."""
        return self

    def cpu(self) -> Tensor:
        """As torch has it."""
        return self

    def numpy(self) -> np.ndarray[Any, Any]:
        """As torch has it."""
        return self._array

    def float(self) -> Tensor:
        """As torch has it."""
        return Tensor(self._array.astype(np.float32))

    def double(self) -> Tensor:
        """As torch has it."""
        return Tensor(self._array.astype(np.float64))


RNG = np.random.default_rng(1)
BYTES = RNG.integers(0, 256, (5, 7, 4), np.uint8)


@pytest.mark.parametrize("has_pillow", [True, False])
@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (BYTES[:, :, 0], BYTES[:, :, 0]),
        (BYTES[:, :, :1], BYTES[:, :, 0]),
        (BYTES[:, :, :3], BYTES[:, :, :3]),
        (BYTES, BYTES),
        (BYTES[:, :, :3].astype(np.float32) / 255, BYTES[:, :, :3]),
        (np.array([[np.nan, np.inf, -1.0, 0.5]]), np.array([[0, 255, 0, 128]], np.uint8)),
        (np.array([[True, False]]), np.array([[255, 0]], np.uint8)),
        (np.array([[0xFFFF, 0x8000]], np.uint16), np.array([[255, 128]], np.uint8)),
        (np.array([[300, -4, 7]]), np.array([[255, 0, 7]], np.uint8)),
        (Tensor(BYTES.transpose(2, 0, 1)[:3].copy()), BYTES[:, :, :3]),
        (Tensor(np.ones((1, 2, 3), np.float32)), np.full((2, 3), 255, np.uint8)),
        (BYTES[::2, ::-1, :3], BYTES[::2, ::-1, :3]),
    ],
)
def test_array_becomes_its_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, array: Any, wanted: Any, has_pillow: bool
) -> None:
    """Each layout and number type is drawn as it is meant, with and without Pillow."""
    snapshot = rd.Image(array).snapshot()
    if not has_pillow:
        monkeypatch.setitem(sys.modules, "PIL", None)
    facts = snapshot.write(str(tmp_path))
    monkeypatch.undo()

    found = _shown((tmp_path / "image.png").read_bytes())
    assert np.array_equal(found, wanted)
    assert (facts["height"], facts["width"]) == wanted.shape[:2]


def test_small_png_writer_makes_files_that_another_reader_takes(tmp_path: Path) -> None:
    """Length, checksum and filter bytes are those of the specification."""
    content = pixels.png(pixels.Pixels(2, 1, 3, b"\1\2\3\4\5\6"))
    (length,) = struct.unpack_from(">I", content, 8)

    assert (length, content[12:16]) == (13, b"IHDR")
    assert struct.unpack_from(">I", content, 29)[0] == zlib.crc32(content[12:29])
    assert pixels.png_size(content) == (2, 1)
    assert _shown(content).tolist() == [[[1, 2, 3], [4, 5, 6]]]


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 2, 2, 2)), np.zeros((0, 4)), np.zeros((2, 5, 7)), "text".split, 3]
)
def test_what_is_no_image_is_told_at_the_call(wrong: Any) -> None:
    """A wrong shape or object is a TypeError of the snapshot, which the call counts."""
    with pytest.raises(TypeError):
        rd.Image(wrong).snapshot()


def test_masks_and_boxes_go_along(tmp_path: Path) -> None:
    """What is drawn over a picture is in files of its own, named by its manifest."""
    image = rd.Image(
        BYTES,
        masks={"truth": {"mask_data": np.eye(5, dtype=np.uint8), "class_labels": {1: "cat"}}},
        boxes={"found": {"box_data": [{"position": {"minX": 0.1}, "score": float("nan")}]}},
    )
    facts, (_, mask, overlays) = _written(image, tmp_path)

    assert [each["name"] for each in facts["files"]] == ["image.png", "mask-0.png", "overlays.json"]
    assert np.array_equal(_shown(mask), np.eye(5))
    assert json.loads(overlays) == {
        "masks": {"truth": {"file": "mask-0.png", "class_labels": {"1": "cat"}}},
        "boxes": {"found": {"box_data": [{"position": {"minX": 0.1}, "score": None}]}},
    }


def test_pil_image_is_taken_as_it_was(tmp_path: Path) -> None:
    """A picture that is drawn on after the call is written as it was at the call."""
    picture = Pil.fromarray(BYTES[:, :, :3])
    snapshot = rd.Image(picture).snapshot()
    picture.paste((0, 0, 0), (0, 0, 7, 5))
    snapshot.write(str(tmp_path))

    assert np.array_equal(_shown((tmp_path / "image.png").read_bytes()), BYTES[:, :, :3])


@pytest.mark.parametrize(
    "array", [np.zeros((2, 2)), np.zeros((2, 2), np.uint8), Tensor(np.zeros((3, 2, 2), np.float32))]
)
def test_buffer_that_is_used_again_is_written_as_it_was(tmp_path: Path, array: Any) -> None:
    """Whatever the number type: what comes after the call is not seen by the worker."""
    snapshot = rd.Image(array).snapshot()
    (array.numpy() if isinstance(array, Tensor) else array)[:] = 1
    snapshot.write(str(tmp_path))

    assert _shown((tmp_path / "image.png").read_bytes()).max() == 0


@pytest.mark.parametrize("values", [np.zeros(4), [0.0] * 4])
def test_values_that_change_are_counted_as_they_were(tmp_path: Path, values: Any) -> None:
    """A histogram is of the values at the call."""
    snapshot = rd.Histogram(values, bins=1).snapshot()
    values[0] = 1000.0
    snapshot.write(str(tmp_path))

    assert json.loads((tmp_path / "histogram.json").read_bytes())["edges"] == [-0.5, 0.5]


def test_table_is_valid_json_of_plain_values(tmp_path: Path) -> None:
    """Numbers stay numbers, what is not finite is named beside, and anything else is text."""
    rows: list[Any] = [
        [1, np.float32(0.5), "é", None],
        {"a": float("inf"), "b": np.int64(2**40), "d": Path("x")},
        [True, float("-inf"), float("nan")],
    ]
    facts, (content,) = _written(rd.Table(columns=["a", "b", "c", "d"], rows=rows), tmp_path)

    assert json.loads(content) == {
        "columns": ["a", "b", "c", "d"],
        "rows": [[1, 0.5, "é", None], [None, 2**40, None, "x"], [True, None, None, None]],
        "nonFinite": [[1, 0, "Infinity"], [2, 1, "-Infinity"], [2, 2, "NaN"]],
    }
    assert (facts["rows"], facts["columns"]) == (3, 4)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_are_tables(tmp_path: Path, library: str) -> None:
    """A frame needs no columns beside it."""
    frames = pytest.importorskip(library)
    frame = frames.DataFrame({"x": [1, 2], "y": ["a", "b"]})
    _, (content,) = _written(rd.Table(rows=frame), tmp_path)

    assert json.loads(content) == {"columns": ["x", "y"], "rows": [[1, "a"], [2, "b"]]}


def test_table_of_the_largest_size_is_taken_and_a_larger_one_refused(tmp_path: Path) -> None:
    """10,000 rows and 256 columns are the bound."""
    row = list(range(256))
    facts, _ = _written(rd.Table(columns=[str(n) for n in row], rows=[row] * 10_000), tmp_path)

    assert (facts["rows"], facts["columns"]) == (10_000, 256)
    with pytest.raises(ValueError, match="10,000 rows"):
        rd.Table(columns=["a"], rows=[[1]] * 10_001)
    with pytest.raises(ValueError, match="256 columns"):
        rd.Table(columns=[str(n) for n in range(257)], rows=[])
    with pytest.raises(ValueError, match="no place"):
        rd.Table(columns=["a"], rows=[[1, 2]])


@pytest.mark.parametrize("kind", [np.array, list])
def test_histogram_counts_what_is_finite(tmp_path: Path, kind: Any) -> None:
    """NaN and infinities are counted apart; numpy and plain Python agree."""
    values = [0.0, 0.1, 0.9, 1.0, float("nan"), float("inf")]
    _, (content,) = _written(rd.Histogram(kind(values), bins=2), tmp_path)

    assert json.loads(content) == {"counts": [2, 2], "edges": [0.0, 0.5, 1.0], "nonFinite": 2}


@pytest.mark.parametrize("library", ["matplotlib", "plotly"])
def test_figures_are_written(tmp_path: Path, library: str) -> None:
    """Matplotlib's as a PNG, plotly's as its JSON."""
    if library == "matplotlib":
        figures = pytest.importorskip("matplotlib.figure")
        figure = figures.Figure()
        figure.subplots().plot([1, 2])
        facts, (content,) = _written(rd.Figure(figure), tmp_path)
        assert pixels.png_size(content) == (facts["width"], facts["height"])
    else:
        graphs = pytest.importorskip("plotly.graph_objects")
        _, (content,) = _written(rd.Figure(graphs.Figure(graphs.Scatter(y=[1, 2]))), tmp_path)
        assert json.loads(content)["data"][0]["y"]
