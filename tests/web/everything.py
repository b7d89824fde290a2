"""A project with one of everything that the web UI shows, recorded by the library itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import rundial as rd
from tests.support.server import LocalServer

RUN = "everything"


def record(site: LocalServer, place: Path, *, say: str = "plain") -> list[str]:
    """Record a run with series, text, spans, media and an artifact, and two evaluations of one suite.

    Args:
        site: Where to.
        place: An empty directory.
        say: A text that stands in every name, key, value, message and cell that may hold it.

    Returns:
        The ids of the two evaluation runs.
    """
    with rd.init(
        project="digits",
        endpoint=site.url,
        api_key=site.key,
        finish_timeout_seconds=15,
        run_id=RUN,
        name=f"run {say}",
        tags=[say],
        group=say,
        config={say: say, "nested": {say: [say]}, "lr": 0.1},
    ) as run:
        _signals(run, say)
        _files(run, place, say)
        run.flush(10)
    return [_evaluate(site, say, number) for number in range(2)]


def _signals(run: rd.Run, say: str) -> None:
    for step in range(40):
        run.log(
            {f"train/{say}": 1 / (step + 1), "val/loss": float("nan") if step == 9 else 0.1 * step}, step=step
        )
    run.log_text(say, level="error")
    run.summary[say] = say
    run.alert(say, say)
    with run.trace(say, attrs={say: say}) as span:
        span.event(say, {say: say})
        with run.agent(say, input=say) as agent:
            with run.llm_call(model="small", input=[{"role": "user", "content": say}]) as call:
                call.output(say)
                call.usage(input_tokens=3, output_tokens=4)
            run.tool_call(say, input={say: say}, output=say)
            agent.output(say)


def _files(run: rd.Run, place: Path, say: str) -> None:
    for step in range(3):
        pixels = np.full((16, 16, 3), step * 80, np.uint8)
        run.log(
            {"picture": rd.Image(pixels, caption=say), "spread": rd.Histogram([1.0, 2.0, step])}, step=step
        )
    run.log({"cells": rd.Table(columns=["first", say], rows=[[1, say], [2, say]], caption=say)}, step=3)
    file = place / "model.html"
    file.write_text(f"<script>window.planted = 1</script>{say}")
    run.log_artifact(file, name="model", type="model", metadata={say: say})


def _evaluate(site: LocalServer, say: str, number: int) -> str:
    suite = rd.eval.suite(
        f"sums {say}",
        dataset=[{"id": f"{say} {case}", "input": case, "expected": case} for case in range(6)],
        scorers=[{"name": "exact", "function": lambda output, expected: output == expected}],
        project="digits",
        endpoint=site.url,
        api_key=site.key,
    )
    for case in suite:
        # The second one is wrong about two of them.
        suite.score(case, case["expected"] + (number if case["input"] > 3 else 0))
    assert suite.last is not None
    return suite.last.eval_run_id
