"""Early stopping: how many boosting rounds a group needs, found on rows that the fit has not seen.

XGBoost and scikit-learn's histogram gradient boosting both add one round (a tree, or one a class) after the other. A
trial may use many; it ends when the validation rows have not gained for a while, and the best number is what the final
fit on all rows gets.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from metamodel.common.arrays import unshared
from metamodel.fitting.group import GroupData

__all__ = ["MOST_ROUNDS", "fit_counting", "mean_rounds", "others_rounds", "rounds_parameter", "with_rounds"]

MOST_ROUNDS = 500

# Rounds without a gain after which a fit ends.
_PATIENCE = 20


def rounds_parameter(estimator: Any) -> str | None:
    """Name of the parameter that says how many rounds the last step makes; None where it counts none.

    Examples
    --------
    >>> from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
    >>> rounds_parameter(HistGradientBoostingRegressor()), rounds_parameter(RandomForestRegressor())
    ('max_iter', None)
    """
    names = {cls.__name__ for cls in type(_last(estimator)).__mro__}
    if "BaseHistGradientBoosting" in names:
        return "max_iter"
    # Its random forests are boosters with one round.
    xgboost = "XGBModel" in names and not names & {"XGBRFRegressor", "XGBRFClassifier"}
    return "n_estimators" if xgboost else None


def fit_counting(estimator: Any, part: GroupData, unseen: GroupData) -> tuple[Any, int]:
    """Fit a clone until more rounds no longer help.

    Parameters
    ----------
    estimator
        Unfitted; a pipeline's steps before the last are fitted on `part` alone.
    part
        Rows to fit on.
    unseen
        Rows to watch.

    Returns
    -------
    child
        Fitted.
    int
        The best number of rounds, at least 1.
    """
    child = clone(estimator)
    last = _last(child)
    # Labels that the training rows lack cannot be watched.
    watched = unseen.take(np.isin(unseen.y, np.unique(part.y))) if hasattr(last, "predict_proba") else unseen
    x, y, watched_x = unshared(part.x, "F"), part.y.copy(), unshared(watched.x)
    if last is not child and len(child.steps) > 1:
        steps_before = child[:-1]
        x = steps_before.fit_transform(x, y)
        watched_x = steps_before.transform(watched_x)
    weights: dict[str, Any] = {} if part.weights is None else {"sample_weight": part.weights}
    if rounds_parameter(last) == "n_estimators":
        if weights:
            weights["sample_weight_eval_set"] = [watched.weights]
        last.set_params(n_estimators=MOST_ROUNDS, early_stopping_rounds=_PATIENCE)
        last.fit(x, y, eval_set=[(watched_x, watched.y)], verbose=False, **weights)
        return child, int(last.best_iteration) + 1
    last.set_params(max_iter=MOST_ROUNDS, early_stopping=True, n_iter_no_change=_PATIENCE)
    # Before 1.7 scikit-learn watched only rows that it had split off itself.
    if "X_val" in inspect.signature(last.fit).parameters:
        weights |= {} if watched.weights is None else {"sample_weight_val": watched.weights}
        last.fit(x, y, X_val=watched_x, y_val=watched.y, **weights)
    else:
        last.fit(x, y, **weights)
    return child, max(1, int(np.argmax(last.validation_score_)))


def mean_rounds(counts: Sequence[int]) -> int:
    """Mean of the folds' best numbers, at least 1."""
    return max(1, round(sum(counts) / len(counts)))


def others_rounds(counts: Sequence[int]) -> list[int]:
    """For each fold the mean of the other folds' best numbers: its own rows had no say in it.

    Examples
    --------
    >>> others_rounds([10, 20, 60])
    [40, 35, 15]
    """
    return [mean_rounds([*counts[:i], *counts[i + 1 :]]) for i in range(len(counts))]


def with_rounds(estimator: Any, rounds: int) -> Any:
    """Fix the number of rounds, for the final fit."""
    last = _last(estimator)
    if rounds_parameter(last) == "max_iter":
        last.set_params(max_iter=rounds, early_stopping=False)
    else:
        last.set_params(n_estimators=rounds)
    return estimator


def _last(estimator: Any) -> Any:
    steps = getattr(estimator, "steps", None)
    return steps[-1][1] if steps else estimator
