"""Which rows of a training part trials are scored on."""

import numpy as np
import pandas as pd

from metamodel.groups import GroupData
from metamodel.splitting import Fold, folds_of

__all__ = ["validation_folds"]

# Share of the training part that a trial is scored on, and how often: few rows make one split a lottery.
_SHARE = 0.25
_SPLITS = 3
_MANY_ROWS = 5000


def validation_folds(part: GroupData) -> list[Fold]:
    """Split a training part by the holdout's own rules: a hash of the row, or the latest rows.

    Few rows are split several times: with hashes anew each time, with times at an earlier and earlier time.

    Returns
    -------
    list of Fold
        Empty where the rows cannot be split.
    """
    splits = 1 if len(part.y) >= _MANY_ROWS else _SPLITS
    folds: list[Fold] = []
    earlier = np.ones(len(part.y), dtype=bool)
    for i in range(splits):
        # The holdout took the smallest hashes away, so the rows that are left are hashed anew.
        hashes = pd.util.hash_array(part.hashes ^ np.uint64(i + 1))
        times = None if part.times is None else part.times[earlier]
        found = folds_of(hashes[earlier], times, _SHARE)
        if not found:
            break
        train, test = (np.zeros(len(earlier), dtype=bool) for _ in range(2))
        train[earlier], test[earlier] = found[0]
        folds.append((train, test))
        if part.times is not None:
            earlier = train
    return folds
