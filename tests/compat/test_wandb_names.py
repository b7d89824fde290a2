"""What a script that was written for W&B's client may rely on, call by call."""

from __future__ import annotations

import argparse
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rundial.compat.wandb as wandb
from rundial.compat.wandb import active
from rundial.errors import UnsupportedError
from rundial.signals import semconv
from rundial.testing.isolation import recording
from rundial.testing.recorded import Recorded


@pytest.fixture
def recorded(tmp_path: Path) -> Any:
    """What is recorded; not strict, as in production. No run is current before or after."""
    with recording(tmp_path / "spool", strict=False) as found:
        yield found
        active.finish()


def _points(recorded: Recorded) -> dict[tuple[str, int | None], float]:
    return {(point.name, point.step): point.value for point in recorded.points()}


def test_x6_hasattr_answers_for_what_there_is_and_is_not(recorded: Recorded) -> None:
    """A library that asks first is told the truth; there is no run before there is one."""
    assert wandb.run is None
    assert hasattr(wandb, "run")
    assert not hasattr(wandb, "Api")
    with pytest.raises(UnsupportedError, match=r"wandb\.Api.*docs/wandb-compat\.md") as raised:
        getattr(wandb, "Api")  # noqa: B009 -- a type checker knows that the name is wrong
    assert isinstance(raised.value, NotImplementedError)
    assert isinstance(raised.value, AttributeError)
    run = wandb.init(project="p")
    assert wandb.run is run
    assert isinstance(run, wandb.sdk.wandb_run.Run)
    assert not hasattr(run, "link_artifact")


def test_x6_init_takes_notes_and_config_has_the_ways_of_a_mapping(recorded: Recorded) -> None:
    """`notes=`, positional arguments, `config.get`, `keys` and `items`, nested values: all are taken."""
    run = wandb.init("team", "p", notes="why", config={"lr": 0.1, "model": {"depth": 3}}, name="first")
    run.config.update(argparse.Namespace(batch=32))

    assert (run.project, run.notes, run.name, run.entity) == ("p", "why", "first", "team")
    assert run.name != run.id
    assert run.config.get("lr") == 0.1
    assert run.config.get("no", 5) == 5
    assert list(run.config.keys()) == ["lr", "model", "batch"]
    assert dict(run.config.items()) == {"lr": 0.1, "model": {"depth": 3}, "batch": 32}
    assert wandb.config.model["depth"] == 3
    assert recorded.config == {"lr": 0.1, "model": {"depth": 3}, "batch": 32, "_wandb": {"notes": "why"}}


def test_x6_log_takes_nested_names_texts_and_none(recorded: Recorded) -> None:
    """Nested names are joined by dots, a text keeps its key and step, None is nothing."""
    wandb.init(project="p")
    wandb.log({"a": {"b": 1, "c": {"d": 2}}, "note": "words", "nothing": None})

    assert _points(recorded) == {("a.b", 0): 1.0, ("a.c.d", 0): 2.0}
    (line,) = recorded.lines
    assert (line.text, line.attributes[semconv.TEXT_KEY], line.attributes[semconv.STEP]) == (
        "words",
        "note",
        0,
    )
    assert recorded.summary == {"note": "words"}


def test_x6_commit_false_leaves_the_row_open(recorded: Recorded) -> None:
    """Several calls make one row; the step goes on with the one that commits."""
    run = wandb.init(project="p")
    run.log({"a": 1}, commit=False)
    run.log({"b": 2})
    run.log({"a": 3})

    assert _points(recorded) == {("a", 0): 1.0, ("b", 0): 2.0, ("a", 1): 3.0}


def test_step_below_the_current_one_is_dropped_told_and_counted(recorded: Recorded) -> None:
    """As with the real client, and besides it is in the ledger."""
    run = wandb.init(project="p")
    run.log({"a": 1}, step=5)
    with pytest.warns(RuntimeWarning, match="less than the current step 5"):
        run.log({"a": 2, "b": 3}, step=4)

    assert _points(recorded) == {("a", 5): 1.0}
    assert run.recorded.diagnostics().ledger.points.dropped == {"invalid": 2}


@pytest.mark.parametrize("use", [lambda: wandb.log({}), lambda: wandb.config.lr, lambda: wandb.summary["x"]])
def test_use_before_init_says_what_to_call(use: Any, recorded: Recorded) -> None:
    """The error names `init`."""
    with pytest.raises(wandb.Error, match=r"wandb\.init\(\)"):
        use()


def test_finish_without_a_run_does_nothing(recorded: Recorded) -> None:
    """Scripts finish in an `atexit` or twice."""
    wandb.finish()
    run = wandb.init(project="p")
    wandb.finish()
    run.finish()

    assert wandb.run is None
    assert recorded.status == "completed"


def test_exit_code_of_finish_fails_the_run(recorded: Recorded) -> None:
    """A launcher that says 1 has failed."""
    wandb.init(project="p")
    wandb.finish(exit_code=1)

    assert recorded.status == "failed"


def test_config_changes_only_when_the_call_says_so(recorded: Recorded) -> None:
    """A sweep or a command line that would change a key without a word is noticed."""
    run = wandb.init(project="p", config={"lr": 0.1})
    for change in (lambda: run.config.update({"lr": 0.2}), lambda: setattr(run.config, "lr", 0.2)):
        with pytest.raises(wandb.Error, match="allow_val_change"):
            change()
    run.config.update({"lr": 0.1})
    run.config.update({"lr": 0.3}, allow_val_change=True)

    assert run.config.lr == 0.3
    assert not hasattr(run.config, "momentum")
    with pytest.raises(KeyError):
        run.config["momentum"]


def test_a_token_in_the_config_never_leaves(recorded: Recorded) -> None:
    """W&B's config goes by Rundial's policy for secrets."""
    wandb.init(project="p", config={"hub_token": "hf_" + "a" * 20, "lr": 1})

    assert recorded.config == {"hub_token": "[redacted]", "lr": 1}


def test_summary_shows_the_last_value_and_what_was_set_until_it_is_logged(recorded: Recorded) -> None:
    """Of a key that was set by hand and then logged, the logged value counts."""
    run = wandb.init(project="p")
    run.define_metric("acc", summary="max")
    run.summary["best"] = 1
    run.log({"acc": 0.5, "loss": 3, "n": {"a": 1}})
    run.log({"acc": 0.4, "loss": 2, "best": 7})

    assert run.summary["acc"] == {"max": 0.5}
    assert (run.summary["loss"], run.summary["best"], run.summary["n"]) == (2, 7, {"a": 1})
    assert run.summary.get("no") is None
    assert recorded.summary == {}


def test_second_init_returns_the_run_that_goes_on(recorded: Recorded) -> None:
    """A library that calls `init` after the script joins the script's run; `reinit` makes another."""
    first = wandb.init(project="p")
    assert wandb.init(project="q", config={"x": 1}) is first
    assert first.config.x == 1
    second = wandb.init(project="p", reinit=True)
    assert second is not first
    beside = wandb.init(project="p", reinit="create_new")
    assert wandb.run is second
    beside.finish()


def test_environment_says_what_arguments_do_not(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """`WANDB_*` variables count, and an argument before them."""
    for name, value in {
        "WANDB_PROJECT": "from-env",
        "WANDB_NAME": "named",
        "WANDB_TAGS": "a, b",
        "WANDB_RUN_GROUP": "g",
        "WANDB_RUN_ID": "id-1",
        "WANDB_API_KEY": "0123456789",
    }.items():
        monkeypatch.setenv(name, value)
    run = wandb.init(group="argument")

    assert (run.project, run.name, run.tags, run.group, run.id) == (
        "from-env",
        "named",
        ("a", "b"),
        "argument",
        "id-1",
    )
    assert run.recorded.settings.api_key is None


def test_disabled_run_takes_everything_and_records_nothing(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`WANDB_MODE=disabled` switches it off without a change of the script."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    run = wandb.init(config={"a": 1})
    run.log({"x": 1, "image": wandb.Image(np.zeros((2, 2), dtype=np.uint8))})
    run.config.b = 2
    run.finish()

    assert run.disabled
    assert run.config.b == 2
    assert recorded.points() == []


def test_login_keeps_a_key_of_another_service_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a Rundial key is used."""
    monkeypatch.delenv("RUNDIAL_API_KEY", raising=False)
    with pytest.warns(RuntimeWarning, match="sent nowhere"):
        assert wandb.login(key="0123456789abcdef")
    import os

    assert "RUNDIAL_API_KEY" not in os.environ
    wandb.login(key="rdk_abcdefghijkl")
    assert os.environ.pop("RUNDIAL_API_KEY") == "rdk_abcdefghijkl"


@pytest.mark.parametrize(
    "refused", [{"mode": "shared"}, {"resume_from": "a?_step=3"}, {"fork_from": "a?_step=3"}]
)
def test_what_init_cannot_do_is_an_error(refused: dict[str, str], recorded: Recorded) -> None:
    """No run is started that would be something else than was asked for."""
    with pytest.raises(UnsupportedError):
        wandb.init(project="p", **refused)
    assert wandb.run is None


def test_alert_takes_levels_and_words(recorded: Recorded) -> None:
    """An alert is Rundial's alert."""
    run = wandb.init(project="p")
    run.alert("a", "x", level=wandb.AlertLevel.WARN, wait_duration=300)
    run.alert(title="b", text="y")

    assert [(each["title"], each["level"]) for each in recorded.alerts] == [("a", "warn"), ("b", "info")]


def test_saved_files_are_delivered_as_their_policy_says(recorded: Recorded, tmp_path: Path) -> None:
    """`now` at once, `end` at the end, and what lies in `run.dir` at the end."""
    work = tmp_path / "work"
    (work / "sub").mkdir(parents=True)
    (work / "a.txt").write_text("a")
    (work / "sub" / "b.txt").write_text("b")
    run = wandb.init(project="p", dir=work)
    assert run.save(str(work / "*.txt"), policy="now") == [str(work / "a.txt")]
    run.save(work / "sub" / "b.txt", base_path=work, policy="end")
    (Path(run.dir) / "inside.txt").write_text("c")
    assert run.recorded.diagnostics().ledger.artifacts.recorded == 1
    run.finish()

    assert run.recorded.diagnostics().ledger.artifacts.recorded == 3


def test_artifact_is_what_its_files_were_when_they_were_added(recorded: Recorded, tmp_path: Path) -> None:
    """A checkpoint that is written again changes no artifact; a name cannot lead out of it."""
    path = tmp_path / "model.bin"
    path.write_text("one")
    artifact = wandb.Artifact("model", type="model", metadata={"step": 1})
    artifact.add_file(path, name="weights/model.bin")
    path.write_text("two")
    with artifact.new_file("notes.txt") as file:
        file.write("hello")

    folder = Path(artifact._own_folder())
    assert (folder / "weights" / "model.bin").read_text() == "one"
    assert (folder / "notes.txt").read_text() == "hello"
    for name in ("../out", "/etc/out"):
        with pytest.raises(ValueError, match="leads out"):
            artifact.add_file(path, name=name)
    run = wandb.init(project="p")
    assert run.log_artifact(artifact, aliases=["best"]) is artifact
    run.log_artifact(str(path), name="other", type="file")
    assert run.recorded.diagnostics().ledger.artifacts.recorded == 2


def test_confusion_matrix_counts_each_pair() -> None:
    """The table is the real client's."""
    chart = wandb.plot.confusion_matrix(y_true=[0, 1, 1], preds=[0, 1, 0], class_names=["no", "yes"])

    assert chart.table.columns == ["Actual", "Predicted", "nPredictions"]
    assert chart.table.data == [["no", "no", 1], ["no", "yes", 0], ["yes", "no", 1], ["yes", "yes", 1]]


def test_table_grows_by_rows_and_columns() -> None:
    """A table is filled as a loop goes on."""
    table = wandb.Table(columns=["a", "b"])
    table.add_data(1, "x")
    table.add_data(2, "y")
    table.add_column("c", [3.0, 4.0])

    assert table.data == [[1, "x", 3.0], [2, "y", 4.0]]
    assert table.get_column("a") == [1, 2]
    with pytest.raises(ValueError, match="3 columns"):
        table.add_data(1)


def test_watch_records_gradients_and_parameters_by_hooks(recorded: Recorded) -> None:
    """Every hook is taken away again; a model is anything that has torch's hooks."""
    model = _Model()
    run = wandb.init(project="p")
    run.watch(model, log="all", log_freq=2)
    for _ in range(3):
        model.forward()
        model.backward()
        run.log({"loss": 1.0})
    run.unwatch()

    assert model.hooks == []
    assert run.recorded.diagnostics().ledger.artifacts.recorded == 4
    assert _points(recorded) == {("loss", 0): 1.0, ("loss", 1): 1.0, ("loss", 2): 1.0}


class _Tensor:
    """As much of a tensor as a histogram needs."""

    requires_grad = True
    shape = (3,)

    def __init__(self, model: _Model) -> None:
        self._model = model

    def register_hook(self, hook: Any) -> Any:
        self._model.gradient_hooks.append(hook)
        return _handle(self._model, hook)

    def detach(self) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        if name in ("cpu", "float", "double"):
            return lambda: self
        if name == "reshape":
            return lambda _size: self
        if name == "numpy":
            return lambda: np.arange(3.0)
        raise AttributeError(name)


class _Model:
    """As much of a module as `watch` needs."""

    training = True

    def __init__(self) -> None:
        self.hooks: list[Any] = []
        self.gradient_hooks: list[Any] = []
        self.forward_hooks: list[Any] = []
        self._parameters = [("weight", _Tensor(self))]

    def named_parameters(self) -> Any:
        return iter(self._parameters)

    def register_forward_hook(self, hook: Any) -> Any:
        self.forward_hooks.append(hook)
        return _handle(self, hook)

    def forward(self) -> None:
        for hook in self.forward_hooks:
            hook(self, (), None)

    def backward(self) -> None:
        for hook in self.gradient_hooks:
            hook(self._parameters[0][1])


def _handle(model: _Model, hook: Any) -> Any:
    model.hooks.append(hook)
    return types.SimpleNamespace(remove=lambda: model.hooks.remove(hook))


INSTALLED = """
import rundial.compat.wandb
module = rundial.compat.wandb.install()
import importlib.metadata, importlib.util, wandb
from wandb import Artifact
from wandb.sdk.lib import RunDisabled
from wandb.sdk.wandb_run import Run
import wandb.sdk.wandb_run
assert wandb is module is rundial.compat.wandb.install()
assert importlib.util.find_spec("wandb") is not None
assert importlib.metadata.version("wandb") == wandb.__version__
assert "wandb" in importlib.metadata.packages_distributions()
assert wandb.Artifact is Artifact and wandb.run is None
assert isinstance(wandb.init(mode="offline"), Run)
assert not hasattr(wandb, "Api")
"""


def test_install_makes_import_wandb_come_here(tmp_path: Path) -> None:
    """The three ways in which libraries look for the package all find it."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", INSTALLED],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=15,
    )

    assert done.returncode == 0, done.stderr


def test_install_beside_the_imported_client_is_refused(tmp_path: Path) -> None:
    """Half of a program on one client and half on the other would be worse than an error."""
    (tmp_path / "wandb.py").write_text("")
    script = "import wandb, rundial.compat.wandb\nrundial.compat.wandb.install()"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=15
    )

    assert "UsageError: the real wandb has been imported already" in done.stderr


def test_import_of_the_names_loads_no_framework_and_no_client() -> None:
    """What is not used costs nothing."""
    script = "import sys, rundial.compat.wandb; print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=15
    )
    loaded = done.stdout

    assert not [
        name for name in ("'wandb'", "'numpy'", "'torch'", "'urllib3'", "'rundial.api.run'") if name in loaded
    ]
