"""A run that is pickled or copied (defect A9)."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rundial.api.run import Run
from tests.support import recorded
from tests.support.processes import own_parts

Start = Callable[..., Run]

WORKER = """
import pickle, sys
from pathlib import Path
run = pickle.loads(Path(sys.argv[1]).read_bytes())
assert run.config == {"lr": 0.1, "seed": 1}, run.config
assert run.log({"worker": 1.0})
run.config["worker"] = True
with run.trace("in the worker"):
    pass
"""


def test_run_is_itself_again_in_its_own_process(run: Run) -> None:
    """A model that holds its run can be copied."""
    assert pickle.loads(pickle.dumps(run)) is run
    assert copy.deepcopy({"run": run})["run"] is run
    assert copy.copy(run) is run


def test_key_is_in_no_pickle(start: Start) -> None:
    """A checkpoint that holds a run holds no key."""
    run = start(api_key="rdk_very_secret_words")

    assert b"very_secret_words" not in pickle.dumps(run)


@pytest.mark.parametrize("makes_end", [False, True])
def test_pickled_run_without_parts_answers_like_its_original(start: Start, makes_end: bool) -> None:
    """A finished or disabled run that is read back elsewhere records nothing and says so."""
    run = start(mode="offline" if makes_end else "disabled")
    if makes_end:
        run.finish(status="failed")
    data = pickle.dumps(run)
    with own_parts():
        again = pickle.loads(data)

    assert again is not run
    assert (again.run_id, again.has_finished) == (run.run_id, makes_end)
    assert again.close()


@pytest.mark.timeout(60)
def test_worker_joins_the_run_that_it_was_given(start: Start, tmp_path: Path) -> None:
    """A spawned worker records into the same run as an instance of its own, and does not end it."""
    run = start(config={"lr": 0.1})
    run.config["seed"] = 1
    (tmp_path / "run.pickle").write_bytes(pickle.dumps(run))
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(tmp_path / "run.pickle")],
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
        env=dict(os.environ),
    )
    run.log({"parent": 1.0})
    run.finish()

    assert done.returncode == 0, done.stderr
    found = recorded.read(Path(run.settings.spool_directory))
    assert {point.name for point in found.points} == {"worker", "parent"}
    assert {point.resource["rundial.run.id"] for point in found.points} == {run.run_id}
    assert len({point.resource["service.instance.id"] for point in found.points}) == 2
    assert [span.name for span in found.spans] == ["in the worker"]
    assert [event.event_name for event in found.events].count("rundial.run.finish") == 1
    assert json.dumps({"worker": True}) in [
        json.dumps(event.body.get("config"))
        for event in found.events
        if event.event_name == "rundial.run.config"
    ]
