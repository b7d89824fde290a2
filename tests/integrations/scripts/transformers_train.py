"""Transformers on the CPU: train, evaluate, predict, a second train; or an exception, or a resumed train."""

import argparse

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from rundial.integrations.transformers import RundialCallback

parser = argparse.ArgumentParser()
parser.add_argument("--what", default="all")
args = parser.parse_args()


class Rows(torch.utils.data.Dataset):
    """A few rows of made words."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        words = torch.arange(4) + index
        return {
            "input_ids": words,
            "attention_mask": torch.ones(4, dtype=torch.long),
            "labels": torch.tensor(index % 2),
        }


class Trip(TrainerCallback):
    """Ends a training in the middle."""

    def on_step_end(self, arguments, state, control, **kwargs):
        """Raise at the third step."""
        if state.global_step == 3:
            raise RuntimeError("in the middle")


def count_right(prediction) -> dict[str, float]:
    """How many are right."""
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


torch.manual_seed(0)
shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
model = BertForSequenceClassification(BertConfig(vocab_size=32, max_position_embeddings=8, **shape))
epochs = 1 if args.what == "first" else 2
arguments = TrainingArguments(
    output_dir="out",
    num_train_epochs=epochs,
    per_device_train_batch_size=4,
    logging_steps=1,
    eval_strategy="epoch",
    save_strategy="epoch",
    report_to=[],
    hub_token="hf_" + "a" * 24,
    use_cpu=True,
    disable_tqdm=True,
)
resume = {"first": {"run_id": "again"}, "resume": {"run_id": "again", "resume": "must"}}.get(args.what, {})
callback = RundialCallback(project="transformers", mode="offline", **resume)
callbacks = [callback, Trip()] if args.what == "raise" else [callback]
trainer = Trainer(
    model=model,
    args=arguments,
    train_dataset=Rows(),
    eval_dataset=Rows(),
    compute_metrics=count_right,
    callbacks=callbacks,
)
trainer.train(resume_from_checkpoint=args.what == "resume" or None)
if args.what == "all":
    trainer.evaluate()
    trainer.predict(Rows())
    trainer.train()
