"""XGBoost, LightGBM, scikit-learn and Optuna, one after another, each into a run of its own."""

import lightgbm
import numpy as np
import optuna
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

import rundial
from rundial.integrations.lightgbm import RundialLightGBMCallback
from rundial.integrations.optuna import RundialOptunaCallback
from rundial.integrations.sklearn import log_estimator
from rundial.integrations.xgboost import RundialXGBoostCallback

rng = np.random.default_rng(0)
x = rng.normal(size=(64, 3))
y = (x[:, 0] > 0).astype(int)
given = {"mode": "offline", "project": "boosters"}

matrix = xgboost.DMatrix(x, y)
callback = RundialXGBoostCallback(name="xgboost", **given)
params = {"max_depth": 2, "objective": "binary:logistic", "nthread": 1}
for _ in range(2):
    xgboost.train(params, matrix, 3, evals=[(matrix, "train")], callbacks=[callback], verbose_eval=False)

data = lightgbm.Dataset(x, y)
callback = RundialLightGBMCallback(name="lightgbm", **given)
params = {"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1}
for _ in range(2):
    lightgbm.train(params, data, 3, valid_sets=[data], valid_names=["train"], callbacks=[callback])

with rundial.init(name="sklearn", **given) as run:
    log_estimator(run, LogisticRegression().fit(x, y), x, y, prefix="test/", step=0)
    log_estimator(run, GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(x, y))

optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


def objective(trial):
    """A bowl, in which the second trial fails."""
    value = trial.suggest_float("x", -1, 1)
    trial.suggest_categorical("kind", ["a", "b"])
    if trial.number == 1:
        raise ValueError("no value")
    trial.report(value, 0)
    return value**2


study.optimize(
    objective,
    n_trials=4,
    callbacks=[RundialOptunaCallback("loss", name="optuna", **given)],
    catch=(ValueError,),
)
