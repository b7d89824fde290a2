"""Libraries that import wandb, with Rundial in its place."""

import argparse
import os

import rundial.compat.wandb

rundial.compat.wandb.install()
os.environ["WANDB_MODE"] = "offline"
parser = argparse.ArgumentParser()
parser.add_argument("--what", default="lightning")
args = parser.parse_args()

if args.what == "lightning":
    import lightning.pytorch as pl
    import torch
    from lightning.pytorch.demos.boring_classes import BoringModel
    from lightning.pytorch.loggers import WandbLogger

    class Model(BoringModel):
        """Logs its loss."""

        def training_step(self, batch, batch_idx):
            """Log it."""
            found = super().training_step(batch, batch_idx)
            self.log("loss", found["loss"])
            return found

    logger = WandbLogger(project="through", name="lightning", offline=True)
    logger.watch(model := Model(), log="all", log_freq=1)
    trainer = pl.Trainer(
        max_epochs=1,
        limit_train_batches=3,
        limit_val_batches=1,
        log_every_n_steps=1,
        logger=logger,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model)
    logger.log_hyperparams({"lr": 0.1})
    logger.log_image("pictures", [torch.zeros(3, 2, 2).numpy().transpose(1, 2, 0)])
    logger.log_table("table", columns=["a"], data=[[1]])
elif args.what == "transformers":
    import torch
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    class Rows(torch.utils.data.Dataset):
        """A few rows of made words."""

        def __len__(self):
            return 8

        def __getitem__(self, index):
            return {"input_ids": torch.arange(4) + index, "labels": torch.tensor(index % 2)}

    os.environ["WANDB_PROJECT"] = "through"
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = BertForSequenceClassification(BertConfig(vocab_size=32, max_position_embeddings=8, **shape))
    arguments = TrainingArguments(
        "out", num_train_epochs=2, logging_steps=1, report_to="wandb", use_cpu=True, disable_tqdm=True
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=Rows(), eval_dataset=Rows())
    trainer.train()
    trainer.evaluate()
elif args.what == "accelerate":
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, log_with="wandb")
    accelerator.init_trackers("through", config={"lr": 0.1}, init_kwargs={"wandb": {"name": "accelerate"}})
    for step in range(3):
        accelerator.log({"loss": 1.0 / (step + 1)}, step=step)
    accelerator.end_training()
elif args.what == "optuna":
    import optuna
    from optuna_integration.wandb import WeightsAndBiasesCallback

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    callback = WeightsAndBiasesCallback(metric_name="loss", wandb_kwargs={"project": "through"})
    study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=3, callbacks=[callback])
elif args.what == "tensorboard":
    import torch
    import wandb
    from torch.utils.tensorboard import SummaryWriter

    with wandb.init(project="through", sync_tensorboard=True):
        with SummaryWriter("logs/train") as writer, SummaryWriter("logs/eval") as other:
            for step in range(3):
                writer.add_scalar("loss", 1.0 / (step + 1), step)
            other.add_scalar("loss", 0.5, 7)
            writer.add_text("note", "so far so good", 2)
            # Has more ranges than a histogram of Rundial's.
            writer.add_histogram("weights", torch.linspace(-1e12, 1e12, 4_001) ** 3, 2)
            writer.add_image("picture", torch.zeros(3, 4, 5), 2)
            writer.add_pr_curve("curve", torch.tensor([0, 1]), torch.tensor([0.2, 0.8]), 2)
        ledger = wandb.run.recorded.diagnostics().ledger
        # The picture and the histogram; and what has no counterpart is counted.
        assert ledger.artifacts.recorded == 2, ledger
        assert dict(ledger.points.dropped) == {"invalid": 1}, ledger
    with SummaryWriter("logs/later") as writer:
        writer.add_scalar("loss", 9.0, 9)
