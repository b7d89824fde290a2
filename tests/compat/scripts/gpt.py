"""In the manner of a small language model's training: a config of globals, log every so often."""

import wandb

wandb_log = True
wandb_project = "gpt"
wandb_run_name = "gpt-mini"
eval_interval, max_iters, n_layer, dropout, compile_it = 5, 12, 4, 0.0, False
config_keys = [
    k for k, v in globals().items() if not k.startswith("_") and isinstance(v, (int, float, bool, str))
]
config = {k: globals()[k] for k in config_keys}
if wandb_log:
    wandb.init(project=wandb_project, name=wandb_run_name, config=config)
for iter_num in range(max_iters):
    if iter_num % eval_interval == 0:
        wandb.log(
            {
                "iter": iter_num,
                "train/loss": 4.0 / (iter_num + 1),
                "val/loss": 4.2 / (iter_num + 1),
                "mfu": -1.0 * 100,
            }
        )
    wandb.log({"lr": 6e-4 * (iter_num + 1)}, step=iter_num * 10)
