"""The published pytest plugin recorded passes alone, and broke every test that failed or was skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from rundial.testing.recorded import Recorded
from tests.support.pytestsession import VERDICTS, run_pytest, without_times

# Each runs pytest once or twice, in processes of their own.
pytestmark = pytest.mark.timeout(60)

PLUGIN = ("-p", "rundial.eval_pytest_plugin")


@pytest.mark.parametrize("named", [(), PLUGIN], ids=["by itself", "named"])
def test_x5_every_test_is_recorded_and_ends_as_it_would_without_us(
    tmp_path: Path, named: tuple[str, ...]
) -> None:
    """Failures, skips, errors and parametrised tests have a row; pytest prints what it prints anyway."""
    place, spool = tmp_path / "tests", tmp_path / "spool"
    offline = {"RUNDIAL_MODE": "offline", "RUNDIAL_PROJECT": "digits", "RUNDIAL_SPOOL_DIR": str(spool)}

    plain = run_pytest(place, "-rA")
    recorded = run_pytest(place, "-rA", *named, "--rundial-eval", "nightly", **offline)

    assert (plain.status, recorded.status) == (1, 1), recorded.stderr
    assert without_times(recorded.stdout) == without_times(plain.stdout)
    assert "AssertionError: my own words" in recorded.stdout
    found = Recorded(spool)
    results = [event.body for event in found.events if event.name == "rundial.eval.result"]
    by_test = {
        body["example_id"].removeprefix("test_it.py::"): body
        for body in results
        if body["rows"][0]["scorer"] == "pytest"
    }
    said = {
        name: (body["rows"][0].get("passed"), body["meta"]["pytestOutcome"], body["meta"]["pytestWhen"])
        for name, body in by_test.items()
    }
    assert said == VERDICTS
    assert "my own words" in by_test["test_fails"]["meta"]["message"]
    assert by_test["test_skipped"]["meta"]["message"].endswith("not today")
    spans = {span.name.removeprefix("pytest:test_it.py::"): span for span in found.spans}
    assert by_test["test_fails"]["span_id"] == spans["test_fails"].span_id
    assert spans["test_fails"].events[0][0] == "exception"
    assert (spans["test_skips"].status, spans["test_passes"].status) == ("unset", "ok")
    assert found.points() == [], "the machine's load is nobody's score"
    assert found.status == "completed"


def test_x5_a_session_that_nobody_wants_recorded_is_left_alone(tmp_path: Path) -> None:
    """The plugin is there in every session, and neither imports nor writes anything before it is asked."""
    tests = """
        import sys

        def test_nothing(rundial_eval):
            assert rundial_eval.run is None

        def test_imports():
            loaded = [name for name in sys.modules if name.startswith("rundial")]
            assert "rundial.api.client" not in loaded and "opentelemetry.sdk" not in sys.modules
    """
    done = run_pytest(tmp_path / "tests", tests=tests)

    assert done.status == 0, done.stdout
    assert not (tmp_path / "tests/.rundial_spool").exists()


def test_x5_a_server_that_is_away_changes_no_test(tmp_path: Path) -> None:
    """Results wait on disk, and the session says so."""
    place, spool = tmp_path / "tests", tmp_path / "spool"
    away = {
        "RUNDIAL_ENDPOINT": "http://127.0.0.1:1",
        "RUNDIAL_API_KEY": "rdk_test",
        "RUNDIAL_PROJECT_ID": "prj_1",
        "RUNDIAL_RUN_ID": "run-1",
        "RUNDIAL_EVAL_RUN_ID": "eval-1",
        "RUNDIAL_SPOOL_DIR": str(spool),
    }

    done = run_pytest(place, **away)

    assert done.status == 1
    assert "2 failed, 4 passed, 2 skipped, 1 xfailed, 1 xpassed, 2 errors" in done.stdout
    assert "not all of it is delivered yet" in done.stdout
    results = [event for event in Recorded(spool).events if event.name == "rundial.eval.result"]
    assert {event.body["eval_run_id"] for event in results} == {"eval-1"}
    assert len(results) >= len(VERDICTS)


@pytest.mark.parametrize(
    ("options", "environment", "words"),
    [
        (("--rundial-eval", "x"), {}, "project"),
        (("--rundial-eval", "x", "--rundial-eval-run", "a b"), {"RUNDIAL_PROJECT": "p"}, "eval_run_id"),
    ],
)
def test_x5_a_session_that_cannot_be_recorded_says_so_before_the_first_test(
    tmp_path: Path, options: tuple[str, ...], environment: dict[str, str], words: str
) -> None:
    """A build that wants results and cannot have them stops at once, and not at its end."""
    done = run_pytest(tmp_path / "tests", *options, RUNDIAL_MODE="offline", **environment)

    assert done.status == 4
    assert words in done.stderr
    assert "Traceback" not in done.stderr
