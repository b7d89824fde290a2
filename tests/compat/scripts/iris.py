"""scikit-learn on iris, and pyplot itself logged."""

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import wandb
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

run = wandb.init(project="iris", config={"C": 1.0, "max_iter": 200})
X, y = load_iris(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
for number, c in enumerate((0.01, 0.1, run.config.C)):
    model = LogisticRegression(C=c, max_iter=run.config["max_iter"]).fit(X_train, y_train)
    run.log({"C": c, "accuracy": model.score(X_test, y_test)}, step=number)
plt.plot([1, 2, 3])
wandb.log({"chart": plt})
predicted = model.predict(X_test)
wandb.log(
    {
        "table": wandb.Table(
            columns=["truth", "predicted"],
            data=[[int(a), int(b)] for a, b in zip(y_test[:5], predicted[:5], strict=True)],
        ),
        "bar": wandb.plot.bar(
            wandb.Table(columns=["label", "value"], data=[["a", 1], ["b", 2]]), "label", "value", title="t"
        ),
    }
)
