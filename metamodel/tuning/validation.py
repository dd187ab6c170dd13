"""Which rows of a training part trials are scored on."""

import numpy as np
import pandas as pd

from metamodel.groups import GroupData
from metamodel.splitting import Fold, hash_folds, rolling_folds

__all__ = ["validation_folds"]

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
        folds = hash_folds(pd.util.hash_array(part.hashes ^ np.uint64(1)), _FOLDS)
    return folds[-1:] if len(part.y) >= _MANY_ROWS else folds
