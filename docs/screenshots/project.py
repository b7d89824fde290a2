"""A project to be looked at: a sweep over seeds, a run that crashed, one that goes on, and an agent.

The numbers are made up; recording, server and pages are real. `python docs/screenshots/project.py NAME`
records one of them, at the endpoint and with the key of the environment.
"""

from __future__ import annotations

import math
import os
import random
import signal
import sys
from collections.abc import Callable

import numpy as np

import rundial as rd

PROJECT = "vision"
STEPS = 900


def train(depth: int, rate: float, seed: int) -> None:
    """One run of the sweep."""
    with rd.init(
        project=PROJECT,
        name=f"resnet-{depth}-lr{rate}-s{seed}",
        group=f"resnet-{depth} lr {rate}",
        tags=["baseline"] if depth == 4 else ["sweep"],
        config={"lr": rate, "seed": seed, "model": {"depth": depth, "width": 256}, "optimizer": "adamw"},
    ) as run:
        run.define_metric("val/loss", summary="min", goal="minimize")
        _learn(run, depth, rate, seed, STEPS)


def crash() -> None:
    """A run that is killed half way."""
    run = rd.init(project=PROJECT, name="resnet-16-lr0.03", tags=["sweep"], config={"lr": 0.03, "seed": 1})
    _learn(run, 16, 0.03, 1, 320)
    run.log_text("CUDA out of memory. Tried to allocate 2.40 GiB", level="error")
    run.flush(10)
    os.kill(os.getpid(), signal.SIGKILL)


def _learn(run: rd.Run, depth: int, rate: float, seed: int, steps: int) -> None:
    chance = random.Random(seed * 1_000 + depth)
    for step in range(steps):
        base = 2.4 * math.exp(-step * rate * 4) + 0.2 + 0.8 / (depth + 4)
        spike = 2.5 if step % 307 == 19 else 0.0
        run.log(
            {
                "train/loss": base + chance.gauss(0, 0.05) + spike,
                "train/accuracy": 1 - base / 3 + chance.gauss(0, 0.01),
                "train/grad_norm": abs(chance.gauss(1.2, 0.4)) + 2 * spike,
                "perf/tokens_per_s": 41_000 + chance.gauss(0, 700),
                "optim/lr": rate * 0.5 * (1 + math.cos(math.pi * step / STEPS)),
            },
            step=step,
        )
        if step % 30 == 0:
            with run.trace("evaluate", step=step):
                run.log({"val/loss": base * 1.07, "val/accuracy": 1 - base / 2.9}, step=step)
                run.log_text(f"step {step}: val loss {base * 1.07:.4f}")
        if step % 300 == 0:
            run.log({"samples": rd.Image(_picture(step, seed), caption=f"step {step}")}, step=step)


def _picture(step: int, seed: int) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(-1, 1, 128), np.linspace(-1, 1, 128))
    wave = np.sin(8 * (x * math.cos(seed) + y * math.sin(seed)) + step / 90) * np.exp(-(x**2 + y**2))
    return np.stack([(wave + 1) * 110, (1 - wave) * 90, np.full_like(wave, 160)], axis=-1).astype(np.uint8)


def agent() -> None:
    """A run of an agent that calls a model and a tool."""
    prices = {"small-model": {"input": 0.5, "cached": 0.05, "output": 2.0}}
    asked = [
        {"role": "system", "content": "You answer briefly, and only after you have looked it up."},
        {"role": "user", "content": "What is a ring buffer, and why would a recorder use one?"},
    ]
    with rd.init(project=PROJECT, kind="agent", name="research agent", prices=prices, tags=["agent"]) as run:

        @run.tool("search")
        def search(query: str) -> list[str]:
            if query == "an index that is away":
                raise ConnectionError("the index does not answer")
            return [f"A page about {query}", "A page about mapped files"]

        for number in range(6):
            with run.agent("researcher", conversation_id=f"c{number}", input=asked[1]["content"]) as span:
                with run.llm_call(model="small-model", provider="openai", input=asked) as call:
                    call.output("Let me search for that.", finish_reason="tool_call")
                    call.usage(input_tokens=1_200 + number, cached_tokens=1_000, output_tokens=80)
                try:
                    search("ring buffers" if number != 4 else "an index that is away")
                except ConnectionError:
                    run.log_text("went on without the index", level="warning")
                with run.llm_call(model="small-model", input=asked) as call:
                    said = (
                        "A fixed region that wraps around. It never grows, so it may live in a training run."
                    )
                    call.response(
                        {
                            "model": "small-model",
                            "content": said,
                            "usage": {"input_tokens": 90, "output_tokens": 44},
                        }
                    )
                span.output(said)


RECORDED: dict[str, Callable[[], None]] = {
    **{
        f"resnet-{depth}-{rate}-{seed}": (lambda depth=depth, rate=rate, seed=seed: train(depth, rate, seed))
        for depth, rate in ((2, 0.001), (4, 0.003), (8, 0.003), (8, 0.01))
        for seed in (1, 2, 3)
    },
    "crash": crash,
    "agent": agent,
}

if __name__ == "__main__":
    RECORDED[sys.argv[1]]()
