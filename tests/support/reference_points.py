"""The reference data of the server's benchmarks: ten million points as arrays, the same at every call.

Run 0 has one series of 1,000,000 points, a tenth of them rewriting an earlier step; runs 1 to 1,000 have 9
series of 1,000 steps each; arrival is interleaved over the runs. Needs numpy and about 1 GiB; about 10 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

KEYS: Final = (
    "train/loss",
    "train/acc",
    "val/loss",
    "val/acc",
    "lr",
    "grad_norm",
    "throughput",
    "mem/gpu",
    "mem/cpu",
)
RUNS: Final = 1_000
STEPS: Final = 1_000
LONG: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Columns:
    """Points in order of arrival, as arrays of equal length.

    Attributes:
        run: int32, 0 to 1,000.
        key: int32, index into `KEYS`.
        step: int64.
        time_unix_ns: int64, strictly increasing.
        value: float64.
    """

    run: Any
    key: Any
    step: Any
    time_unix_ns: Any
    value: Any


def load(limit: int | None = None) -> Columns:
    """Return the columns, cut to the first `limit` points when given."""
    import numpy as np

    rng = np.random.default_rng(0)
    distinct, rewrites = LONG * 9 // 10, LONG // 10
    rewritten = np.sort(rng.integers(1000, distinct, rewrites))
    long_step = np.concatenate([np.arange(distinct), rewritten - rng.integers(0, 1000, rewrites)])
    long_at = np.concatenate([np.arange(distinct) / distinct, (rewritten + 0.5) / distinct])
    order = np.argsort(long_at, kind="stable")
    long_step, long_at = long_step[order], long_at[order]
    keys = len(KEYS)
    run = np.repeat(np.arange(1, RUNS + 1), keys * STEPS)
    step = np.tile(np.repeat(np.arange(STEPS), keys), RUNS)
    key = np.tile(np.arange(keys), RUNS * STEPS)
    at = np.repeat(rng.random(RUNS) * 0.8, keys * STEPS) + np.floor(step / 100) * 0.02 + 1e-9 * step
    run = np.concatenate([np.zeros(LONG, int), run])
    key = np.concatenate([np.zeros(LONG, int), key])
    step = np.concatenate([long_step, step])
    order = np.argsort(np.concatenate([long_at, at]), kind="stable")
    run, key, step = run[order].astype(np.int32), key[order].astype(np.int32), step[order].astype(np.int64)
    times = 1_790_000_000_000_000_000 + np.cumsum(rng.integers(1000, 200_000, len(run)))
    noise = 0.1 * rng.standard_normal(len(run))
    value = (3 * np.exp(-step / (300 * (1 + key))) + noise).astype(np.float32).astype(np.float64)
    return Columns(run[:limit], key[:limit], step[:limit], times[:limit], value[:limit])
