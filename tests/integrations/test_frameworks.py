"""Real trainings of real frameworks on the CPU, each a program of its own, and what they have recorded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rundial.signals import semconv
from rundial.testing.recorded import Recorded

pytestmark = [pytest.mark.integrations, pytest.mark.timeout(300)]

SCRIPTS = Path(__file__).parent / "scripts"
TOKEN = b"hf_aaaa"
FRAMEWORKS = (
    "lightning",
    "transformers",
    "keras",
    "accelerate",
    "optuna",
    "xgboost",
    "lightgbm",
    "sklearn",
    "torch",
)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points are the program's own, and no hub is asked for anything."""
    monkeypatch.setenv("RUNDIAL_SYSTEM_METRICS", "false")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def _run(name: str, *args: str, place: Path, ranks: int = 1, fails: bool = False) -> Recorded:
    place.mkdir(exist_ok=True)
    # A launcher of torch's, with gloo between the ranks.
    launcher = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)] if ranks > 1 else []
    )
    command = [sys.executable, "-W", "ignore", *launcher, str(SCRIPTS / f"{name}.py"), *args]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=280)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    if fails:
        assert "in the middle" in done.stderr
    return Recorded(place / ".rundial_spool")


def _steps(recorded: Recorded, name: str) -> list[int | None]:
    return [point.step for point in recorded.points(name)]


def _leaks(place: Path) -> list[str]:
    """Files of the recorder, snapshots of the program's own files apart, that hold the token."""
    return [
        str(path)
        for path in (place / ".rundial_spool").rglob("*")
        if path.is_file() and "artifacts" not in path.parts and TOKEN in path.read_bytes()
    ]


def test_x7_lightning_records_fit_validate_test_and_a_second_fit(tmp_path: Path) -> None:
    """One run has all of it, each value once, and the second fit's steps follow the first one's."""
    recorded = _run("lightning_fit", place=tmp_path)

    assert _steps(recorded, "train/loss") == [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12]
    assert _steps(recorded, "val/loss") == [3, 7, 8, 12]
    assert _steps(recorded, "test/loss") == [8]
    assert recorded.config == {"lr": 0.1, "hub_token": "[redacted]", "seed": 0}
    assert recorded.status == "completed"
    assert _leaks(tmp_path) == []


def test_x7_transformers_records_train_evaluate_predict_and_a_second_train(tmp_path: Path) -> None:
    """What the trainer tells twice is recorded once, and nothing after the first train is lost."""
    recorded = _run("transformers_train", place=tmp_path)

    assert _steps(recorded, "loss") == [1, 2, 3, 4, 5, 6, 7, 8]
    assert _steps(recorded, "eval_accuracy") == [2, 4, 6, 8]
    assert _steps(recorded, "eval_runtime") == [2, 4, 4, 6, 8]
    assert _steps(recorded, "test_loss") == [4]
    assert recorded.config["learning_rate"] == 5e-05
    assert recorded.config["model"]["hidden_size"] == 8
    assert recorded.status == "completed"


def test_s3_a_token_among_the_arguments_never_leaves(tmp_path: Path) -> None:
    """The trainer's own arguments go by Rundial's policy for secrets, whatever the trainer says of them."""
    recorded = _run("transformers_train", "--what", "first", place=tmp_path)

    assert recorded.config["hub_token"] == "[redacted]"
    assert _leaks(tmp_path) == []


def test_x7_keras_records_fit_evaluate_and_a_second_fit(tmp_path: Path) -> None:
    """Epochs and batches are counted on; an evaluation within `fit` is not told twice."""
    recorded = _run("keras_fit", place=tmp_path)

    assert _steps(recorded, "loss") == [1, 2, 3]
    assert _steps(recorded, "val_loss") == [1, 2, 3]
    assert _steps(recorded, "batch/loss") == [0, 1, 2, 3, 4, 5]
    assert _steps(recorded, "test_loss") == [2]
    assert recorded.config["optimizer"]["class"] == "SGD"
    assert recorded.status == "completed"


@pytest.mark.parametrize(
    ("script", "metric", "steps"),
    [
        ("lightning_fit", "train/loss", [0, 1, 2]),
        ("transformers_train", "loss", [1, 2]),
        ("keras_fit", "loss", [1]),
        ("accelerate_loop", "loss", [0, 1]),
    ],
)
def test_exception_in_the_middle_fails_the_run_and_keeps_what_was_recorded(
    script: str, metric: str, steps: list[int], tmp_path: Path
) -> None:
    """The program's own exception goes on its way, and the run says what it was."""
    recorded = _run(script, "--what", "raise", place=tmp_path, fails=True)

    assert _steps(recorded, metric) == steps
    assert recorded.status == "failed"
    (end,) = [event.body for event in recorded.events if event.name == semconv.EVENT_RUN_FINISH]
    assert "in the middle" in end["reason"]


@pytest.mark.parametrize(
    ("script", "metric", "steps"),
    [
        ("lightning_fit", "train/loss", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("transformers_train", "loss", [1, 2, 3, 4]),
        ("keras_fit", "loss", [1, 2]),
    ],
)
def test_training_resumed_from_a_checkpoint_goes_on_in_its_run(
    script: str, metric: str, steps: list[int], tmp_path: Path
) -> None:
    """The second program is the run's second attempt, and its steps go on where the checkpoint was."""
    _run(script, "--what", "first", place=tmp_path)
    recorded = _run(script, "--what", "resume", place=tmp_path)

    assert recorded.run_ids == ["again"]
    assert sorted(step for step in _steps(recorded, metric) if step is not None) == steps
    assert {event.attempt for event in recorded.events} == {1, 2}


def test_two_ranks_of_lightning_are_one_run(tmp_path: Path) -> None:
    """The second rank, which gloo joins to the first, records nothing of its own."""
    recorded = _run("lightning_fit", "--devices", "2", place=tmp_path)

    assert len(recorded.run_ids) == 1
    assert _steps(recorded, "train/loss") == [0, 1, 2, 3]
    assert _steps(recorded, "val/loss") == [1, 3]


def test_two_ranks_of_accelerate_are_one_run(tmp_path: Path) -> None:
    """The main process's tracker records; the token of its config never leaves."""
    recorded = _run("accelerate_loop", place=tmp_path, ranks=2)

    assert len(recorded.run_ids) == 1
    assert recorded.values("rank") == [0, 0, 0]
    assert recorded.config == {"lr": 0.1, "api_token": "[redacted]"}
    shown = [event.body for event in recorded.events if event.name == semconv.EVENT_MEDIA]
    assert sorted((each["media_key"], each["media_type"]) for each in shown) == [
        ("picture", "image"),
        ("table", "table"),
    ]


def test_boosters_searches_and_studies_have_a_run_each(tmp_path: Path) -> None:
    """XGBoost, LightGBM, scikit-learn and Optuna in one program; a run ends where the next one begins."""
    recorded = _run("boosters", place=tmp_path)
    starts = {
        event.body["name"]: event.run_id for event in recorded.events if event.name == semconv.EVENT_RUN_START
    }
    runs = {name: recorded.of(run_id) for name, run_id in starts.items()}

    assert {name: run.status for name, run in runs.items()} == dict.fromkeys(
        ("xgboost", "lightgbm", "sklearn", "optuna"), "completed"
    )
    assert _steps(runs["xgboost"], "train/logloss") == [0, 1, 2, 3, 4, 5]
    assert _steps(runs["lightgbm"], "train/binary_logloss") == [0, 1, 2, 3, 4, 5]
    assert runs["lightgbm"].config["lightgbm"]["num_leaves"] == 4
    assert _steps(runs["sklearn"], "test/accuracy") == [0]
    assert runs["sklearn"].values("search/C") == [0.1, 1.0]
    assert _steps(runs["optuna"], "loss") == [0, 2, 3]
    assert set(runs["optuna"].summary) == {"best_trial", "best_value", "best_params"}


@pytest.mark.parametrize(
    ("library", "points"),
    [
        ("lightning", {"loss": [0, 1, 2], "epoch": [0, 1, 2], "trainer/global_step": [0, 1, 2]}),
        ("transformers", {"train/loss": [0, 1], "train/global_step": [0, 1, 2, 3], "eval/loss": [3]}),
        ("accelerate", {"loss": [0, 1, 2]}),
        ("optuna", {"loss": [0, 1, 2], "x": [0, 1, 2]}),
    ],
)
def test_library_that_imports_wandb_records_here(
    library: str, points: dict[str, list[int]], tmp_path: Path
) -> None:
    """Lightning's WandbLogger, `report_to="wandb"`, accelerate's tracker, Optuna's callback, as they are."""
    recorded = _run("through_wandb", "--what", library, place=tmp_path)

    assert {name: _steps(recorded, name) for name in points} == points
    assert recorded.status == "completed"


def test_what_is_written_to_tensorboard_is_recorded_while_the_run_goes_on(tmp_path: Path) -> None:
    """`sync_tensorboard=True`: each at its own step, a second writer's by its name, none after the end."""
    recorded = _run("through_wandb", "--what", "tensorboard", place=tmp_path)

    assert [(point.name, point.step) for point in recorded.points()] == [
        *(("loss", step) for step in range(3)),
        ("eval/loss", 7),
    ]
    (line,) = recorded.lines
    assert line.text == "so far so good"
    assert line.attributes == {semconv.STEP: 2, semconv.TEXT_KEY: "note/text_summary"}


# The one module of its framework that each needs; what that brings along is the framework's own affair.
NEEDS = {
    "lightning": "lightning.pytorch.loggers.logger",
    "transformers": "transformers.trainer_callback",
    "keras": "keras.callbacks",
    "accelerate": "accelerate.tracking",
    "xgboost": "xgboost.callback",
    "lightgbm": None,
    "optuna": None,
    "sklearn": None,
}
IMPORTED = "import sys, {module}; print(*sys.modules)"


def _frameworks(module: str, place: Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORTED.format(module=module)],
        cwd=place,
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        check=True,
        timeout=140,
    )
    return set(done.stdout.split()) & set(FRAMEWORKS)


@pytest.mark.parametrize("name", NEEDS)
def test_p10_importing_one_integration_imports_no_other_framework(name: str, tmp_path: Path) -> None:
    """What it needs of its own framework is imported, and where it needs nothing, nothing is."""
    loaded = _frameworks(f"rundial.integrations.{name}", tmp_path)
    needed = NEEDS[name]

    assert loaded <= (set() if needed is None else _frameworks(needed, tmp_path))
