"""Numbers of every kind, and what is none."""

import enum
import pathlib

import numpy as np
import wandb


class Mode(enum.Enum):
    """Two ways."""

    FAST = "fast"


config = {
    "path": pathlib.Path("/data/set"),
    "scale": np.float32(1.5),
    "shape": (3, 4),
    "mean": np.zeros(3),
    "mode": Mode.FAST,
    "none": None,
    "call": print,
}
run = wandb.init(project="kinds", config=config)
run.log(
    {
        "float32": np.float32(2.5),
        "int64": np.int64(3),
        "zero_d": np.array(4.0),
        "one": np.array([5.0]),
        "few": np.arange(3),
        "many": np.arange(100.0),
        "tuple": (1, 2),
        "true": True,
        "none": None,
        "text": "words",
        "nested": {"empty": {}, "x.y": {"z": 1}},
        "big": 2**60,
    }
)
run.finish()
