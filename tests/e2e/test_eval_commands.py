"""`rundial evals` against a real server: what a person reads, what CI decides by, and how it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rundial.api.client import Client
from tests.support.program import ServerProgram
from tests.support.scripts import run_script
from tests.support.shell import Done, rundial

pytestmark = pytest.mark.e2e

SCRIPT = """
for name, good in (("main", {"a", "b", "c"}), ("branch", {"a", "c|`x`"})):
    cases = [{"id": each} for each in ("a", "b", "c" if name == "main" else "c|`x`")]
    suite = rd.eval.suite(
        "arithmetic", dataset=cases, scorers=["exact", "f1"], project="digits", endpoint=given["url"],
        api_key=given["key"], spool_directory=given["spool"], system_metrics=False,
    )
    with suite.run(config={"model": name}, eval_run_id=name) as evaluation:
        for case in evaluation:
            evaluation.log_result(case, scores={"exact": case.id in good, "f1": 0.25})
        assert evaluation.flush(20)
"""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A server that holds two evaluation runs, `main` and `branch`; made once, read by many tests."""

    url: str
    key: str
    place: Path

    def rundial(self, *args: str, **environment: str) -> Done:
        """Run a command against it, with nothing configured but its key and its project."""
        known = {
            "RUNDIAL_API_KEY": self.key,
            "RUNDIAL_ENDPOINT": self.url,
            "RUNDIAL_PROJECT": "digits",
            "XDG_CONFIG_HOME": str(self.place),
        }
        return rundial(*args, timeout_s=20, **{**known, **environment})


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluated]:
    """As said."""
    place = tmp_path_factory.mktemp("evaluated")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("RUNDIAL_", "OTEL_"))]:
            patch.delenv(name)
        with ServerProgram(place / "data") as server:
            done = run_script(SCRIPT, url=server.url, key=server.key, spool=str(place / "spool"))
            assert done.status == 0, done.stderr
            yield Evaluated(server.url, server.key, place)


def test_diff_says_what_got_worse_first(evaluated: Evaluated) -> None:
    """Sums, a note where the datasets differ, and a row for everything that is not as it was."""
    done = evaluated.rundial("evals", "diff", "main", "branch")

    assert done.status == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[2].split(maxsplit=1)[1] == "1 regressed, 2 missing, 0 improved, 2 new, 3 unchanged"
    assert any("the datasets differ" in line for line in lines)
    rows = [line.split() for line in lines[lines.index("") + 2 :]]
    assert rows[0] == ["b", "exact", "regressed", "passed", "failed", "-1"]
    assert [row[2] for row in rows] == ["regressed", "missing", "missing", "new", "new"]


def test_diff_fails_a_build_only_when_it_is_asked_to(evaluated: Evaluated) -> None:
    """1 for what got worse or is missing, 0 for the rest, 2 for a key that the server does not know."""

    def status(*options: str, **environment: str) -> int:
        return evaluated.rundial("evals", "diff", *options, **environment).status

    assert status("main", "branch") == 0
    assert status("main", "branch", "--fail-on-regression") == 1
    assert status("main", "main", "--fail-on-regression", "--fail-on-missing") == 0
    assert status("branch", "main", "--scorer", "f1", "--fail-on-regression") == 0
    assert status("branch", "main", "--scorer", "f1", "--fail-on-missing") == 1
    assert status("main", "none", "--fail-on-regression") == 1
    assert status("main", "branch", "--fail-on-regression", RUNDIAL_API_KEY="rdk_no_such") == 2
    assert status("main", "branch", RUNDIAL_ENDPOINT="http://127.0.0.1:1") == 1
    assert status("main", "branch", "--project", "nowhere") == 1


def test_diff_as_json_is_what_the_published_command_prints_and_more(evaluated: Evaluated) -> None:
    """One object, with the published names; asking makes no project."""
    found = evaluated.rundial("evals", "diff", "main", "branch", "--json").found
    again = evaluated.rundial("evals", "diff", "arithmetic@previous", "arithmetic@latest", "--format", "json")
    failed = evaluated.rundial("evals", "diff", "main", "branch", "--json", "--fail-on-regression")
    evaluated.rundial("evals", "diff", "main", "branch", "--project", "typo")
    with Client(evaluated.url, api_key=evaluated.key) as client:
        projects = [row["projectSlug"] for row in client.list_projects(workspace_slug="default-workspace")]

    assert again.found == found
    assert (found["ok"], found["regressions"], found["project"]) == (True, 1, "digits")
    assert (found["baselineEvalRunId"], found["candidateEvalRunId"]) == ("main", "branch")
    first: dict[str, Any] = found["result"]["rows"][0]
    assert {key: first[key] for key in ("exampleId", "scorer", "delta", "regressed")} == {
        "exampleId": "b",
        "scorer": "exact",
        "delta": -1.0,
        "regressed": True,
    }
    assert (failed.status, failed.found) == (1, found)
    assert "got worse" in failed.stderr
    assert projects == ["digits"]


def test_markdown_is_safe_to_paste(evaluated: Evaluated) -> None:
    """A name with a pipe or a backtick breaks neither the table nor out of its cell."""
    done = evaluated.rundial(
        "evals", "diff", "main", "branch", "--format", "markdown", "--fail-on-regression"
    )

    assert done.status == 1
    assert done.stdout.startswith("### Evaluation of `arithmetic`: 1 regressed, 2 missing")
    assert "| `b` | `exact` | regressed | passed | failed | -1 |" in done.stdout.splitlines()
    assert "| `c\\|'x'` | `exact` | new | - | passed | - |" in done.stdout.splitlines()
    assert "> the datasets differ" in done.stdout


def test_evaluation_runs_are_listed_and_shown(evaluated: Evaluated) -> None:
    """The last one first, with counts; one by its id, or by its suite and its place."""
    listed = evaluated.rundial("evals", "ls", "--suite", "arithmetic", "--json").found["evalRuns"]
    shown = evaluated.rundial("evals", "show", "arithmetic@latest")
    table = evaluated.rundial("evals", "ls").stdout.splitlines()

    assert [row["evalRunId"] for row in listed] == ["branch", "main"]
    assert table[1].split()[:5] == ["branch", "arithmetic", "3", "2", "1"]
    assert "model" in shown.stdout
    assert [line.split() for line in shown.stdout.splitlines()[-2:]] == [
        ["exact", "3", "2", "1", "0.666667", "0", "1"],
        ["f1", "3", "0", "0", "0.25", "0.25", "0.25"],
    ]
    assert evaluated.rundial("evals", "ls", "--suite", "none").stdout.startswith("no evaluation runs")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("show", "nothing"), "there is no evaluation run 'nothing'"),
        (("show", "arithmetic@first"), "use an id, SUITE@latest or SUITE@previous"),
        (("show", "none@latest"), "the suite 'none' has 0 evaluation runs"),
        (("diff", "main"), "CANDIDATE_EVAL_RUN_ID"),
        (("diff", "main", "branch", "--tolerance", "-1"), "tolerance"),
        (("dif",), "Did you mean `rundial evals diff`?"),
        ((), "needs a command: diff, ls, show"),
    ],
)
def test_mistakes_are_answered_in_a_line(evaluated: Evaluated, command: tuple[str, ...], words: str) -> None:
    """Exit status 1, what happened, and what to do."""
    done = evaluated.rundial("evals", *command)

    assert done.status == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
