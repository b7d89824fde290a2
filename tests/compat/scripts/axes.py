"""Metrics with an x axis of their own."""

import wandb

run = wandb.init(project="axes")
run.define_metric("epoch")
run.define_metric("val/*", step_metric="epoch")
run.define_metric("accuracy", summary="max")
wandb.define_metric("free", step_metric="tokens", step_sync=False)
for epoch in range(3):
    for batch in range(2):
        run.log({"train/loss": 1.0 / (1 + epoch + batch), "tokens": 100 * batch, "free": batch})
    run.log({"epoch": epoch, "accuracy": [0.5, 0.8, 0.7][epoch]})
    run.log({"val/loss": 2.0 / (1 + epoch), "val/top5": 0.9})
run.finish()
