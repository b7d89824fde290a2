"""A suite of cases and scorers, and one evaluation run of it: what `rundial.eval.suite` hands out.

A suite asks nobody: its run tells the server of it, by the same way as everything else that a run
records. So an evaluation runs offline as it does online, and a killed one keeps what it had.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rundial.api.evalcases import Case, cases_of
from rundial.api.scorers import Scorer, scorers_of
from rundial.errors import ConfigError
from rundial.interrupts import let_through
from rundial.signals import results, semconv

if TYPE_CHECKING:
    from types import TracebackType

    from rundial.api.client import Client
    from rundial.api.run import Run
    from rundial.api.trace import Span

Starter = Callable[[str, Mapping[str, object] | None, str | None], "Run"]


class RundialEvalSuite:
    """A named set of examples with the scorers that judge them; made by `rundial.eval.suite`.

    As a context manager it completes the evaluation run that `for case in suite` has begun, if any.

    Attributes:
        project_id: The project's id, its slug where the server has not told.
        org_id: The workspace's id; empty where the server has not told.
        suite: `suiteId`, `name` and `scorers`.
        dataset: `name`, and what else is known of it.
        suite_id: The suite's id.
        cases: The examples, where they were given.
        last: The evaluation run that was begun last; None before the first.
    """

    def __init__(
        self,
        *,
        client: Client | None = None,
        project_id: str,
        org_id: str,
        suite: Mapping[str, Any],
        dataset: Mapping[str, Any],
        start: Starter | None = None,
    ) -> None:
        self._client = client
        self._start = start
        self.project_id = project_id
        self.org_id = org_id
        self.suite = dict(suite)
        self.dataset = dict(dataset)
        self.suite_id: str = str(self.suite.get("suiteId") or "")
        self.cases: Sequence[Case] = ()
        self.scorers: Sequence[Scorer] = ()
        self.last: RundialEvalRun | None = None

    def __repr__(self) -> str:
        return f"RundialEvalSuite({self.name!r}, {len(self.cases)} cases)"

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.suite.get("name") or self.suite_id)

    def holding(
        self, cases: Sequence[Case], scorers: Sequence[str | Mapping[str, object] | Callable[..., object]]
    ) -> RundialEvalSuite:
        """Return the suite with its cases and scorers; not for users."""
        self.cases, self.scorers = cases, scorers_of(scorers)
        return self

    def run(
        self,
        *,
        config: Mapping[str, object] | None = None,
        run_id: str | None = None,
        eval_run_id: str | None = None,
        run: Run | None = None,
    ) -> RundialEvalRun:
        """Begin an evaluation run.

        Args:
            config: What is evaluated, such as the model and the prompt; also the config of its run.
            run_id: The run that it is part of; None starts one of kind `eval`.
            eval_run_id: Its id, 1 to 128 letters, digits, `.`, `_`, `-`; None makes one.
            run: A run of this process that it is to be part of, such as the training run; that run goes on
                when the evaluation is complete.

        Raises:
            ConfigError: An argument or setting is wrong; nothing was started.
            RundialRequestError: The server refuses the key, the project or the run id.
        """
        try:
            wanted = results.eval_run_id_of(eval_run_id or f"eval_{os.urandom(16).hex()}")
        except ValueError as error:
            raise ConfigError(f"{error}; nothing was started") from error
        owned = run is None
        if run is None:
            run, wanted = self._begun(config, run_id, wanted)
        summary = {"evalRunId": wanted, "runId": run.run_id, "suiteId": self.suite_id, "suiteName": self.name}
        self.last = RundialEvalRun(
            client=self._client,
            project_id=run.project_id,
            eval_run_id=wanted,
            run=run,
            summary=summary,
            suite=self,
            ends_run=owned,
        )
        self.project_id = run.project_id
        run.tell_eval_start(
            {
                "eval_run_id": wanted,
                "suite_id": self.suite_id,
                "suite_name": self.name,
                "dataset": self.dataset,
                "scorers": self.suite.get("scorers") or [],
                "config": dict(config or {}),
            }
        )
        return self.last

    def __iter__(self) -> Iterator[Case]:
        """Yield each case, inside a span of its own; begins an evaluation run and completes it at the end."""
        evaluation = self._current()
        yield from evaluation
        evaluation.complete()

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
        """Record what an example came to, in the evaluation run that goes on; one begins when none does.

        Arguments and answer are those of `RundialEvalRun.log_result`.
        """
        return self._current().log_result(
            example_id, scores=scores, passed=passed, trace=trace, evidence=evidence, meta=meta
        )

    def score(self, case: Case, output: object, *, meta: Mapping[str, object] | None = None) -> bool:
        """Have the scorers judge an output, and record it; see `RundialEvalRun.score`."""
        return self._current().score(case, output, meta=meta)

    def __enter__(self) -> RundialEvalSuite:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.last is not None and not self.last.run.has_finished:
            self.last.__exit__(kind, error, trace)

    def _current(self) -> RundialEvalRun:
        if self.last is None or self.last.run.has_finished or self.last.is_complete:
            return self.run()
        return self.last

    def _begun(
        self, config: Mapping[str, object] | None, run_id: str | None, eval_run_id: str
    ) -> tuple[Run, str]:
        if self._start is not None:
            return self._start(self.name, config, run_id), eval_run_id
        assert self._client is not None
        made = self._client.create_eval_run(
            org_id=self.org_id or None,
            project_id=self.project_id,
            suite_id=self.suite_id,
            config=config,
            run_id=run_id,
            eval_run_id=eval_run_id,
        )
        found = self._client.caller.need(
            made.get("evalRun") or {}, "evalRunId", "runId", what="beginning an evaluation run"
        )
        run = self._client.run(
            project_id=self.project_id, run_id=found["runId"], kind="eval", config=dict(config or {})
        )
        return run, found["evalRunId"]


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


def described(scorers: Iterable[object]) -> list[dict[str, Any]]:
    """Return scorers as the server is told of them."""
    return [each.facts for each in scorers_of(scorers)]


def dataset_of(
    dataset: object, suite_name: str, *, name: str | None = None, version: str | None = None
) -> tuple[dict[str, Any], Sequence[Case]]:
    """Return what a dataset is called, and its cases where it is a list of them.

    Args:
        dataset: A mapping with a `name`; the reference of an artifact; or the cases themselves.
        suite_name: What cases without a name are called after.
        name: What it is called, where the dataset itself does not say.
        version: Likewise; made of the content where nobody says.

    Raises:
        ConfigError: It is something else.
    """
    if isinstance(dataset, str) and dataset.strip():
        made = hashlib.sha256(dataset.encode()).hexdigest()[:16]
        return {"name": name or "dataset", "version": version or made, "artifactRef": dataset}, ()
    if isinstance(dataset, Mapping):
        facts = {**dataset, **({"name": name} if name else {}), **({"version": version} if version else {})}
        cases = cases_of(facts.pop("cases", ()))
        if not isinstance(facts.get("name"), str) or not facts["name"]:
            raise ConfigError(
                "dataset has no name: give it {'name': …}, or a list of cases; nothing was made"
            )
        return facts, cases
    if isinstance(dataset, Iterable) and not isinstance(dataset, (str, bytes)):
        cases = cases_of(dataset)
        told = json.dumps([{**case, "id": case.id} for case in cases], sort_keys=True, default=str)
        made = hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:16]
        return {"name": name or suite_name, "version": version or made, "examples": len(cases)}, cases
    raise ConfigError(
        f"dataset must be a list of cases, a mapping with a name, or an artifact's reference, not "
        f"{type(dataset).__name__}; nothing was made"
    )
