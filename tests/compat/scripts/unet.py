"""In the manner of a segmentation training: images, histograms and nested names in one call."""

import numpy as np
import wandb

experiment = wandb.init(project="unet", resume="allow")
experiment.config.update({"epochs": 2, "batch_size": 1, "amp": False})
rng = np.random.default_rng(0)
step = 0
for epoch in range(1, 3):
    for _ in range(2):
        step += 1
        experiment.log({"train loss": 1.0 / step, "step": step, "epoch": epoch})
    histograms = {f"Weights/conv{i}": wandb.Histogram(rng.normal(size=64)) for i in range(2)}
    experiment.log(
        {
            "learning rate": 1e-5,
            "validation Dice": 0.5 + 0.1 * epoch,
            "images": wandb.Image(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)),
            "masks": {
                "true": wandb.Image(np.zeros((8, 8), dtype=np.uint8)),
                "pred": wandb.Image(np.ones((8, 8), dtype=np.uint8)),
            },
            "step": step,
            "epoch": epoch,
            **histograms,
        }
    )
