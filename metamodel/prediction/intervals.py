"""The radius of each row's prediction interval, by the model that answered."""

from collections.abc import Callable, Sequence

import numpy as np

from metamodel.common.arrays import FEW_ROWS, AnyArray, IntArray
from metamodel.exceptions import InvalidKey
from metamodel.tables.grouping import Grouping
from metamodel.tables.keys import GroupKey

__all__ = ["RADIUS", "radii_of_rows"]

# Name of the figure in a bundle.
RADIUS = "radius"

_LookUp = Callable[[Sequence[GroupKey | InvalidKey]], AnyArray]

# Stands for rows that nobody answered; no radius is known for it.
_NOBODY = InvalidKey("nobody answered")


def radii_of_rows(
    grouping: Grouping, answered_by: AnyArray, depth: int, look_up: _LookUp, strangers: float = np.nan
) -> AnyArray:
    """Radius of each row's answer.

    Parameters
    ----------
    grouping
        The rows' groups.
    answered_by
        Shape (n_rows,): status codes: level of the model that answered, `depth + 1` for the pooled model;
        above where nobody did.
    depth
        Number of group columns.
    look_up
        Keys of models → radii, NaN for unknown ones.
    strangers
        Radius of the pooled model's answers to groups that have none.

    Returns
    -------
    array of shape (n_rows,)
        NaN where nobody answered, or who did has no radius.
    """
    radii = _looked_up(grouping, answered_by, depth, look_up)
    return radii if np.isnan(strangers) else np.where(np.isnan(radii) & (answered_by == depth + 1), strangers, radii)


def _looked_up(grouping: Grouping, answered_by: AnyArray, depth: int, look_up: _LookUp) -> AnyArray:
    if len(answered_by) <= FEW_ROWS:
        return _of_few(grouping, answered_by.tolist(), depth, look_up)
    radii = np.full(len(answered_by), np.nan)
    for level in np.unique(answered_by).tolist():
        if level <= depth + 1:  # `depth + 1` is the pooled model
            rows = answered_by == level
            radii[rows] = _of_groups(grouping, grouping.codes[rows], level, look_up)
    return radii


def _of_few(grouping: Grouping, answered_by: list[int], depth: int, look_up: _LookUp) -> AnyArray:
    keys = grouping.keys
    asked: list[GroupKey | InvalidKey] = []
    for code, level in zip(grouping.codes.tolist(), answered_by, strict=True):
        key = keys[code]
        # The pooled model, next to `depth`, has the radius of its errors in the group that it answers.
        asked.append(key[:level] if level <= depth + 1 and isinstance(key, tuple) else _NOBODY)
    return look_up(asked)


def _of_groups(grouping: Grouping, codes: IntArray, level: int, look_up: _LookUp) -> AnyArray:
    """Look up the models of one level that answered for groups: each group once, however many rows it has."""
    asked = np.zeros(len(grouping.keys), dtype=bool)
    asked[codes] = True
    keys = [
        key[:level]
        for key, wanted in zip(grouping.keys, asked.tolist(), strict=True)
        if wanted and isinstance(key, tuple)
    ]
    radii = np.full(len(grouping.keys), np.nan)
    radii[asked] = look_up(keys)
    found: AnyArray = radii[codes]
    return found
