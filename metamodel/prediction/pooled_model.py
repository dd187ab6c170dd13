"""The pooled model of a bundle: one model of all groups that is told, in columns of its own, which group a row is of.

It answers the groups for which it is better than their own child, and, as `POOLED` among the levels of the fallback
chain, groups that nobody knows in place of the global model.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, IntArray
from metamodel.tables.features import FeatureTable
from metamodel.tables.keys import GroupKey, encode_key

__all__ = ["BY_POOLED", "POOLED", "PooledModel", "pooled_columns", "pooled_texts"]

# Stands for the pooled model among the levels of the fallback chain, where others have 0 for the global model.
POOLED = -1

# What a store loads for a group that the pooled model answers: there is no child, and one call for all such groups.
BY_POOLED = object()


def pooled_columns(keys: Sequence[str], features: Sequence[str]) -> list[str]:
    """Name the columns that say which group a row is of: one for each group column, and of several the whole key.

    Parameters
    ----------
    keys, features
        Names of the group columns, and of the features, none of which they may be.

    Examples
    --------
    >>> pooled_columns(["country", "store"], ["price", "group"])
    ['group:country', 'group:store', 'group_']
    """
    taken, names = set(features), []
    for name in [*(f"group:{key}" for key in keys), *(["group"] if len(keys) > 1 else [])]:
        while name in taken:
            name += "_"
        names.append(name)
        taken.add(name)
    return names


def pooled_texts(keys: Sequence[GroupKey]) -> list[AnyArray]:
    """Write keys as the texts of these columns, one array of shape (n_keys,) for each."""
    depth = len(keys[0]) if keys else 0
    texts = [[encode_key((key[i],)) for key in keys] for i in range(depth)]
    if depth > 1:
        texts.append([encode_key(key) for key in keys])
    return [np.array(values, dtype=object) for values in texts]


class PooledModel:
    """A fitted estimator that takes the features and the group columns, and how to put these together.

    Parameters
    ----------
    estimator
        Takes a DataFrame.
    features
        Names of the features, in order.
    columns
        From `pooled_columns`.
    """

    def __init__(self, estimator: Any, features: Sequence[str], columns: Sequence[str]) -> None:
        self.estimator = estimator
        self.features = list(features)
        self.columns = list(columns)

    def frame(self, values: AnyArray | pd.DataFrame, keys: Sequence[GroupKey], codes: IntArray) -> pd.DataFrame:
        """Give the estimator's own form to rows as children take them.

        Parameters
        ----------
        values
            Matrix or frame of shape (n_rows, n_features).
        keys, codes
            The rows' groups: `codes`, shape (n_rows,), are positions in `keys`.
        """
        frame = values if isinstance(values, pd.DataFrame) else pd.DataFrame(values, columns=self.features)
        texts = pooled_texts(keys)
        return frame.assign(**{name: text[codes] for name, text in zip(self.columns, texts, strict=True)})

    def table(self, table: FeatureTable, keys: Sequence[GroupKey], codes: IntArray) -> FeatureTable:
        """Do the same to a table of features; rows with a problem keep it."""
        return FeatureTable(self.frame(table.values, keys, codes), table.problems, table.odd)

    def of(self, key: GroupKey) -> Any:
        """Make the pooled model one group's own: an estimator that takes the features alone."""
        from metamodel.prediction.one_group import OneGroup  # brings scikit-learn, which predicting may do without

        texts = {name: str(text[0]) for name, text in zip(self.columns, pooled_texts([key]), strict=True)}
        return OneGroup(self.estimator, self.features, texts)
