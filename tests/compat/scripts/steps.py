"""Steps in every way that they can be given."""

import wandb

with wandb.init(project="steps", config=None) as run:
    run.log({"a": 1})
    run.log({"b": 2}, commit=False)
    run.log({"c": 3}, commit=False)
    run.log({"b": 4})
    run.log({"late": 1}, step=10)
    run.log({"late": 2}, step=10)
    run.log({"dropped": 1}, step=4)
    run.log({"same": 5})
    run.log({"next": 6})
    run.log({"committed": 7}, step=20, commit=True)
    run.log({"dropped": 2}, step=20)
    run.log({})
    run.log({"after": 8})
    run.log({"open": 9}, commit=False)
