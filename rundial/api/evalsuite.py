"""A suite of cases and scorers, and one evaluation run of it: what `rundial.eval.suite` hands out.

A suite asks nobody: its run tells the server of it, by the same way as everything else that a run
records. So an evaluation runs offline as it does online, and a killed one keeps what it had.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rundial.api.evalcases import Case
from rundial.api.evalrun import RundialEvalRun
from rundial.api.scorers import Scorer, scorers_of
from rundial.errors import ConfigError
from rundial.signals import results

if TYPE_CHECKING:
    from types import TracebackType

    from rundial.api.client import Client
    from rundial.api.run import Run
    from rundial.api.span import Span

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


def described(scorers: Iterable[object]) -> list[dict[str, Any]]:
    """Return scorers as the server is told of them."""
    return [each.facts for each in scorers_of(scorers)]
