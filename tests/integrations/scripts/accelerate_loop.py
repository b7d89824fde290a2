"""A loop of accelerate's, with as many ranks as there are."""

import argparse

import numpy as np
import torch
from accelerate import Accelerator

from rundial.integrations.accelerate import RundialTracker

parser = argparse.ArgumentParser()
parser.add_argument("--what", default="all")
args = parser.parse_args()
tracker = RundialTracker("loop", project="accelerate", mode="offline")
accelerator = Accelerator(cpu=True, log_with=tracker)
accelerator.init_trackers("accelerate", config={"lr": 0.1, "api_token": "hf_" + "a" * 24})
model = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model, optimizer = accelerator.prepare(model, optimizer)
x = torch.linspace(0, 1, 8).reshape(-1, 1)
for step in range(3):
    loss = torch.nn.functional.mse_loss(model(x), 2 * x)
    accelerator.backward(loss)
    optimizer.step()
    optimizer.zero_grad()
    accelerator.log({"loss": loss.item(), "rank": accelerator.process_index}, step=step)
    if args.what == "raise" and step == 1:
        raise RuntimeError("in the middle")
if accelerator.is_main_process:
    own = accelerator.get_tracker("rundial")
    own.log_images({"picture": [np.zeros((2, 2, 3), dtype=np.uint8)]}, step=3)
    own.log_table("table", columns=["a"], data=[[1]], step=3)
accelerator.end_training()
