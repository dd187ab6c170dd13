"""What a fitted child says of rows: its predictions, and of a classifier one column for each of its classes.

Whoever asks a child asks it here: each call gets a copy of the rows, because a child may write into them.
"""

from contextlib import suppress
from typing import Any

import numpy as np

from metamodel.common.arrays import AnyArray, unshared

__all__ = [
    "class_probabilities",
    "first_step",
    "last_step",
    "predictions",
    "transformed_columns",
    "with_feature_names",
]


def predictions(child: Any, x: Any) -> AnyArray:
    """Ask a fitted child for its predictions; what it does to the rows stays its own affair.

    Parameters
    ----------
    child
        With `predict`.
    x
        Rows as the child takes them.

    Returns
    -------
    ndarray
        Of whatever shape the child answers in.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> x = np.array([[0.0], [1.0]])
    >>> predictions(LinearRegression().fit(x, [1.0, 3.0]), x).round(6).tolist()
    [1.0, 3.0]
    """
    return np.asarray(child.predict(unshared(x)))


def class_probabilities(child: Any, x: Any) -> AnyArray:
    """Ask a fitted classifier for its probabilities.

    Parameters
    ----------
    child
        With `predict_proba` and `classes_`.
    x
        Rows as the child takes them.

    Returns
    -------
    ndarray, shape (n_rows, n_classes)
        In the order of `classes_`.

    Examples
    --------
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> x = np.arange(40.0).reshape(-1, 1)
    >>> class_probabilities(HistGradientBoostingClassifier().fit(x, ["yes"] * 40), x).shape
    (40, 1)
    """
    given = np.asarray(child.predict_proba(unshared(x)))
    # Fitted on a single class, scikit-learn's histogram boosting answers as of two, the second of which has no name.
    unnamed = given.ndim == 2 and given.shape[1] == 2 and len(getattr(child, "classes_", ())) == 1
    return given[:, :1] if unnamed else given


def transformed_columns(child: Any, x: Any) -> int:
    """Count the columns that a fitted child's `transform` gives, by the first row; 0 where it has none, or fails.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> x = np.arange(8.0).reshape(-1, 1)
    >>> transformed_columns(KMeans(3, n_init=1).fit(x), x)
    3
    """
    if not hasattr(child, "transform"):
        return 0
    try:
        shape: tuple[int, ...] = child.transform(unshared(x[:1])).shape
    except Exception:  # noqa: BLE001 - what it cannot do is not offered
        return 0
    return shape[1] if len(shape) == 2 else 0


def with_feature_names(estimator: Any, names: list[str]) -> Any:
    """Tell a child that was fitted on arrays its features' names, so that it takes a DataFrame without a warning.

    Where the names are a property that cannot be set (XGBoost's), the child is left as it is.
    """
    first = first_step(estimator)
    if not hasattr(first, "feature_names_in_"):
        with suppress(AttributeError):
            first.feature_names_in_ = np.asarray(names, dtype=object)
    return estimator


def first_step(estimator: Any) -> Any:
    """Give the estimator at the beginning of a pipeline; of anything else, itself."""
    while getattr(estimator, "steps", None):
        estimator = estimator.steps[0][1]
    return estimator


def last_step(estimator: Any) -> Any:
    """Give the estimator at the end of a pipeline; of anything else, itself."""
    while getattr(estimator, "steps", None):
        estimator = estimator.steps[-1][1]
    return estimator
