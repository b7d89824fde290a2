"""What every integration records by, without a framework."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import rundial as rd
from rundial.integrations.recorder import Recorder


@pytest.fixture
def run(spool_dir: Path) -> Iterator[rd.Run]:
    """A run that is not ours."""
    with rd.init(project="digits", mode="offline", spool_directory=str(spool_dir)) as made:
        yield made


@pytest.fixture
def recorder(run: rd.Run) -> Recorder:
    """A recorder into it."""
    return Recorder(run, {}, prefix=None, finish_on_end=True, keep_last=None)


def test_a_checkpoint_is_delivered_once_for_each_state_of_it(
    run: rd.Run, recorder: Recorder, tmp_path: Path
) -> None:
    """The best one is often the last one too."""
    path = tmp_path / "model.ckpt"
    for content in ("1", "22", "333"):
        path.write_text(content)
        recorder.checkpoint(path, step=3, source="here")
        recorder.checkpoint(path, step=3, source="here")
        kept = path.stat()
        # As long as it says the same of itself, it is the same.
        path.write_text(content)

        os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
        recorder.checkpoint(path, step=3, source="here")

    assert run.diagnostics().ledger.artifacts.recorded == 3


def test_a_checkpoint_that_is_gone_is_told(
    run: rd.Run, recorder: Recorder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A trainer that keeps few may have removed it by then; the training goes on."""
    assert recorder.checkpoint(tmp_path / "gone.ckpt", step=3, source="here") is False

    (told,) = [each.getMessage() for each in caplog.records]
    assert "gone.ckpt could not be logged" in told
    assert run.diagnostics().ledger.artifacts.recorded == 0


def test_a_checkpoint_that_lies_elsewhere_is_a_reference(
    run: rd.Run, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """Lightning writes to buckets too; the path of one is no path here."""
    for _ in range(2):
        assert recorder.checkpoint("s3://bucket/model.ckpt", step=3, source="here")

    assert caplog.records == []
    assert run.diagnostics().ledger.artifacts.recorded == 1
