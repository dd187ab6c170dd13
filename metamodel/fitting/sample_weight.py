"""Weights of rows: read from a column, and handed to estimators that take them."""

import inspect
from typing import Any

from metamodel.common.arrays import AnyArray
from metamodel.exceptions import InputError
from metamodel.prediction.child import last_step

__all__ = ["check_takes_weights", "fit_weighted"]


def check_takes_weights(estimator: Any) -> None:
    """Insist on an estimator whose `fit` takes `sample_weight` (of a pipeline: that of its last step).

    Raises
    ------
    InputError
        It does not.
    """
    last = last_step(estimator)
    parameters = inspect.signature(last.fit).parameters.values()
    if not any(one.name == "sample_weight" or one.kind is one.VAR_KEYWORD for one in parameters):
        raise InputError(
            f"{type(last).__name__} takes no weights, but sample_weight names a column. "
            "Choose another estimator, or train without weights."
        )


def fit_weighted(estimator: Any, x: Any, y: AnyArray, weights: AnyArray | None, **options: Any) -> Any:
    """Fit an estimator, with options of its `fit`; weights go to a pipeline's last step alone.

    `x` belongs to the fit (`metamodel.common.arrays.unshared`); target and weights are copied here.

    Returns
    -------
    estimator
        The estimator itself, as scikit-learn's own tools take it: what its `fit` returns may be something else, such as
        the results object of another library.
    """
    if weights is not None:
        steps = getattr(estimator, "steps", None)
        name = "sample_weight" if steps is None else f"{steps[-1][0]}__sample_weight"
        options = {name: weights.copy(), **options}
    estimator.fit(x, y.copy(), **options)
    return estimator
