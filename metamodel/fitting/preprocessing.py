"""What a named estimator is put behind: what the table and the estimator need, and nothing else.

Estimators that are given as objects never come here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.utils import get_tags

from metamodel.common.messages import listing
from metamodel.exceptions import InputError
from metamodel.fitting.estimator_info import names_features
from metamodel.fitting.spec import TaskName
from metamodel.fitting.target_encoder import GroupTargetEncoder
from metamodel.tables.features import FeatureSchema

__all__ = ["MANY_LEVELS", "with_preprocessing"]

# What these find depends on the units of the features: by distances, by a penalty on all coefficients alike, or by
# steps that go astray where one feature is a thousand times another.
_SCALED = ("elastic_net", "huber", "lasso", "logistic_regression", "nearest_neighbors", "poisson", "svm")

# Levels of a text column that get a column of their own in a group, the commonest first; the rest share one.
_LEVELS = 100

# From so many levels in the table on, a text column is encoded by the target.
MANY_LEVELS = 1000

# A matrix with more columns than these is sparse, where the estimator takes it. Below, solvers of dense matrices are
# exact where those of sparse ones iterate.
_WIDE = 300

# XGBoost takes the zeros of a sparse matrix for missing.
_ZEROS_ARE_MISSING = ("xgboost",)


def with_preprocessing(
    name: str,
    estimator: BaseEstimator,
    features: FeatureSchema,
    missing: set[str],
    levels: Mapping[str, int],
    task: TaskName,
) -> BaseEstimator:
    """Put a named estimator behind what the table needs, and nothing else.

    Parameters
    ----------
    name, estimator
        The name, and the plain estimator that it stood for.
    features
        The training table's features.
    missing
        Names of the features with missing values.
    levels
        How many values each text column has in the whole table.
    task
        What the target is.

    Returns
    -------
    BaseEstimator
        The same estimator where every feature is a number it can take as it is, else a pipeline: median imputation of
        missing numbers (unless the estimator handles them itself), scaling (for estimators that go by the features'
        units), and an encoding of strings and categories.

    Raises
    ------
    InputError
        A feature holds timestamps.
    """
    if dates := [feature.name for feature in features.features if feature.kind == "timestamp"]:
        raise InputError(
            f"Feature column {listing(map(repr, dates))} holds timestamps, which a named estimator cannot take. "
            f"Name it as the time column (time_column={dates[0]!r}), derive numbers from it (month, days since ...), "
            "or leave it out of features."
        )
    texts = [feature.name for feature in features.features if feature.kind in ("string", "category")]
    numbers = [column for column in features.names if column not in texts]
    long = [column for column in texts if levels.get(column, 0) >= MANY_LEVELS]
    short = [column for column in texts if column not in long]
    width = len(numbers) + len(long) + sum(min(levels.get(column, 0), _LEVELS) for column in short)
    sparse = width > _WIDE and get_tags(estimator).input_tags.sparse and name not in _ZEROS_ARE_MISSING
    takes_missing = bool(get_tags(estimator).input_tags.allow_nan)
    steps = _number_steps(
        impute=bool(missing.intersection(numbers)) and not takes_missing, scale=name in _SCALED or sparse
    )
    if not texts:
        return make_pipeline(*steps, estimator) if steps else estimator
    native = _takes_categories(estimator) and bool(short)
    categories = short if native else [column for column in texts if _names_category(estimator, column)]
    parts = [
        ("numbers", make_pipeline(*steps) if steps else "passthrough", numbers),
        ("categories", _codes(estimator) if categories else "drop", categories),
        ("texts", _one_hot(sparse), [column for column in short if column not in categories]),
        ("long_texts", _by_target(task, steps), [column for column in long if column not in categories]),
    ]
    if native:
        mask = [False] * len(numbers) + [True] * len(short) + [False] * len(long)
        estimator.set_params(categorical_features=mask)
    columns = ColumnTransformer(
        [part for part in parts if part[2]],
        sparse_threshold=1.0 if sparse else 0.0,
        verbose_feature_names_out=False,
    )
    if names_features(estimator, features.names):
        columns.set_output(transform="pandas")
    return make_pipeline(columns, estimator)


def _number_steps(*, impute: bool, scale: bool) -> list[Any]:
    imputer = [SimpleImputer(strategy="median", keep_empty_features=True)] if impute else []
    return [*imputer, *([StandardScaler()] if scale else [])]


def _one_hot(sparse: bool) -> OneHotEncoder:
    return OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=_LEVELS, sparse_output=sparse)


def _takes_categories(estimator: BaseEstimator) -> bool:
    """Whether it splits by categories itself, and nobody said of which columns."""
    return getattr(estimator, "categorical_features", None) == "from_dtype"


def _names_category(estimator: BaseEstimator, column: str) -> bool:
    named = getattr(estimator, "categorical_features", None)
    return not isinstance(named, str) and column in list(() if named is None else named)


def _codes(estimator: Any) -> OrdinalEncoder:
    """Make numbers of levels; a missing or unknown one is missing, and those that have no bin left share one."""
    return OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        max_categories=estimator.max_bins,
    )


def _by_target(task: TaskName, steps: list[Any]) -> Any:
    # "auto" would take a regression's whole numbers for classes.
    encoder = GroupTargetEncoder(target_type="continuous" if task == "regression" else "auto")
    scaled = any(isinstance(step, StandardScaler) for step in steps)
    return make_pipeline(encoder, StandardScaler()) if scaled else encoder
