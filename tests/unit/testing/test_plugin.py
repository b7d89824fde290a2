"""The pytest plugin, as a user's own tests meet it: in a pytest of its own."""

from __future__ import annotations

import pytest
import tomlkit

from tests.conftest import ROOT

PROGRAM = """
import rundial as rd

def train(run, steps=3):
    run.config["steps"] = steps
    with run.trace("train"):
        for step in range(steps):
            run.log({"loss": 1.0 / (step + 1)}, step=step)
    run.log_text("done", level="warn")

def main():
    with rd.init(project="mine", mode="online", endpoint="http://127.0.0.1:9", config={"lr": 0.1}) as run:
        train(run)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A user's project with a program to test."""
    pytester.makepyfile(program=PROGRAM)
    # Installed, the plugin is found by its entry point; here it is named, once.
    monkeypatch.setenv(
        "PYTEST_ADDOPTS", "-p no:cacheprovider -p no:rundial -p rundial.testing.plugin -W error"
    )
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return pytester


def test_run_of_the_fixture_records_what_the_code_under_test_logs(suite: pytest.Pytester) -> None:
    """A training loop is tested by what it has recorded, without a server."""
    suite.makepyfile(
        """
        import program

        def test_training(rundial_run, rundial_recorded):
            program.train(rundial_run)

            assert rundial_recorded.values("loss") == [1.0, 1 / 2, 1 / 3]
            assert [point.step for point in rundial_recorded.points("loss")] == [0, 1, 2]
            assert [(line.text, line.level) for line in rundial_recorded.lines] == [("done", "warn")]
            (span,) = rundial_recorded.spans
            assert (span.name, span.status, span.trace_id) == ("train", "ok", "0" * 31 + "1")
            assert rundial_recorded.config == {"steps": 3}
            assert rundial_recorded.status == "running"
            assert rundial_run.name == "test_training"
        """
    )

    suite.runpytest_subprocess("-q").assert_outcomes(passed=1)


def test_code_that_starts_its_own_run_is_kept_offline(suite: pytest.Pytester) -> None:
    """A test of a whole program makes no request and leaves no file, whatever the program asks for."""
    suite.makepyfile(
        """
        import pathlib
        import program, rundial as rd

        def test_main(rundial_recorded):
            program.main()

            assert rundial_recorded.config == {"lr": 0.1, "steps": 3}
            assert rundial_recorded.status == "completed"
            assert len(rundial_recorded.run_ids) == 1
            assert not pathlib.Path(".rundial_spool").exists()

        def test_disabled_stays_disabled(rundial_recorded):
            with rd.init(project="mine", mode="disabled") as run:
                run.log({"loss": 1.0})
            assert rundial_recorded.points() == []
        """
    )

    suite.runpytest_subprocess("-q").assert_outcomes(passed=2)


def test_what_is_dropped_fails_the_test_that_dropped_it(suite: pytest.Pytester) -> None:
    """A value that would be lost in silence on a cluster is an error here."""
    suite.makepyfile(
        """
        import pytest, rundial.errors

        def test_nan(rundial_run):
            with pytest.raises(rundial.errors.RecordDroppedError, match="NaN"):
                rundial_run.log({"loss": float("nan")})
        """
    )

    suite.runpytest_subprocess("-q").assert_outcomes(passed=1)


def test_each_test_sees_its_own_runs(suite: pytest.Pytester) -> None:
    """Tests do not see what others have recorded, and threads end with them."""
    suite.makepyfile(
        """
        import threading
        import pytest

        @pytest.mark.parametrize("value", [1.0, 2.0])
        def test_one(rundial_run, rundial_recorded, value):
            rundial_run.log({"x": value})
            assert rundial_recorded.values("x") == [value]

        def test_nothing_is_left():
            assert [each.name for each in threading.enumerate() if each.name.startswith("rundial")] == []
        """
    )

    suite.runpytest_subprocess("-q", "-p", "no:randomly").assert_outcomes(passed=3)


def test_plugin_that_nobody_uses_imports_nothing_and_changes_nothing(suite: pytest.Pytester) -> None:
    """Installing Rundial costs the test suites of other projects next to nothing."""
    suite.makepyfile(
        """
        import os, sys

        def test_nothing_happened():
            ours = {name for name in sys.modules if name.startswith("rundial")}
            plugins = {"rundial.testing", "rundial.testing.plugin", "rundial.eval_pytest_plugin"}
            assert ours <= {"rundial", "rundial.version"} | plugins
            assert not any(name.startswith("opentelemetry") for name in sys.modules)
            assert not [name for name in os.environ if name.startswith("RUNDIAL_MODE")]
        """
    )

    suite.runpytest_subprocess("-q").assert_outcomes(passed=1)


def test_plugin_is_found_by_its_entry_point() -> None:
    """Whoever installs the package has the fixtures."""
    project = tomlkit.parse((ROOT / "pyproject.toml").read_text()).unwrap()["project"]

    # The one for evaluations is called what `-p` calls it, so that naming it loads it once.
    evaluations = "rundial.eval_pytest_plugin"
    assert project["entry-points"]["pytest11"] == {
        "rundial": "rundial.testing.plugin",
        evaluations: evaluations,
    }
