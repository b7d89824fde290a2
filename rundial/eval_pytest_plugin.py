"""The pytest plugin for evaluations: every test is an example, and what became of it a result.

Off unless it is asked for: by `--rundial-eval SUITE` (or `RUNDIAL_EVAL_SUITE`), which starts a run of
kind `eval`, or by `RUNDIAL_PROJECT_ID`, `RUNDIAL_RUN_ID` and `RUNDIAL_EVAL_RUN_ID`, which name one that
others have started and will end. Importing it imports nothing else of Rundial.

Under pytest-xdist the workers trace their tests, and the process that gathers their reports records what
became of them, so that a worker that dies costs no result. Nothing here changes how a test ends or
what it says, and no failure of ours fails one.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rundial.testing.evaluation import Evaluated, Evaluation

SUITE_VARIABLE = "RUNDIAL_EVAL_SUITE"
JOINED_VARIABLES = ("RUNDIAL_PROJECT_ID", "RUNDIAL_RUN_ID", "RUNDIAL_EVAL_RUN_ID")
_KEY = pytest.StashKey["Part"]()
_INPUT = "rundial_eval"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("rundial", "Rundial: evaluations")
    group.addoption("--rundial-eval", metavar="SUITE", help="record every test as a result of this suite")
    group.addoption(
        "--rundial-eval-run", metavar="ID", help="the evaluation run's id, for comparing it later"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Take part in this session if somebody wants it."""
    if hasattr(config, "workerinput"):
        told = config.workerinput.get(_INPUT)
        part = None if told is None else Part(config, joined=told)
    else:
        part = Part(config) if _is_wanted(config) else None
    if part is not None:
        config.stash[_KEY] = part
        config.pluginmanager.register(part, "rundial-eval-part")


@pytest.fixture
def rundial_eval(request: pytest.FixtureRequest) -> Evaluated:
    """This test as an example: `rundial_eval.log(scores={"f1": 0.8})` adds what further scorers say.

    Does nothing in a session that is not recorded.
    """
    from rundial.testing.evaluation import Evaluated

    part = request.config.stash.get(_KEY, None)
    evaluation = None if part is None else part.evaluation
    return Evaluated(evaluation, _name_of(request.node))


class Part:
    """This process's part in a session: it traces tests, records reports, or both.

    Args:
        config: The session's.
        joined: What the gathering process says of the evaluation, in a worker; None in every other process.
    """

    def __init__(self, config: pytest.Config, joined: Mapping[str, str] | None = None) -> None:
        self._config = config
        self._joined = joined
        self.evaluation: Evaluation | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Begin, before the first test and before the first worker."""
        from rundial.errors import RundialError
        from rundial.testing.evaluation import Evaluation

        try:
            if self._joined is not None:
                self.evaluation = Evaluation.of_worker(self._joined)
            elif not self._config.option.collectonly:
                self.evaluation = self._begun(Evaluation)
        except RundialError as error:
            raise pytest.UsageError(f"rundial: {error}") from error

    def _begun(self, kind: type[Evaluation]) -> Evaluation:
        suite = _suite_of(self._config)
        wanted = self._config.getoption("--rundial-eval-run")
        if suite is None:
            return kind.of_variables({name: os.environ[name] for name in JOINED_VARIABLES})
        return kind.of_suite(suite, wanted or os.environ.get(JOINED_VARIABLES[2]) or None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of pytest-xdist what it takes part in."""
        if self.evaluation is not None:
            node.workerinput[_INPUT] = self.evaluation.told()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Put the test into a span of its own; whatever it raises goes on its way."""
        if self.evaluation is None:
            return (yield)
        with self.evaluation.span(_name_of(item)) as span:
            try:
                return (yield)
            except (pytest.skip.Exception, pytest.xfail.Exception):
                span.finish(status="unset")
                raise

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Have the report say what its test is called and which span it was in; both travel from a worker."""
        report = yield
        if self.evaluation is not None:
            name = _name_of(item)
            report.__dict__["rundial_example"] = name
            report.__dict__["rundial_trace"] = self.evaluation.trace_of(name)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record what became of a test, or of a part of it."""
        if self.evaluation is not None and self._joined is None:
            # Of a worker that died only pytest-xdist speaks, which knows no more than the node id.
            self.evaluation.record(getattr(report, "rundial_example", report.nodeid), report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record a file whose tests could not be collected: they would look as if nobody wanted them."""
        if self.evaluation is not None and self._joined is None and report.failed:
            self.evaluation.record_collection(report.nodeid, report)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Send what is left, for a few seconds, and end what was begun here."""
        if self.evaluation is not None:
            self.evaluation.end(int(exitstatus))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say where the results are."""
        if self.evaluation is not None and self._joined is None:
            for line in self.evaluation.said():
                terminalreporter.write_line(line)


def _name_of(item: pytest.Item) -> str:
    """The node id of a test, without the group that pytest-xdist puts behind it."""
    plain = f"{item.parent.nodeid}::{item.name}" if item.parent is not None else item.nodeid
    return plain if item.nodeid.startswith(f"{plain}@") else item.nodeid


def _suite_of(config: pytest.Config) -> str | None:
    return config.getoption("--rundial-eval") or os.environ.get(SUITE_VARIABLE, "").strip() or None


def _is_wanted(config: pytest.Config) -> bool:
    return _suite_of(config) is not None or all(os.environ.get(name, "").strip() for name in JOINED_VARIABLES)
