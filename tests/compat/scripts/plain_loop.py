"""A loop of the standard library alone: argparse, nested names, no finish."""

import argparse
import math
import random

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.05)
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--name", default=None)
args = parser.parse_args([])

run = wandb.init(project="plain", config={"seed": 7, "model": {"width": 16, "layers": [4, 4]}}, tags=["loop"])
wandb.config.update(args)
wandb.config.batch = 32
wandb.config["dropout"] = 0.1
wandb.config.update({"lr": 0.1}, allow_val_change=True)
rng = random.Random(wandb.config.seed)
best = math.inf
for epoch in range(wandb.config.epochs):
    loss = wandb.config["lr"] / (epoch + 1) + rng.random() / 100
    best = min(best, loss)
    wandb.log({"epoch": epoch, "loss": loss, "time": {"load": epoch * 0.5, "step": {"mean": epoch * 0.25}}})
wandb.log({"val": {"loss": 0.5}, "note": "half way", "lrs": [0.1, 0.01], "ok": True})
wandb.run.summary["best_loss"] = best
wandb.summary.update({"epochs_done": args.epochs})
