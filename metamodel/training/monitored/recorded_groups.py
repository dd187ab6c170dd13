"""Which groups of a training have a reference, and whose windows are replayed for it."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from metamodel.common.arrays import BoolArray
from metamodel.training.plan import Plan

__all__ = ["recorded_groups", "replayed_groups"]

# What replays say is pooled over all groups of a model (`evaluation.drift.calibration`): of that many it is known to a
# hundredth.
_REPLAYED: Final = 4000


def recorded_groups(plan: Plan) -> list[str]:
    """List the encoded keys of the groups whose rows are read in this training, parents aside."""
    limit = plan.options.max_group_rows
    return [
        text for key, text in plan.encoded.items() if plan.fits(key) and (limit is None or plan.sizes[key] <= limit)
    ]


def replayed_groups(keys: Sequence[str], most: int = _REPLAYED) -> BoolArray:
    """Choose about `most` groups by hashes of their keys, so that every engine chooses the same; all of fewer.

    Parameters
    ----------
    keys
        Encoded keys of all groups that are recorded.
    most
        About how many are wanted.

    Returns
    -------
    ndarray of bool, shape (n_keys,)
    """
    if len(keys) <= most:
        return np.ones(len(keys), dtype=bool)
    hashes = pd.util.hash_array(np.array(keys, dtype=object))
    chosen: BoolArray = hashes < np.uint64(int(most / len(keys) * 2.0**64))
    return chosen
