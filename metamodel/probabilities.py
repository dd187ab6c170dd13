"""What a classifier says of its classes: one column for each of them."""

from typing import Any

import numpy as np

from metamodel.frames import AnyArray

__all__ = ["class_probabilities"]


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
