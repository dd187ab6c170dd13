"""Weights of rows: read from a column, and handed to estimators that take them."""

import inspect
from typing import Any

from sklearn import config_context, get_config
from sklearn.utils.validation import has_fit_parameter

from metamodel.common.arrays import AnyArray
from metamodel.exceptions import InputError
from metamodel.fitting.fit_groups import routes_groups, takes_groups
from metamodel.prediction.child import last_step
from metamodel.tables.split_groups import SplitGroups

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


def fit_weighted(
    estimator: Any, x: Any, y: AnyArray, weights: AnyArray | None, groups: SplitGroups | None = None, **options: Any
) -> Any:
    """Fit an estimator, with options of its `fit`; of a pipeline, weights and groups go to its last step alone.

    `x` belongs to the fit (`metamodel.common.arrays.unshared`); target and weights are copied here. Groups go to whom
    has a use for them. Where only scikit-learn's metadata routing can bring them there (``LassoCV(cv=GroupKFold())``),
    it is on for this fit.

    Returns
    -------
    estimator
        The estimator itself, as scikit-learn's own tools take it: what its `fit` returns may be something else, such as
        the results object of another library.
    """
    if weights is None and groups is None:  # switching settings would cost as much as a tiny fit
        estimator.fit(x, y.copy(), **options)
        return estimator
    for_rows = {} if weights is None else {"sample_weight": weights.copy()}
    routing = by_callers_wish = bool(get_config()["enable_metadata_routing"])
    if groups is not None and (takes_groups(estimator) or routes_groups(estimator)):
        for_rows["groups"] = groups.values.copy()
        routing = routing or not takes_groups(estimator)
    steps = None if routing else getattr(estimator, "steps", None)
    prefix = "" if steps is None else f"{steps[-1][0]}__"
    named = {f"{prefix}{name}": values for name, values in for_rows.items()}
    with config_context(enable_metadata_routing=routing):
        if routing and not by_callers_wish and weights is not None:
            _ask_for_weights(estimator)
        estimator.fit(x, y.copy(), **named, **options)
    return estimator


def _ask_for_weights(estimator: Any) -> None:
    """Have weights routed where they go without routing: to the last step, and to what it fits inside."""
    last = last_step(estimator)
    inside = [part for part in last.get_params(deep=True).values() if has_fit_parameter(part, "sample_weight")]
    for part in (last, *inside):
        part.set_fit_request(sample_weight=True)
    for step in getattr(estimator, "steps", [])[:-1]:
        if has_fit_parameter(step[1], "sample_weight"):
            step[1].set_fit_request(sample_weight=False)
