"""What a classifier says of its classes: one column for each of them."""

from contextlib import suppress
from typing import Any

import numpy as np

from metamodel.common.arrays import AnyArray

__all__ = ["class_probabilities", "first_step", "last_step", "with_feature_names"]


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
    given = np.asarray(child.predict_proba(x))
    # Fitted on a single class, scikit-learn's histogram boosting answers as of two, the second of which has no name.
    unnamed = given.ndim == 2 and given.shape[1] == 2 and len(getattr(child, "classes_", ())) == 1
    return given[:, :1] if unnamed else given


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
