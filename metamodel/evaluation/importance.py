"""How much each input feature counts for one fitted child, where the child says so itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, unshared

__all__ = ["SPREAD_ROWS", "Importance", "importance_of"]

# Rows on which a pipeline's preprocessing is repeated to learn the spread of what reaches the last step.
SPREAD_ROWS = 500


@dataclass(frozen=True)
class Importance:
    """Importance of every input feature, shape (n_features,).

    Parameters
    ----------
    share
        Not negative, of sum 1: a tree's `feature_importances_`, or a linear model's coefficients, each times the
        standard deviation of what it is multiplied with. Encoded columns count for the feature they come from.
    coefficient
        A linear model's own coefficient; NaN where there is not exactly one for the feature.
    """

    share: AnyArray
    coefficient: AnyArray


def importance_of(child: Any, x: AnyArray | pd.DataFrame) -> Importance | None:
    """Read a child's importances.

    Parameters
    ----------
    child
        Fitted estimator or pipeline, or a search or target transformation around one.
    x
        The rows it was fitted on, shape (n_rows, n_features), as it takes them.

    Returns
    -------
    Importance or None
        None where the child has neither `coef_` nor `feature_importances_`, or where they cannot be traced back to
        input features (components, interactions).

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.0, 2.0]])
    >>> importance_of(LinearRegression().fit(x, x @ [3.0, 0.5]), x).share.round(2).tolist()
    [0.75, 0.25]
    """
    try:
        return _read(_inner(child), x)
    except Exception:  # noqa: BLE001 - a child's own code may raise anything, and it is a good child without this
        return None


def _inner(child: Any) -> Any:
    for name in ("best_estimator_", "regressor_"):
        child = getattr(child, name, child)
    return child


def _read(child: Any, x: AnyArray | pd.DataFrame) -> Importance | None:
    steps = getattr(child, "steps", None)
    last = _inner(steps[-1][1]) if steps else child
    names = [str(name) for name in x.columns] if isinstance(x, pd.DataFrame) else [f"x{i}" for i in range(x.shape[1])]
    steps_before = child[:-1] if steps and len(steps) > 1 else None
    origin = (
        np.arange(len(names))
        if steps_before is None
        else _origins(list(steps_before.get_feature_names_out(names)), names)
    )
    if origin is None:
        return None
    of_trees = getattr(last, "feature_importances_", None)  # asked for once: a forest goes through all its trees for it
    if of_trees is not None:
        return _summed(np.asarray(of_trees, dtype=np.float64), None, origin, len(names))
    if not hasattr(last, "coef_"):
        return None
    coefficients = np.atleast_2d(np.asarray(last.coef_, dtype=np.float64))
    spread = _spread(x[:SPREAD_ROWS] if steps_before is None else steps_before.transform(unshared(x[:SPREAD_ROWS])))
    alone = coefficients[0] if len(coefficients) == 1 else None
    return _summed(np.abs(coefficients).mean(axis=0) * spread, alone, origin, len(names))


def _origins(made: list[str], names: list[str]) -> AnyArray | None:
    """Position of the input feature behind each column that reaches the last step; None where one has none.

    Examples
    --------
    >>> _origins(["price", "texts__city_Paris", "city_of_x"], ["price", "city", "city_of"]).tolist()
    [0, 1, 2]
    """
    where = {name: i for i, name in enumerate(names)}
    longest = sorted(names, key=len, reverse=True)
    found = []
    for column in made:
        plain = column.partition("__")[2] or column
        feature = next((n for n in (column, plain) if n in where), None)
        feature = feature or next((n for n in longest if plain.startswith(f"{n}_") or column.startswith(f"{n}_")), None)
        if feature is None:
            return None
        found.append(where[feature])
    return np.asarray(found, dtype=np.int64)


def _spread(x: Any) -> AnyArray:
    dense = x.toarray() if hasattr(x, "toarray") else np.asarray(x, dtype=np.float64)
    spread: AnyArray = dense.std(axis=0)
    return np.nanstd(dense, axis=0) if np.isnan(spread).any() else spread  # which takes three times as long


def _summed(weights: AnyArray, alone: AnyArray | None, origin: AnyArray, n_features: int) -> Importance | None:
    share = np.bincount(origin, weights=weights, minlength=n_features)
    total = share.sum()
    if not np.isfinite(total):
        return None
    coefficient = np.full(n_features, np.nan)
    if alone is not None:
        single = np.bincount(origin, minlength=n_features)[origin] == 1
        coefficient[origin[single]] = alone[single]
    return Importance(share / total if total > 0 else share, coefficient)
