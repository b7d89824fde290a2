"""`log_estimator`: what a fitted estimator of scikit-learn is, and how good, in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rundial

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CLASSES = 50


def log_estimator(
    run: rundial.Run,
    estimator: Any,
    x: Any = None,
    y: Any = None,
    *,
    prefix: str = "",
    step: int | None = None,
) -> Mapping[str, float]:
    """Record a fitted estimator: class and parameters, scores, a search's candidates, a loss curve.

    Args:
        run: The run.
        estimator: Fitted; also a pipeline or a search.
        x: What to score it on; None scores nothing.
        y: The truth.
        prefix: In front of the names of scores, such as `test/`.
        step: Of the scores; None takes the run's own count.

    Returns:
        The scores.
    """
    run.update_config({"estimator": {"class": type(estimator).__name__, "params": estimator.get_params()}})
    for number, loss in enumerate(getattr(estimator, "loss_curve_", ())):
        run.log({f"{prefix}loss_curve": loss}, step=number)
    _log_search(run, estimator, prefix)
    if x is None or y is None:
        return {}
    predicted = estimator.predict(x)
    scores = _scores(estimator, y, predicted)
    run.log({f"{prefix}{name}": value for name, value in scores.items()}, step=step)
    if _is_classifier(estimator):
        table = _confusion(y, predicted)
        if table is not None:
            run.log({f"{prefix}confusion_matrix": table}, step=step)
    return scores


def _log_search(run: rundial.Run, estimator: Any, prefix: str) -> None:
    found = getattr(estimator, "cv_results_", None)
    if not found:
        return
    means = found["mean_test_score"]
    for number, params in enumerate(found["params"]):
        values = {f"{prefix}search/mean_test_score": means[number]}
        values |= {f"{prefix}search/{name}": value for name, value in params.items() if _is_number(value)}
        run.log(values, step=number)
    run.summary.update({"best_params": estimator.best_params_, "best_score": float(estimator.best_score_)})


def _scores(estimator: Any, y: Any, predicted: Any) -> dict[str, float]:
    from sklearn import metrics

    if _is_classifier(estimator):
        found = metrics.precision_recall_fscore_support(y, predicted, average="macro", zero_division=0.0)
        names = ("precision", "recall", "f1")
        accuracy = float(metrics.accuracy_score(y, predicted))
        return {
            "accuracy": accuracy,
            **{name: float(value) for name, value in zip(names, found[:3], strict=True)},
        }
    return {
        "r2": float(metrics.r2_score(y, predicted)),
        "mae": float(metrics.mean_absolute_error(y, predicted)),
        "rmse": float(metrics.mean_squared_error(y, predicted)) ** 0.5,
    }


def _confusion(y: Any, predicted: Any) -> rundial.Table | None:
    from sklearn import metrics
    from sklearn.utils.multiclass import unique_labels

    labels = [str(label) for label in unique_labels(y, predicted)]
    if len(labels) > MAX_CLASSES:
        return None
    counts = metrics.confusion_matrix(y, predicted)
    rows = [[label, *map(int, row)] for label, row in zip(labels, counts, strict=True)]
    return rundial.Table(columns=["actual", *labels], rows=rows)


def _is_classifier(estimator: Any) -> bool:
    from sklearn.base import is_classifier

    return bool(is_classifier(estimator))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))
