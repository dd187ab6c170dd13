"""Permutation importance of the worst groups, on demand: it needs rows, and each child many times.

The method is that of Breiman (2001) in scikit-learn's form: by how much a child's error grows when one feature's values
are shuffled among the group's rows. Unlike importances that a child tells of itself, it works for every child.
"""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.inspection import permutation_importance
from sklearn.metrics import accuracy_score, mean_absolute_error

from metamodel.bundle.ledger_queries import deciding_metric, keys_of, worst_first
from metamodel.bundle.reader import Bundle
from metamodel.common.arrays import AnyArray
from metamodel.common.group_status import WITH_CHILD
from metamodel.exceptions import InputError
from metamodel.prediction.child import predictions
from metamodel.tables.grouping import check_columns, group_rows
from metamodel.tables.keys import encode_key

__all__ = ["permute_worst"]

_ROWS = 5000


def permute_worst(
    bundle: Bundle, data: pd.DataFrame, worst: int = 6, n_repeats: int = 5, random_state: int = 0
) -> pd.DataFrame:
    """Measure what counts for the worst groups.

    Parameters
    ----------
    bundle
        The model's bundle.
    data
        Rows with the group columns, the features and the target; of a group the first 5,000 count.
    worst
        How many groups.
    n_repeats, random_state
        How often each feature is shuffled, and the seed.

    Returns
    -------
    DataFrame
        `key` (encoded), `feature`, `increase` (of the mean absolute error; for classifiers of the share of wrong
        labels), `deviation` over the repeats; the worst group first, its most important feature first.

    Raises
    ------
    MissingColumns
        The table lacks a column.
    InputError
        It has no row of any of these groups.
    """
    manifest, task = bundle.manifest, bundle.manifest.target.task
    check_columns(data, [manifest.target.name], "target column")
    data = data[data[manifest.target.name].notna()].reset_index(drop=True)
    grouping, table = group_rows(data, manifest.keys), manifest.features.table(data)
    places = {key: i for i, key in enumerate(grouping.keys) if isinstance(key, tuple)}
    parts = []
    for key in _worst_keys(bundle, worst):
        if key not in places:
            continue
        rows = grouping.order[grouping.bounds[places[key]] : grouping.bounds[places[key] + 1]]
        odd = set() if table.odd is None else set(np.flatnonzero(table.odd.ways).tolist())
        rows = rows[[row not in table.problems and row not in odd for row in rows.tolist()]][:_ROWS]
        child, _ = bundle.load(key, keep=False)
        importances = permutation_importance(
            child,
            table.take(rows).values,
            data[manifest.target.name].to_numpy()[rows],
            scoring=_loss if task == "regression" else _hits,
            n_repeats=n_repeats,
            random_state=random_state,
        )
        columns = {"increase": importances.importances_mean, "deviation": importances.importances_std}
        part = pd.DataFrame({"key": encode_key(key), "feature": manifest.features.names, **columns})
        parts.append(part.sort_values("increase", ascending=False, kind="stable"))
    if not parts:
        raise InputError(
            f"The table has no row of the {worst} worst groups. Give one that has, such as the training table."
        )
    return pd.concat(parts, ignore_index=True)


def _loss(child: Any, x: Any, y: AnyArray) -> float:
    return -float(mean_absolute_error(y, predictions(child, x)))


def _hits(child: Any, x: Any, y: AnyArray) -> float:
    return float(accuracy_score(y, predictions(child, x)))


def _worst_keys(bundle: Bundle, worst: int) -> list[tuple[object, ...]]:
    ledger, manifest = bundle.ledger, bundle.manifest
    fitted = ledger["status"].isin(WITH_CHILD) & (ledger["level"] == len(manifest.keys.columns))
    ranked = worst_first(ledger[fitted], deciding_metric(ledger[fitted], manifest.target.task))
    return list(keys_of(ranked.head(worst), manifest.keys))
