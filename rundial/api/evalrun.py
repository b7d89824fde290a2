"""One evaluation of a suite: its results, its cases in spans of their own, and its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from rundial.api.evalcases import Case
from rundial.errors import ConfigError
from rundial.interrupts import let_through
from rundial.signals import semconv

if TYPE_CHECKING:
    from types import TracebackType

    from rundial.api.client import Client
    from rundial.api.evalsuite import RundialEvalSuite
    from rundial.api.run import Run
    from rundial.api.span import Span


class RundialEvalRun:
    """One evaluation of a suite; as a context manager it ends as its run does.

    Attributes:
        project_id: The project's id.
        eval_run_id: Its id, by which two are compared.
        run: The run that it is part of, for traces and metrics.
        summary: Its ids by name.
        is_complete: Whether it was ended here.
    """

    def __init__(  # noqa: PLR0913 - a published signature
        self,
        *,
        client: Client | None,
        project_id: str,
        eval_run_id: str,
        run: Run,
        summary: Mapping[str, object],
        suite: RundialEvalSuite | None = None,
        ends_run: bool = True,
    ) -> None:
        self._client = client
        self._suite = suite
        self._ends_run = ends_run
        self.project_id = project_id
        self.eval_run_id = eval_run_id
        self.run = run
        self.summary = dict(summary)
        self.is_complete = False

    def __repr__(self) -> str:
        return f"RundialEvalRun({self.eval_run_id!r}, run={self.run.run_id!r})"

    def log_result(
        self,
        example_id: str | Case,
        *,
        scores: Mapping[str, object],
        passed: Mapping[str, bool] | bool | None = None,
        trace: Span | str | None = None,
        evidence: Mapping[str, object] | None = None,
        meta: Mapping[str, object] | None = None,
    ) -> bool:
        """Record what an example came to; see `Run.log_eval_result`.

        Args:
            example_id: A case, or an example's name.
            scores: Names of scorers and what they say.
            passed: Whether that is good enough: for all, or by scorer.
            trace: A span, a trace id or a `traceparent`; None is the current span, such as the case's own.
            evidence: `{"artifactId": …, "path": …}` of a file that it rests on.
            meta: What else is known.

        Returns:
            Whether it was accepted. Never raises, but in strict mode.
        """
        name = example_id.id if isinstance(example_id, Case) else example_id
        return self.run.log_eval_result(
            self.eval_run_id,
            name,
            scores=scores,
            passed=passed,
            trace=trace,
            evidence=evidence,
            meta=meta,
        )

    def score(
        self,
        case: Case,
        output: object,
        *,
        scores: Mapping[str, object] | None = None,
        meta: Mapping[str, object] | None = None,
    ) -> bool:
        """Have the suite's scorer functions judge an output, and record what they say.

        A scorer that raises is a scorer without a score, which has not passed; `meta` says what it raised.

        Args:
            case: The case.
            output: What came out for it; scorers get it as `output`.
            scores: Further scores.
            meta: What else is known.

        Raises:
            ConfigError: No scorer is a function, or one has a parameter that the case does not answer.
        """
        scorers = [] if self._suite is None else [each for each in self._suite.scorers if each.function]
        if not scorers and not scores:
            raise ConfigError(
                "none of the suite's scorers is a function; log_result takes scores as they are"
            )
        judged = {each.name: each.judge(case, output) for each in scorers}
        return self.log_result(case, scores={**judged, **(scores or {})}, meta=meta)

    def evaluate(self, task: Callable[[Case], object]) -> None:
        """Run a function on every case, inside a span of its own, and have the scorers judge what it returns.

        A case whose function raises has not passed, by any scorer; `meta` says what was raised, the span has
        its stack, and the next case goes on.

        Args:
            task: Takes a case and returns an output.

        Raises:
            ConfigError: As for `score`, and when the suite holds no cases.
        """
        for case in self:
            self._attempt(task, case)

    def __iter__(self) -> Iterator[Case]:
        """Yield each case, inside a span of its own that results and traces of the loop's body belong to."""
        cases = () if self._suite is None else self._suite.cases
        if not cases:
            raise ConfigError(
                "this suite holds no cases: give `dataset` a list of them, or loop over your own"
            )
        for case in cases:
            facts = {semconv.EVAL_RUN: self.eval_run_id, semconv.EVAL_EXAMPLE: case.id}
            is_left = False
            with self.run.trace(f"case:{case.id}", attrs=facts):
                try:
                    yield case
                except GeneratorExit:  # the loop was left: no failure of the case
                    is_left = True
            if is_left:
                return

    def flush(self, timeout_seconds: float | None = None) -> bool:
        """Wait until every result is answered by the server; offline: is on disk."""
        return self.run.flush(timeout_seconds)

    def complete(self, reason: str | None = None, timeout_seconds: float = 5.0) -> bool:
        """End it as completed; a run that was given to it goes on."""
        self.is_complete = True
        return self.run.complete(reason, timeout_seconds) if self._ends_run else self.flush(timeout_seconds)

    def fail(self, reason: str | None = None, timeout_seconds: float = 5.0) -> bool:
        """End it as failed; a run that was given to it goes on."""
        self.is_complete = True
        return self.run.fail(reason, timeout_seconds) if self._ends_run else self.flush(timeout_seconds)

    def abort(self, reason: str | None = None, timeout_seconds: float = 5.0) -> bool:
        """End it as aborted; a run that was given to it goes on."""
        self.is_complete = True
        return self.run.abort(reason, timeout_seconds) if self._ends_run else self.flush(timeout_seconds)

    def __enter__(self) -> RundialEvalRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_complete = True
        if self._ends_run:
            self.run.__exit__(kind, error, trace)

    def _attempt(self, task: Callable[[Case], object], case: Case) -> None:
        try:
            with self.run.trace("task"):
                output = task(case)
        except Exception as error:  # noqa: BLE001 - the user's own function; its failure is the result
            let_through(error)
            self._failed(case, error)
        else:
            self.score(case, output)

    def _failed(self, case: Case, error: Exception) -> None:
        from rundial.api.ending import reason_of

        scorers = () if self._suite is None else self._suite.scorers
        names = [each.name for each in scorers] or ["task"]
        self.log_result(case, scores=dict.fromkeys(names, float("nan")), meta={"error": reason_of(error)})
