"""TensorBoard's files are read as they are, up to where they are torn."""

from __future__ import annotations

from pathlib import Path

import pytest

from rundial.importers import tensorboardruns
from rundial.importers.imported import NothingToImportError
from tests.support import eventfiles as made


def test_checksum_is_the_published_one() -> None:
    """The check value of CRC-32C."""
    assert tensorboardruns.crc32c(b"123456789") == 0xE3069283


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    """Scalars of both writers, text, pictures, histograms and hparams, each at its step and time."""
    made.write(
        tmp_path / "run",
        made.event(1_700_000_001.5, 0, made.hparams({"lr": 0.1, "opt": "sgd"})),
        made.event(1_700_000_002.25, 3, made.scalar("loss", 0.5), made.tensor_scalar("acc", 0.25)),
        made.event(1_700_000_003.0, 4, made.text("note", "words"), made.image("pic", b"\x89PNG1")),
        made.event(1_700_000_004.0, 5, made.histogram("weights", [1.0, 2.0, 3.0], [1.0, 0.0, 2.0])),
    )
    (folder,) = tensorboardruns.find(tmp_path)
    found = tensorboardruns.imported(folder, tmp_path)

    assert found.name == "run"
    assert found.config == {"lr": 0.1, "opt": "sgd"}
    assert [tuple(point) for point in found.points] == [
        ("loss", 3, 0.5, 1_700_000_002_250),
        ("acc", 3, 0.25, 1_700_000_002_250),
    ]
    assert [(line.key, line.text, line.step) for line in found.lines] == [("note", "words", 4)]
    assert [(shown.name, shown.step) for shown in found.media] == [("pic", 4), ("weights", 5)]
    assert (found.started_unix_ns, found.finished_unix_ns) == (
        1_700_000_001_500_000_000,
        1_700_000_004_000_000_000,
    )
    assert dict(found.left_out) == {}


def test_file_that_is_torn_anywhere_gives_every_whole_event(tmp_path: Path) -> None:
    """A writer that was killed costs at most its last event, which is reported."""
    events = [made.event(1_700_000_000.0 + step, step, made.scalar("loss", step)) for step in range(3)]
    path = made.write(tmp_path, *events)
    content = path.read_bytes()
    ends = [len(content) - sum(len(made.record(each)) for each in events[number:]) for number in range(4)]
    for cut in range(ends[0], len(content) + 1):
        path.write_bytes(content[:cut])
        found = tensorboardruns.imported(path, path)
        wanted = sum(end <= cut for end in ends[1:])

        assert [point.step for point in found.points] == list(range(wanted))
        assert ("the torn end of a file" in found.left_out) == (cut not in ends)


def test_id_stays_when_a_run_goes_on(tmp_path: Path) -> None:
    """An import of a run that has grown finds the run that it has made."""
    first = made.event(1_700_000_000.0, 0, made.scalar("loss", 1.0))
    before = tensorboardruns.imported(made.write(tmp_path, first), tmp_path).run_id
    path = made.write(tmp_path, first, made.event(1_700_000_001.0, 1, made.scalar("loss", 0.5)))

    assert tensorboardruns.imported(path, tmp_path).run_id == before


def test_directory_without_events_is_told(tmp_path: Path) -> None:
    """A wrong path is one error that says what was looked for."""
    with pytest.raises(NothingToImportError, match="no event file"):
        tensorboardruns.find(tmp_path)
