"""Files and media of a run: what the calls take, refuse and say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rundial as rd
from rundial.api import jobs
from rundial.api.run import Run
from rundial.errors import RundialRequestError
from rundial.testing import recording
from rundial.testing.recorded import Recorded
from tests.support.filesrig import account


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    """What is recorded, strictly."""
    with recording(tmp_path / "spool") as found:
        yield found


@pytest.fixture
def run(recorded: Recorded) -> Iterator[Run]:
    """A run that records offline."""
    del recorded
    with rd.init(project="digits") as run:
        yield run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path_or_dir": "gone"}, "cannot be read"),
        ({"path_or_dir": "a", "name": ""}, "name must be"),
        ({"path_or_dir": "a", "name": "a:b"}, "':'"),
        ({"path_or_dir": "a", "metadata": {"x": "y" * 40_000}}, "metadata is over"),
        ({"path_or_dir": "a", "aliases": "latest"}, "aliases must be a list"),
        ({"path_or_dir": "a", "retention_policy": {"strategy": "some"}}, "strategy"),
        ({"path_or_dir": "a", "retention_policy": {"strategy": "ttl", "ttlSeconds": 0}}, "ttlSeconds"),
        ({"path_or_dir": "a", "retention_policy": {"strategy": "ttl"}}, "ttl needs ttlSeconds"),
        ({"path_or_dir": "a", "retention_policy": {"strategy": "keep_last", "keep": 3}}, "'keep'.*keepLast"),
        ({"path_or_dir": "a", "aliases": ["v3"]}, "'v3' is a version"),
        ({"path_or_dir": None}, "needs a path or references"),
        ({"path_or_dir": None, "references": ["ftp://x/y"]}, "must begin with"),
        ({"path_or_dir": None, "references": ["https://me:secret@x/y"]}, "user name or password"),
    ],
)
def test_wrong_argument_is_told_and_nothing_is_logged(
    run: Run, arguments: dict[str, Any], words: str
) -> None:
    """A path that is not there, or what the server would refuse, is a ValueError at the call."""
    Path("a").write_text("x")
    with pytest.raises(ValueError, match=words) as caught:
        run.log_artifact(**arguments)

    assert "secret" not in str(caught.value)
    assert account(run).logged == 0


@pytest.mark.parametrize("keep_last", [0, -1, True])
def test_checkpoint_keeps_at_least_one(run: Run, keep_last: int) -> None:
    """`keep_last` is a whole number from 1, or None."""
    Path("a").write_text("x")
    with pytest.raises(ValueError, match="keep_last"):
        run.checkpoint("a", keep_last=keep_last)


def test_reference_is_kept_as_it_is(tmp_path: Path) -> None:
    """A URI, in the place of a path or beside it, names a file that stays where it is."""
    job = jobs.artifact(
        "s3://bucket/data/part.parquet",
        name=None,
        type=None,
        metadata=None,
        aliases=None,
        retention=None,
        references={"local": str(tmp_path / "é x")},
    )

    assert job["name"] == "local"
    assert [each["uri"] for each in job["references"]] == [
        f"file://{tmp_path}/%C3%A9%20x",
        "s3://bucket/data/part.parquet",
    ]
    assert "path" not in job


def test_media_and_numbers_of_a_call_share_their_step(run: Run, recorded: Recorded) -> None:
    """Nested, bare and named media are told from numbers, which go the way that they always go."""
    from PIL import Image as Pil

    picture = Pil.new("L", (3, 2))
    assert run.log(
        {"loss": 1.0, "val": {"image": picture, "acc": 0.5}, "h": rd.Histogram([1.0, 2.0])}, step=7
    )
    assert run.log({"image": rd.Image(np.zeros((2, 2), np.uint8), caption="c", metadata={"a": float("nan")})})
    assert run.flush(10)

    points = {(point.name, point.step) for point in recorded.points()}
    assert points == {("loss", 7), ("val/acc", 7)}
    bodies = [event.body for event in recorded.events if event.name == "rundial.media"]
    rows = {body["media_key"]: body for body in bodies}
    assert set(rows) == {"val/image", "h", "image"}
    assert (rows["val/image"]["step"], rows["val/image"]["width"], rows["val/image"]["height"]) == (7, 3, 2)
    assert (rows["image"]["caption"], rows["image"]["metadata"]) == ("c", {"a": "nan"})
    assert rows["h"]["media_type"] == "histogram"
    assert rows["h"]["artifact_path"].startswith("h/7-")
    assert len(rows["h"]["sha256"]) == 64


def test_key_in_any_alphabet_makes_a_safe_path(run: Run, recorded: Recorded) -> None:
    """A key is never a path by itself: it is escaped."""
    assert run.log({"../é x": rd.Histogram([1.0])}, step=0)
    assert run.flush(10)

    (row,) = [event.body for event in recorded.events if event.name == "rundial.media"]
    assert row["media_key"] == "../é x"
    assert "é" not in row["artifact_path"]


def test_what_is_no_media_costs_itself_alone(tmp_path: Path) -> None:
    """A wrong image is dropped, counted and told; the other entries of the call are kept."""
    with recording(tmp_path / "spool", strict=False) as recorded, rd.init(project="digits") as run:
        with pytest.warns(RuntimeWarning, match="gone.png"):
            assert not run.log({"loss": 1.0, "image": rd.Image("gone.png")}, step=1)
        assert run.flush(10)

        assert [point.name for point in recorded.points()] == ["loss"]
        assert account(run).dropped == {"invalid": 1}


def test_long_values_of_a_span_are_kept_beside_it(run: Run, recorded: Recorded, tmp_path: Path) -> None:
    """The span has a preview, size, digest and type; the whole is a file, offline too."""
    answer = {"rows": [{"text": "é" * 3_000}] * 5}
    assert run.tool_call("search", input="q" * 20_000, output=answer)
    assert run.tool_call("short", input="q" * 1_000)
    assert run.flush(10)

    long, short = recorded.spans
    assert short.attributes["tool.input"] == "q" * 1_000
    assert long.attributes["tool.input"] == "q" * 1_024
    assert long.attributes["tool.input.rundial.original_bytes"] == 20_000
    assert long.attributes["tool.output.rundial.evidence.content_type"] == "application/json"
    assert account(run).waiting_spool == 2
    path = long.attributes["tool.output.rundial.evidence.path"].removeprefix("evidence/")
    (kept,) = (tmp_path / "spool").glob(f"*/*/artifacts/*/{path}")
    assert json.loads(kept.read_bytes()) == answer


@pytest.mark.parametrize(
    "answer",
    [
        list(range(1_500)),
        {"rows": [{"score": number / 7} for number in range(3_000)]},
        {"pixels": np.arange(4_000).reshape(40, 100)},
        [0.5] * 30_000,
        {"deep": [[[[["x" * 20_000]]]]], "loss": [1.0, 2.5]},
    ],
)
def test_a_nested_value_is_kept_with_nothing_left_out(
    run: Run, recorded: Recorded, tmp_path: Path, answer: Any
) -> None:
    """What a span has no room for is whole in its file, however many items it has."""
    assert run.tool_call("search", output=answer)
    assert run.flush(10)

    (span,) = recorded.spans
    path = str(span.attributes["tool.output.rundial.evidence.path"]).removeprefix("evidence/")
    (kept,) = (tmp_path / "spool").glob(f"*/*/artifacts/*/{path}")
    assert json.loads(kept.read_bytes()) == json.loads(json.dumps(answer, default=np.ndarray.tolist))


def test_evidence_of_any_size_is_kept_whole(run: Run, recorded: Recorded) -> None:
    """An answer of 40 MiB is delivered as any other."""
    assert run.tool_call("fetch", output=b"x" * (40 << 20))
    assert run.flush(10)

    (span,) = recorded.spans
    assert span.attributes["tool.output.rundial.original_bytes"] == 40 << 20
    assert account(run).waiting_spool == 1


@pytest.mark.parametrize("build", ["itself", "wide"])
def test_a_value_without_an_end_is_cut_and_costs_nothing_else(
    run: Run, recorded: Recorded, build: str
) -> None:
    """A list that contains itself is no file of any size: the span says its beginning, marked."""
    endless: list[Any] = ["x"]
    endless += [endless] * (1 if build == "itself" else 2)
    assert run.tool_call("search", output=endless)
    assert run.flush(10)

    (span,) = recorded.spans
    assert "tool.output.rundial.evidence.path" not in span.attributes
    assert "…" in str(span.attributes["tool.output"])


def test_a_directory_is_no_picture(tmp_path: Path) -> None:
    """Nobody learns of it only from the worker."""
    (tmp_path / "pictures").mkdir()
    with recording(tmp_path / "spool", strict=False), rd.init(project="digits") as run:
        with pytest.warns(RuntimeWarning, match="is a directory"):
            assert not run.log({"image": rd.Image(tmp_path / "pictures")})

        assert account(run).dropped == {"invalid": 1}


def test_disabled_run_keeps_no_file_and_says_so() -> None:
    """Nothing is written, and the call says that nothing was kept."""
    Path("a").write_text("x")
    run = rd.init(project="digits", mode="disabled", strict=True)

    assert not run.log_artifact("a")
    assert not run.checkpoint("a")
    assert not run.log({"image": rd.Image("a")})
    with pytest.raises(RundialRequestError, match="disabled"):
        run.use_artifact("a")


def test_checkpoint_of_the_current_run(run: Run) -> None:
    """`rd.checkpoint` is the last run's own; without one it says what to do."""
    Path("a").write_text("x")
    assert rd.checkpoint("a", step=3)
    assert account(run).recorded == 1
    run.finish()
    with pytest.raises(RuntimeError, match=r"call rundial\.init first"):
        rd.checkpoint("a")
