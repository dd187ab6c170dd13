"""One model for all groups that knows which group a row is of: the fair rival of one model a group.

A global model sees the features alone, so that children beat it by knowing their group. A pooled model is the same
estimator on the same features and, as further columns, the group columns: as categories where the estimator splits by
them itself, one column a level for few levels, else encoded by the target, in folds.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from metamodel.fitting.spec import Candidate, TaskName
from metamodel.fitting.target_encoder import GroupTargetEncoder
from metamodel.tables.features import FeatureSchema

__all__ = ["pooled_candidate"]

# Up to so many levels a group column becomes one column a level.
_FEW_LEVELS = 300


def pooled_candidate(
    candidate: Candidate, features: FeatureSchema, groups: Mapping[str, int], task: TaskName
) -> Candidate:
    """Let a candidate know the group columns.

    Parameters
    ----------
    candidate
        What children are fitted with. The last step of a pipeline gets the group columns beside what the steps before
        it make of the features; anything else gets them behind the features.
    features
        The features.
    groups
        Names of the columns that say which group a row is of, texts all of them → how many levels each has.
    task
        What the target is.

    Returns
    -------
    Candidate
        Of the same name, to be fitted on a frame of features and group columns; unknown levels are answered.
    """
    estimator = clone(candidate.estimator)
    is_pipeline = isinstance(estimator, Pipeline) and len(estimator) > 1
    steps_before, last = (estimator[:-1], estimator[-1]) if is_pipeline else ("passthrough", estimator)
    categorical = _categorical(last, steps_before, features)
    native = [] if categorical is None else [name for name, levels in groups.items() if levels <= last.max_bins]
    few = [name for name, levels in groups.items() if levels <= _FEW_LEVELS]
    one_hot = few if categorical is None else []
    if categorical is not None:
        width, named_columns = categorical
        last.set_params(categorical_features=[*named_columns, *range(width, width + len(native))] or None)
    by_target = [name for name in groups if name not in native and name not in one_hot]
    sparse = _is_sparse(steps_before)
    parts = [
        ("features", steps_before, features.names),
        ("categories", _codes(), native),
        ("levels", OneHotEncoder(handle_unknown="ignore", sparse_output=sparse), one_hot),
        ("many_levels", _by_target(task), by_target),
    ]
    columns = ColumnTransformer(
        [part for part in parts if part[2]],
        sparse_threshold=1.0 if sparse else 0.0,
        verbose_feature_names_out=False,
    )
    if steps_before == "passthrough" and features.layout == "frame":  # by whose names it may know them
        columns.set_output(transform="pandas")
    return replace(candidate, estimator=make_pipeline(columns, last))


def _categorical(last: Any, before: Any, features: FeatureSchema) -> tuple[int, list[int]] | None:
    """Count the columns that the estimator gets, and those that it splits by categories; None where it cannot."""
    given = getattr(last, "categorical_features", None)
    if isinstance(given, list) and all(isinstance(one, bool) for one in given):
        return len(given), np.flatnonzero(given).tolist()
    from_dtype = isinstance(given, str) and given == "from_dtype"
    plain = before == "passthrough" and features.layout == "array"
    return (len(features.names), []) if from_dtype and plain else None


def _is_sparse(before: Any) -> bool:
    steps = before.named_steps.values() if isinstance(before, Pipeline) else ()
    return any(isinstance(step, ColumnTransformer) and step.sparse_threshold == 1.0 for step in steps)


def _codes() -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)


def _by_target(task: TaskName) -> Pipeline:
    # "auto" would take a regression's whole numbers for classes.
    encoder = GroupTargetEncoder(target_type="continuous" if task == "regression" else "auto")
    return make_pipeline(encoder, StandardScaler())
