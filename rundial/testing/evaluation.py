"""One pytest session as an evaluation: spans around tests, and a result for what became of each.

Nothing here raises into a test or into pytest but when the session begins; what goes wrong is logged once a
minute, as everywhere.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rundial.api.guard import Notices
from rundial.interrupts import let_through
from rundial.signals.results import MAX_EXAMPLE_CHARS

if TYPE_CHECKING:
    from rundial.api.client import Client
    from rundial.api.evalrun import RundialEvalRun
    from rundial.api.run import Run
    from rundial.api.span import Span

FLUSH_S = 5.0
MAX_MESSAGE_CHARS = 2_000
# pytest's exit statuses: interrupted, and an internal error.
_INTERRUPTED, _BROKEN = 2, 3


class Evaluation:
    """What one process of a session records.

    Args:
        run: The run that it is part of.
        eval_run_id: The evaluation run.
        scorer: What the verdicts of pytest are called.
        client: Whose run it is; None where this process started the run itself.
        owned: What was begun here and ends with the session.
    """

    def __init__(
        self,
        run: Run,
        eval_run_id: str,
        *,
        scorer: str,
        client: Client | None = None,
        owned: RundialEvalRun | None = None,
    ) -> None:
        self.run = run
        self.eval_run_id = eval_run_id
        self._scorer = scorer
        self._client = client
        self._owned = owned
        self._traces: dict[str, str] = {}
        self._failed: set[str] = set()
        self._recorded: set[str] = set()
        self._is_delivered = True
        self._notices = Notices()

    @classmethod
    def of_suite(cls, name: str, eval_run_id: str | None) -> Evaluation:
        """Begin an evaluation run of a suite.

        Raises:
            RundialError: A setting is wrong, or the server refuses.
        """
        from rundial.api.evals import eval as namespace

        scorer = _scorer()
        suite = namespace.suite(
            name, dataset={"name": "pytest"}, scorers=[{"name": scorer, "kind": "pytest"}], **_options()
        )
        begun = suite.run(eval_run_id=eval_run_id)
        return cls(begun.run, begun.eval_run_id, scorer=scorer, owned=begun)

    @classmethod
    def of_variables(cls, named: Mapping[str, str]) -> Evaluation:
        """Join what others have started, by the published variables.

        Raises:
            RundialError: One of them is wrong.
        """
        told = {
            "project_id": named["RUNDIAL_PROJECT_ID"],
            "run_id": named["RUNDIAL_RUN_ID"],
            "eval_run_id": named["RUNDIAL_EVAL_RUN_ID"],
        }
        return cls.of_worker(told)

    @classmethod
    def of_worker(cls, told: Mapping[str, str]) -> Evaluation:
        """Take part in what another process has begun.

        Args:
            told: What its `told` returned.

        Raises:
            RundialError: A setting is wrong.
        """
        from rundial.api.client import Client
        from rundial.errors import ConfigError
        from rundial.signals.results import eval_run_id_of

        try:
            eval_run_id = eval_run_id_of(told["eval_run_id"].strip())
        except ValueError as error:
            raise ConfigError(str(error)) from error
        client = Client(**_options())
        run = client.run(project_id=told["project_id"].strip(), run_id=told["run_id"].strip(), kind="eval")
        return cls(run, eval_run_id, scorer=_scorer(), client=client)

    def told(self) -> dict[str, str]:
        """What a worker needs to take part; no key, which it finds as this process did."""
        return {
            "project_id": self.run.project_id,
            "run_id": self.run.run_id,
            "eval_run_id": self.eval_run_id,
        }

    def span(self, nodeid: str) -> Span:
        """Return the span of a test, a context manager; the test's exception is recorded and goes on."""
        from rundial.signals import semconv

        facts = {semconv.EVAL_RUN: self.eval_run_id, semconv.EVAL_EXAMPLE: example_of(nodeid)}
        span = self.run.trace(f"pytest:{nodeid}", attrs=facts)
        self._quietly(lambda: self._traces.update({nodeid: f"00-{span.trace_id}-{span.span_id}-01"}))
        return span

    def trace_of(self, nodeid: str) -> str:
        """The `traceparent` of a test's span; empty before it has one."""
        return self._traces.get(nodeid, "")

    def record(self, nodeid: str, report: Any) -> None:
        """Record what a report says of a test, if it says anything new."""
        self._quietly(lambda: self._record(nodeid, report))

    def record_collection(self, nodeid: str, report: Any) -> None:
        """Record a file whose tests could not be collected."""
        self._quietly(lambda: self._log(nodeid or "collection", False, _facts(report, "error", "collect")))

    def log(self, nodeid: str, **what: Any) -> bool:
        """Record what further scorers say of a test."""
        return self.run.log_eval_result(self.eval_run_id, example_of(nodeid), **what)

    def end(self, exit_status: int) -> None:
        """Send what is left, for a few seconds, and end what was begun here."""
        self._quietly(lambda: self._end(exit_status))

    def said(self) -> list[str]:
        """Lines for the end of the session."""
        lines = [f"rundial: {len(self._recorded):,} tests are in the evaluation {self.eval_run_id}"]
        if not self._is_delivered:
            lines.append("rundial: not all of it is delivered yet; `rundial sync` sends what waits on disk")
        return lines

    def _record(self, nodeid: str, report: Any) -> None:
        if report.outcome not in ("passed", "failed", "skipped"):
            return  # of a plugin that runs a test again: the last time counts
        when = report.when
        if report.failed:
            outcome, passed = ("error" if when in ("setup", "teardown") else "failed"), False
        elif report.skipped:
            outcome, passed = ("xfailed" if hasattr(report, "wasxfail") else "skipped"), None
        elif when == "call":
            outcome, passed = ("xpassed" if hasattr(report, "wasxfail") else "passed"), True
        else:
            return
        # A part of a test that failed, a subtest or its teardown, is not made good by the rest.
        if passed is False:
            self._failed.add(nodeid)
        elif nodeid in self._failed:
            return
        self._log(
            nodeid, passed, _facts(report, outcome, when), getattr(report, "rundial_trace", None) or None
        )

    def _log(
        self, nodeid: str, passed: bool | None, meta: Mapping[str, object], trace: str | None = None
    ) -> None:
        self.log(nodeid, scores={self._scorer: passed}, trace=trace, meta=meta)
        self._recorded.add(nodeid)
        self._traces.pop(nodeid, None)

    def _end(self, exit_status: int) -> None:
        if self._owned is None:
            self._is_delivered = self.run.flush(FLUSH_S)
        elif exit_status == _INTERRUPTED:
            self._is_delivered = self._owned.abort("pytest was interrupted", FLUSH_S)
        elif exit_status == _BROKEN:
            self._is_delivered = self._owned.fail("pytest broke", FLUSH_S)
        else:
            self._is_delivered = self._owned.complete(None, FLUSH_S)
        if self._client is not None:
            self._client.close(FLUSH_S)

    def _quietly(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - ours: a test ends as it ends, whatever becomes of its record
            let_through(error)
            self._notices.warn("pytest", "a test could not be recorded", error=error)


class Evaluated:
    """One test as an example; what the fixture `rundial_eval` gives.

    Attributes:
        run: The run that the evaluation is part of, for metrics and text; None where nothing is recorded.
    """

    def __init__(self, evaluation: Evaluation | None, nodeid: str) -> None:
        self._evaluation = evaluation
        self._nodeid = nodeid
        self.run = None if evaluation is None else evaluation.run

    def log(
        self,
        *,
        scores: Mapping[str, object],
        passed: Mapping[str, bool] | bool | None = None,
        evidence: Mapping[str, object] | None = None,
        meta: Mapping[str, object] | None = None,
    ) -> bool:
        """Record what further scorers say of this test; see `Run.log_eval_result`."""
        if self._evaluation is None:
            return True
        return self._evaluation.log(self._nodeid, scores=scores, passed=passed, evidence=evidence, meta=meta)


def example_of(nodeid: str) -> str:
    """Return the name of a test as an example: its node id; a digest stands for the end of a long one."""
    if len(nodeid) <= MAX_EXAMPLE_CHARS:
        return nodeid
    digest = hashlib.sha256(nodeid.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{nodeid[: MAX_EXAMPLE_CHARS - 17]}~{digest}"


def _facts(report: Any, outcome: str, when: str) -> dict[str, object]:
    """What a report says beside its verdict."""
    from rundial.signals.redaction import redact_text

    facts: dict[str, object] = {"pytestWhen": when, "pytestOutcome": outcome}
    duration = getattr(report, "duration", None)
    if isinstance(duration, (int, float)):
        facts["durationSeconds"] = duration
    if outcome != "passed":
        crash = getattr(getattr(report, "longrepr", None), "reprcrash", None)
        skip = report.longrepr[2] if isinstance(report.longrepr, tuple) else None
        reason = getattr(report, "wasxfail", None)
        text = reason or skip or getattr(crash, "message", None) or report.longrepr
        if text:
            facts["message"] = redact_text(str(text)[:MAX_MESSAGE_CHARS])
    return facts


def _scorer() -> str:
    return os.environ.get("RUNDIAL_EVAL_SCORER", "").strip() or "pytest"


def _options() -> dict[str, Any]:
    """How a session is recorded, beside what the environment says: the machine's load is nobody's score."""
    options: dict[str, Any] = {"system_metrics": False}
    spool = os.environ.get("RUNDIAL_SPOOL_DIR", "").strip()
    if spool:
        options["spool_directory"] = spool
    return options
