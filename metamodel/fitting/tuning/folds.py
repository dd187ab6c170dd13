"""Which rows of a training part trials are scored on."""

import numpy as np
import pandas as pd

from metamodel.evaluation.splits import Fold, hash_folds, rolling_folds, time_holdout
from metamodel.fitting.group import GroupData

__all__ = ["halves", "validation_folds"]

# Few rows make one slice a lottery: so many folds, and of a backtest the share of the time steps that each one tests.
_FOLDS = 5

_SHARE = 0.1

_MANY_ROWS = 5000


def validation_folds(part: GroupData) -> list[Fold]:
    """Split a training part in five: K folds by a hash of the row, or a backtest over the latest time steps.

    Returns
    -------
    list of Fold
        One where there are many rows; empty where the rows cannot be split. A backtest's earliest origin comes first,
        and every row is older than those it is validated on.
    """
    if part.times is not None:
        horizon = max(1, round(_SHARE * len(np.unique(part.times))))
        folds = rolling_folds(part.times, _FOLDS, horizon, horizon)
    else:
        # The holdout took the smallest hashes away, so the rows that are left are hashed anew.
        folds = hash_folds(pd.util.hash_array(part.draw_hashes ^ np.uint64(1)), _FOLDS)
    return folds[-1:] if len(part.y) >= _MANY_ROWS else folds


def halves(unseen: GroupData) -> list[GroupData]:
    """Split the validation rows of a single fold in two: by time, or by a hash of the row.

    Returns
    -------
    list of GroupData
        Empty where the rows cannot be split.
    """
    held = None if unseen.times is None else time_holdout(unseen.times, 0.5)
    # The fold itself was made of hashes in one range.
    drawn = pd.util.hash_array(unseen.draw_hashes ^ np.uint64(2))
    folds = hash_folds(drawn, 2) if held is None else [(~held, held)]
    return [unseen.take(side) for side in folds[0]] if folds else []
