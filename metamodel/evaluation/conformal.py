"""Prediction intervals by split conformal prediction: one radius a group, from the residuals of held-out rows.

A row's interval is its prediction ± the radius of the model that answered. Of n absolute residuals the radius is the
⌈(n + 1) · level⌉-th smallest: split (inductive) conformal prediction (Papadopoulos, Proedrou, Vovk and Gammerman 2002;
Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018), within categories of rows (Mondrian conformal prediction: Vovk,
Lindsay, Nouretdinov and Gammerman 2003). Where new rows are exchangeable with the held-out ones, at least the share
`level` of them lies inside, and at most 1 / (n + 1) more.

A category is a group. One with few held-out rows borrows: its category is then all groups that share the next shorter
prefix of its key, each with the residuals of its own model, because it is such a model that answers. (What the parent's
model predicted has the parent's errors, on the sample panel ten times as wide.) A parent has a radius from what it held
back itself: of the groups for which it answers, where these have enough rows.
"""

from collections.abc import Iterable, Mapping, Sequence, Set

import numpy as np
import pandas as pd

from metamodel.evaluation.holdout import child_ids
from metamodel.evaluation.residuals import Residuals, fewest_rows
from metamodel.tables.keys import GroupKey, encode_key

__all__ = ["INTERVAL_COLUMNS", "calibrate"]

# Columns that the calibration of intervals adds.
INTERVAL_COLUMNS = ("interval_radius", "interval_rows", "interval_level", "coverage", "coverage_rows")


def calibrate(
    holdouts: Mapping[int, pd.DataFrame], keys: Sequence[GroupKey], level: float, without: Iterable[GroupKey] = ()
) -> pd.DataFrame:
    """Find every model's radius, and count how many rows such radii cover that did not set them.

    Parameters
    ----------
    holdouts
        Held-out rows of each level's models as `evidence.gather_holdouts` gives them: `key`, `row`, `actual`,
        `predicted`, `time` where there is one, and `child` where the models are parents. Rows without a prediction do
        not count. Weights play no part: coverage is a share of rows.
    keys
        Canonical keys of all groups, of all levels, that have a model.
    level
        Share of rows to cover, 0 < level < 1.
    without
        Groups without a model for which their nearest parent answers. Where enough of its rows are theirs
        (`fewest_rows`), these alone calibrate it and are counted: it is such rows that it will meet.

    Returns
    -------
    DataFrame, index encoded key, in the order of `keys`
        `interval_radius`: NaN where even all groups together have too few rows. `interval_rows`: how many residuals set
        it. `interval_level`: how many columns of the key these rows share; that of the group's own level where it did
        not borrow, null without a radius. `coverage`: share of held-out rows that a radius from other rows of the same
        category covers; those are one random half of the rows for the other half, and with a time the earlier half of
        each group's rows for the later one. `coverage_rows`: on how many of the model's rows that was counted.
        `fallback_covered`, `fallback_rows`: the same of the rows of groups in `without` alone, both as counts.
    """
    models = set(keys)
    answering = {key: parent for key in without if (parent := _parent(key, models)) is not None}
    by_number = dict(zip(child_ids(answering).tolist(), answering.values(), strict=True))
    found = [
        _of_level(holdouts[depth], [key for key in keys if len(key) == depth], level, by_number)
        for depth in sorted({len(key) for key in keys}, reverse=True)
    ]
    return pd.concat(found).loc[list(map(encode_key, keys))]


def _parent(key: GroupKey, models: Set[GroupKey]) -> GroupKey | None:
    return next((key[:level] for level in range(len(key) - 1, -1, -1) if key[:level] in models), None)


def _of_level(
    holdout: pd.DataFrame, models: Sequence[GroupKey], level: float, answering: Mapping[int, GroupKey]
) -> pd.DataFrame:
    residuals = Residuals.of(holdout, models, answering, fewest_rows(level))
    radius, rows, used = residuals.radii(level)
    inside, looked_at = residuals.covered(used, level)
    covered, counted = residuals.per_model(inside), residuals.per_model(looked_at)
    share = np.divide(covered, counted, out=np.full(len(models), np.nan), where=counted > 0)
    columns = (radius, rows, pd.arrays.IntegerArray(used, used < 0), share, counted)
    return pd.DataFrame(
        {
            **dict(zip(INTERVAL_COLUMNS, columns, strict=True)),
            "fallback_covered": residuals.per_model(inside & residuals.fallback),
            "fallback_rows": residuals.per_model(looked_at & residuals.fallback),
        },
        index=list(map(encode_key, models)),
    )
