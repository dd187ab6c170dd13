"""Early stopping that an estimator was given: how many rounds its fit makes is found on rows that the fit does not see.

XGBoost, LightGBM and CatBoost watch an `eval_set`. It is cut from the rows of the fit itself, never from those that
judge the child; then all rows of the fit are fitted with the number of rounds that was found. scikit-learn's own
estimators watch rows that they cut off themselves, and need nothing from here.
"""

import warnings
from typing import Any

import numpy as np
from sklearn.base import clone

from metamodel.common.arrays import unshared
from metamodel.common.messages import count
from metamodel.evaluation.splits import hash_holdout, time_holdout
from metamodel.exceptions import InputError
from metamodel.fitting.group import GroupData
from metamodel.fitting.sample_weight import fit_weighted
from metamodel.prediction.child import last_step

__all__ = ["asks_for_stopping", "check_stops_by_itself", "rounds_note", "with_rounds_found"]

# Share of the rows of a fit that is watched.
_WATCHED = 0.2

# Of fewer rows none can be spared.
_FEWEST_ROWS = 10

# Library → what its estimators call the wish to stop, and the number of rounds; the first is the usual name.
_STOPPING = {
    "xgboost": ("early_stopping_rounds",),
    "lightgbm": ("early_stopping_round", "early_stopping_rounds", "early_stopping", "n_iter_no_change"),
    "catboost": ("early_stopping_rounds", "od_wait", "od_type"),
}
_ROUNDS = {
    "xgboost": ("n_estimators",),
    "lightgbm": ("n_estimators",),
    "catboost": ("iterations", "n_estimators", "num_boost_round", "num_trees"),
}


def asks_for_stopping(estimator: Any) -> bool:
    """Whether an estimator, or the last step of a pipeline, shall stop early by rows that it has to be given.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> asks_for_stopping(Ridge())
    False
    """
    last = last_step(estimator)
    params = last.get_params(deep=False) if _library(last) else {}
    return any(params.get(name) for name in _STOPPING.get(_library(last), ()))


def with_rounds_found(estimator: Any, rows: GroupData) -> Any:
    """Set how many rounds to make, and no early stopping.

    Parameters
    ----------
    estimator
        Unfitted, one that `asks_for_stopping`; its own, to be changed.
    rows
        Of the fit. A fifth of them is watched: the latest where there is a time, else by hash; of fewer than ten none,
        and then all rounds are made.

    Returns
    -------
    estimator
        The same one.
    """
    last = last_step(estimator)
    library = _library(last)
    found = _found(clone(estimator), rows)
    if library != "catboost":  # which makes all rounds where nothing is watched
        given = last.get_params(deep=False)
        last.set_params(**{name: None for name in _STOPPING[library] if given.get(name)})
    if found:
        last.set_params(**found)
    return estimator


def check_stops_by_itself(estimator: Any) -> None:
    """Insist on an estimator inside which nobody stops early by rows that only a fit from outside can give.

    Raises
    ------
    InputError
        A part of it does: the estimator of a grid search, of a stacking or a bagging.
    """
    last = last_step(estimator)
    for part in last.get_params(deep=True).values() if hasattr(last, "get_params") else ():
        if hasattr(part, "fit") and not isinstance(part, type) and asks_for_stopping(part):
            inner, outer = type(last_step(part)).__name__, type(last).__name__
            raise InputError(
                f"{inner} inside {outer} asks for early stopping, but nobody can give it rows to watch there. Give "
                f"{inner} itself (tune= searches its parameters), or leave early stopping out."
            )


def rounds_note(estimator: Any, child: Any, rows: GroupData) -> list[str]:
    """Say for the ledger how many rounds a child was fitted with, where `estimator` asks for early stopping."""
    if not asks_for_stopping(estimator):
        return []
    rounds = last_step(child).get_params(deep=False).get(_rounds_parameter(last_step(child)))
    if _parts(estimator, rows) is None:
        every = "all rounds" if rounds is None else f"all {count(rounds, 'round')}"
        return [f"early_stopping: {every}, no rows to find fewer on"]
    return [] if rounds is None else [f"early_stopping: {count(rounds, 'round')}"]


def _parts(estimator: Any, rows: GroupData) -> tuple[GroupData, GroupData] | None:
    """Split rows in those to fit on and those to watch; None where none can be watched."""
    held = _held_back(rows)
    if held is None:
        return None
    part, watched = rows.take(~held), rows.take(held)
    if hasattr(last_step(estimator), "predict_proba"):  # labels that were not learned cannot be watched
        watched = watched.take(np.isin(watched.y, np.unique(part.y)))
    return (part, watched) if len(watched.y) else None


def _found(estimator: Any, rows: GroupData) -> dict[str, Any]:
    """Fit until more rounds no longer help; returns what the fit on all rows needs to be such a fit."""
    parts = _parts(estimator, rows)
    if parts is None:
        return {}
    part, watched = parts
    last = last_step(estimator)
    x, watched_x = unshared(part.x, "F"), unshared(watched.x)
    step = estimator
    while getattr(step, "steps", None):
        if len(step.steps) > 1:
            steps_before = step[:-1]
            x = steps_before.fit_transform(x, part.y.copy())
            watched_x = steps_before.transform(watched_x)
        step = step.steps[-1][1]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The argument 'eval_set' is deprecated")
        fit_weighted(last, x, part.y, part.weights, **_eval_arguments(last, watched_x, watched))
    if _library(last) == "lightgbm":
        return {_rounds_parameter(last): max(1, int(last.best_iteration_))}
    if _library(last) == "xgboost":
        return {_rounds_parameter(last): int(last.best_iteration) + 1}
    # CatBoost chooses its learning rate by the number of rows and rounds, and by whether rows are watched.
    return {_rounds_parameter(last): int(last.best_iteration_) + 1, "learning_rate": last.learning_rate_}


def _held_back(rows: GroupData) -> Any:
    if len(rows.y) < _FEWEST_ROWS:
        return None
    if rows.times is not None:
        return time_holdout(rows.times, _WATCHED)
    # Mixed once more: of a training part the rows with the smallest hashes are gone already.
    return hash_holdout(rows.draw_hashes * np.uint64(0x9E3779B97F4A7C15), _WATCHED)


def _eval_arguments(last: Any, x: Any, watched: GroupData) -> dict[str, Any]:
    """Hand rows over to be watched, each library in its own way."""
    library, y, weights = _library(last), watched.y.copy(), watched.weights
    if library == "xgboost":
        more = {} if weights is None else {"sample_weight_eval_set": [weights]}
        return {"eval_set": [(x, y)], "verbose": False, **more}
    if library == "lightgbm":
        # The newer `eval_y` is not brought to the codes of labels (LightGBM 4.7).
        return {"eval_set": [(x, y)], **({} if weights is None else {"eval_sample_weight": [weights]})}
    if weights is None:
        return {"eval_set": (x, y)}
    from catboost import Pool

    categories = last.get_params(deep=False).get("cat_features")
    return {"eval_set": Pool(x, y, weight=weights, cat_features=None if categories is None else list(categories))}


def _rounds_parameter(last: Any) -> str:
    names = _ROUNDS[_library(last)]
    given = last.get_params(deep=False)
    return next((name for name in names if name in given), names[0])


def _library(estimator: Any) -> str:
    """Name the library with an `eval_set` that an estimator, or its base class, comes from; empty for none."""
    tops = (cls.__module__.partition(".")[0] for cls in type(estimator).__mro__)
    return next((top for top in tops if top in _STOPPING), "")
