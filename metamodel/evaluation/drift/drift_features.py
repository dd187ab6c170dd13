"""Features of any table as columns that can be compared: the same in training, in a window, and on every worker."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.drift.drift_columns import DriftColumns, hash_categories
from metamodel.evaluation.drift.drift_reference import ColumnKind
from metamodel.tables.arrow import without_arrow
from metamodel.tables.feature_columns import Feature
from metamodel.tables.feature_values import convert, float_values

__all__ = ["drift_features", "drift_kinds"]


def drift_kinds(features: Sequence[Feature]) -> dict[str, ColumnKind]:
    """Say of each feature whether it is compared as a number (timestamps are days) or as a category."""
    return {one.name: "category" if one.kind in ("category", "string") else "number" for one in features}


def drift_features(frame: pd.DataFrame, features: Sequence[Feature]) -> tuple[DriftColumns, dict[str, int]]:
    """Read the features that a table has, each for itself.

    Unlike the form that children take (`FeatureSchema.columns`) this keeps categories that training did not see, and
    a value that cannot be read is missing and spoils no other column of its row.

    Parameters
    ----------
    frame
        Any table; features that it lacks are left out.
    features
        As they were recorded in training.

    Returns
    -------
    columns : DriftColumns
        Shape (n_rows,) each.
    unreadable : dict
        Feature → number of values of another kind than the feature's (text where a number belongs).

    Examples
    --------
    >>> frame = pd.DataFrame({"price": [1.0, 2.0], "shop": ["a", "b"]})
    >>> features = [Feature.infer(name, frame[name]) for name in frame]
    >>> columns, unreadable = drift_features(pd.DataFrame({"price": [3, "?"], "shop": ["a", "c"]}), features)
    >>> columns.values["price"].tolist(), list(columns.texts["shop"].values()), unreadable
    ([3.0, nan], ['a', 'c'], {'price': 1})
    """
    columns, unreadable = DriftColumns(), {}
    for feature in features:
        if feature.name not in frame:
            continue
        problems: dict[int, str] = {}
        values = without_arrow(frame[feature.name])
        if feature.kind in ("category", "string"):
            columns.values[feature.name], columns.texts[feature.name] = hash_categories(values)
        else:
            columns.values[feature.name] = _numbers(values, feature, problems)
        if problems:
            unreadable[feature.name] = len(problems)
    return columns, unreadable


def _numbers(values: pd.Series, feature: Feature, problems: dict[int, str]) -> AnyArray:
    if feature.kind == "timestamp":
        moments = pd.Series(convert(values, feature, problems).values)
        return DriftColumns.of({"": moments}).values[""]
    with np.errstate(over="ignore"):
        return np.asarray(float_values(values, feature, problems))
