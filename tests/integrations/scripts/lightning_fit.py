"""Lightning on the CPU: fit, validate, test, a second fit; or an exception, or a resumed fit."""

import argparse
import os

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from rundial.integrations.lightning import RundialLogger

parser = argparse.ArgumentParser()
parser.add_argument("--what", default="all")
parser.add_argument("--devices", type=int, default=1)
args = parser.parse_args()


class Line(pl.LightningModule):
    """A line through points."""

    def __init__(self, lr: float = 0.1, hub_token: str = "hf_" + "a" * 24) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(1, 1)

    def _loss(self, batch: list[torch.Tensor]) -> torch.Tensor:
        x, y = batch
        return torch.nn.functional.mse_loss(self.layer(x), y)

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        """One batch; the fourth may fail."""
        if args.what == "raise" and self.global_step == 3:
            raise RuntimeError("in the middle")
        loss = self._loss(batch)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: list[torch.Tensor], index: int) -> None:
        """One batch."""
        self.log("val/loss", self._loss(batch), sync_dist=args.devices > 1)

    def test_step(self, batch: list[torch.Tensor], index: int) -> None:
        """One batch."""
        self.log("test/loss", self._loss(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain descent."""
        return torch.optim.SGD(self.parameters(), lr=self.hparams["lr"])


def trainer(logger: RundialLogger, epochs: int) -> pl.Trainer:
    """A trainer that writes to this directory alone."""
    return pl.Trainer(
        max_epochs=epochs,
        logger=logger,
        accelerator="cpu",
        devices=args.devices,
        strategy="ddp" if args.devices > 1 else "auto",
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=os.getcwd(),
    )


if __name__ == "__main__":
    torch.manual_seed(0)
    x = torch.linspace(0, 1, 16).reshape(-1, 1)
    data = DataLoader(TensorDataset(x, 2 * x), batch_size=4)
    model = Line()
    resume = {"first": {"run_id": "again"}, "resume": {"run_id": "again", "resume": "must"}}.get(
        args.what, {}
    )
    logger = RundialLogger(project="lightning", mode="offline", config={"seed": 0}, **resume)
    if args.what == "first":
        trainer(logger, 1).fit(model, data, data)
    elif args.what == "resume":
        (path,) = [
            os.path.join(d, f)
            for d, _, fs in os.walk(".")
            for f in fs
            if f.endswith(".ckpt") and ".rundial" not in d
        ]
        trainer(logger, 2).fit(model, data, data, ckpt_path=path, weights_only=False)
    else:
        first = trainer(logger, 2)
        first.fit(model, data, data)
        if args.devices == 1:
            first.validate(model, data, verbose=False)
            first.test(model, data, verbose=False)
            trainer(logger, 1).fit(model, data, data)
