"""`SummaryWriter` records what TensorBoard's writer would have written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rundial
from rundial.compat.tensorboard import SummaryWriter
from rundial.errors import UnsupportedError
from rundial.signals import semconv
from rundial.testing.isolation import recording
from rundial.testing.recorded import Recorded


@pytest.fixture
def recorded(tmp_path: Path) -> Any:
    """What is recorded; not strict, as in production."""
    with recording(tmp_path / "spool", strict=False) as found:
        yield found


def test_scalars_keep_tags_steps_times_and_double_precision(recorded: Recorded) -> None:
    """A value is what was given, at its step and time; without a step each tag counts for itself."""
    with SummaryWriter("logs/one") as writer:
        writer.add_scalar("loss", np.array([0.1]), 3, walltime=1_700_000_000.5)
        writer.add_scalars("acc", {"train": 0.5, "val": 0.25}, np.int64(4))
        writer.add_scalar("free", 1)
        writer.add_scalar("free", 2)

    found = {(point.name, point.step): point.value for point in recorded.points()}
    assert found == {
        ("loss", 3): 0.1,
        ("acc/train", 4): 0.5,
        ("acc/val", 4): 0.25,
        ("free", 0): 1.0,
        ("free", 1): 2.0,
    }
    assert recorded.points("loss")[0].time_unix_ns // 1_000_000 == 1_700_000_000_500
    assert recorded.status == "completed"
    assert writer.run.name == "logs/one"


def test_text_hparams_and_media_are_recorded(recorded: Recorded) -> None:
    """Text is a line with key and step, parameters are config, pictures and histograms are media."""
    writer = SummaryWriter(comment="two")
    writer.add_text("note", "words", 2)
    writer.add_hparams({"lr": 0.1, "opt": "sgd"}, {"hparam/acc": 0.9})
    writer.add_image("picture", np.zeros((3, 4, 5)), 1)
    writer.add_images("many", np.zeros((2, 4, 5, 3), dtype=np.uint8), 1, dataformats="NHWC")
    writer.add_histogram("weights", np.arange(10.0), 1)
    writer.add_histogram_raw("raw", 0, 2, 3, 3, 5, [1, 2], [1, 2], 1)
    writer.add_pr_curve("pr", np.array([0, 1, 1]), np.array([0.1, 0.9, 0.4]), 1, num_thresholds=3)
    writer.close()

    (line,) = recorded.lines
    assert (line.text, line.attributes[semconv.TEXT_KEY], line.attributes[semconv.STEP]) == (
        "words",
        "note",
        2,
    )
    assert recorded.config == {"lr": 0.1, "opt": "sgd"}
    assert recorded.values("hparam/acc") == [0.9]
    shown = [event.body for event in recorded.events if event.name == semconv.EVENT_MEDIA]
    assert sorted((each["media_key"], each["media_type"]) for each in shown) == [
        ("many", "image"),
        ("many", "image"),
        ("picture", "image"),
        ("pr", "table"),
        ("raw", "histogram"),
        ("weights", "histogram"),
    ]
    assert [(each["width"], each["height"]) for each in shown if each["media_key"] == "picture"] == [(5, 4)]


def test_writer_of_a_given_run_leaves_its_end_to_its_owner(recorded: Recorded) -> None:
    """A run that the script has started goes on when the writer is closed."""
    run = rundial.init(project="p")
    with SummaryWriter(run=run) as writer:
        writer.add_scalar("a", 1, 0)
    writer.close()

    assert not run.has_finished
    assert writer.log_dir == run.run_id


def test_what_has_no_counterpart_says_so(recorded: Recorded) -> None:
    """Graphs, meshes, audio and video are named, and `hasattr` answers False."""
    writer = SummaryWriter()
    for name in ("add_graph", "add_audio", "add_video", "add_mesh", "add_embedding"):
        assert not hasattr(writer, name)
        with pytest.raises(UnsupportedError, match=name):
            getattr(writer, name)
    writer.close()


def test_import_loads_neither_torch_nor_tensorboard() -> None:
    """The writer costs what a run costs."""
    script = "import sys, rundial.compat.tensorboard; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert not [name for name in ("'torch'", "'tensorboard'", "'numpy'") if name in done.stdout]
