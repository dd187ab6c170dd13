"""Prediction intervals by split conformal prediction: one radius a group, from the residuals of held-out rows.

A row's interval is its prediction ± the radius of the model that answered. Of n absolute residuals the radius is the
⌈(n + 1) · level⌉-th smallest: split (inductive) conformal prediction (Papadopoulos, Proedrou, Vovk and Gammerman 2002;
Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018), within categories of rows (Mondrian conformal prediction: Vovk,
Lindsay, Nouretdinov and Gammerman 2003). Where new rows are exchangeable with the held-out ones, at least the share
`level` of them lies inside, and at most 1 / (n + 1) more.

A category is a group. One with few held-out rows borrows: its category is then all groups that share the next shorter
prefix of its key, each with the residuals of its own model, because it is such a model that answers. (What the parent's
model predicted has the parent's errors, on the sample panel ten times as wide.)
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from metamodel.exceptions import InvalidKey
from metamodel.frames import AnyArray, Grouping, IntArray
from metamodel.heldout import level_column
from metamodel.keys import GroupKey, KeySchema, decode_key, encode_key
from metamodel.ledger import WITH_CHILD, keys_of
from metamodel.planning import INTERVAL_COLUMNS
from metamodel.splitting import BoolArray

__all__ = ["RADIUS", "calibrate", "fewest_rows", "radii_of_rows", "summarize", "with_intervals"]

# Name of the figure in a bundle.
RADIUS = "radius"
# For so few rows each call of NumPy costs more than a loop.
_FEW_ROWS = 16
_LookUp = Callable[[Sequence[GroupKey | InvalidKey]], AnyArray]
# Stands for rows that nobody answered; no radius is known for it.
_NOBODY = InvalidKey("nobody answered")


def fewest_rows(level: float) -> int:
    """Tell how many held-out rows a group needs for a radius of its own.

    From there on the radius is not the largest residual, so that no single wild row sets it, and it covers at most
    half of what is left out, (1 - level) / 2, too much.

    Examples
    --------
    >>> fewest_rows(0.9), fewest_rows(0.5)
    (19, 3)
    """
    # So many that (rows + 1) · level <= rows - 1, but for rounding.
    enough = range(1, int(2 / (1 - level)) + 3)
    return 1 + bisect_left(enough, True, key=lambda rows: bool(_rank(np.array([rows]), level)[0] < rows))


def calibrate(holdout: pd.DataFrame, keys: Sequence[GroupKey], level: float) -> pd.DataFrame:
    """Find every model's radius, and count how many rows such radii cover that did not set them.

    Parameters
    ----------
    holdout
        Held-out rows as `evidence.gather_holdout` gives them: `key`, `row`, `actual`, `predicted`, the predictions of
        parents, and `time` where there is one. Rows without a prediction do not count. Weights play no part: coverage
        is a share of rows.
    keys
        Canonical keys of all groups, of all levels, that have a model.
    level
        Share of rows to cover, 0 < level < 1.

    Returns
    -------
    DataFrame, index encoded key, in the order of `keys`
        `interval_radius`: NaN where even all groups together have too few rows. `interval_rows`: how many residuals set
        it. `interval_level`: how many columns of the key these rows share; that of the group's own level where it did
        not borrow, null without a radius. `coverage`: share of held-out rows that a radius from other rows of the same
        category covers; those are one random half of the rows for the other half, and with a time the earlier half of
        each group's rows for the later one. `coverage_rows`: on how many of the group's rows that was counted.
    """
    found = []
    for depth in sorted({len(key) for key in keys}, reverse=True):
        models = [key for key in keys if len(key) == depth]
        residuals = _Residuals.of(holdout, models)
        radius, rows, used = residuals.radii(level)
        covered, counted = residuals.covered(used, level)
        share = np.divide(covered, counted, out=np.full(len(models), np.nan), where=counted > 0)
        columns = (radius, rows, pd.arrays.IntegerArray(used, used < 0), share, counted)
        named = dict(zip(INTERVAL_COLUMNS, columns, strict=True))
        found.append(pd.DataFrame(named, index=list(map(encode_key, models))))
    return pd.concat(found).loc[list(map(encode_key, keys))]


def with_intervals(
    ledger: pd.DataFrame, holdout: pd.DataFrame, schema: KeySchema, level: float | None
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """Calibrate all models of a ledger.

    Parameters
    ----------
    ledger
        The ledger; groups without a model get no radius.
    holdout
        As for `calibrate`, with what will be answered under `predicted`.
    schema
        The group columns.
    level
        As for `calibrate`; None for no intervals.

    Returns
    -------
    ledger : DataFrame
        With `INTERVAL_COLUMNS`.
    figures : DataFrame, index encoded key
        The column `RADIUS`, for the bundle.
    summary : dict
        From `summarize`.
    """
    if level is None:
        return ledger, pd.DataFrame(), {}
    keys = keys_of(ledger, schema)
    fitted = [key for key, status in zip(keys, ledger["status"], strict=True) if status in WITH_CHILD]
    calibrated = calibrate(holdout, fitted, level)
    columns = calibrated.reindex(list(map(encode_key, keys))).reset_index(drop=True)
    columns = columns.fillna({"interval_rows": 0, "coverage_rows": 0})
    columns = columns.astype({"interval_rows": np.int64, "coverage_rows": np.int64})
    ledger = pd.concat([ledger, columns], axis=1)
    radii = calibrated[["interval_radius"]].set_axis([RADIUS], axis=1)
    return ledger, radii, summarize(ledger, len(schema.columns))


def summarize(ledger: pd.DataFrame, depth: int) -> dict[str, float]:
    """Count groups by whose rows set their radius, and the rows that intervals reached; parents are left out.

    Parameters
    ----------
    ledger
        With `INTERVAL_COLUMNS`.
    depth
        Number of group columns.
    """
    children = ledger[(ledger["level"] == depth) & ledger["status"].isin(WITH_CHILD)]
    level = children["interval_level"]
    rows = int(children["coverage_rows"].sum())
    covered = float((children["coverage"] * children["coverage_rows"]).sum())
    return {
        "groups_with_own_interval": int((level == depth).sum()),
        "groups_borrowing_interval": int((level < depth).sum()),
        "groups_without_interval": int(level.isna().sum()),
        **({"interval_coverage": covered / rows} if rows else {}),
    }


def radii_of_rows(grouping: Grouping, answered_by: AnyArray, depth: int, look_up: _LookUp) -> AnyArray:
    """Radius of each row's answer.

    Parameters
    ----------
    grouping
        The rows' groups.
    answered_by
        Shape (n_rows,): level of the model that answered; above `depth` where nobody did.
    depth
        Number of group columns.
    look_up
        Keys of models → radii, NaN for unknown ones.

    Returns
    -------
    array of shape (n_rows,)
        NaN where nobody answered, or who did has no radius.
    """
    if len(answered_by) <= _FEW_ROWS:
        return _of_few(grouping, answered_by.tolist(), depth, look_up)
    radii = np.full(len(answered_by), np.nan)
    for level in np.unique(answered_by).tolist():
        if level <= depth:
            rows = answered_by == level
            radii[rows] = _of_groups(grouping, grouping.codes[rows], level, look_up)
    return radii


def _of_few(grouping: Grouping, answered_by: list[int], depth: int, look_up: _LookUp) -> AnyArray:
    keys = grouping.keys
    asked: list[GroupKey | InvalidKey] = []
    for code, level in zip(grouping.codes.tolist(), answered_by, strict=True):
        key = keys[code]
        asked.append(key[:level] if level <= depth and isinstance(key, tuple) else _NOBODY)
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


@dataclass(frozen=True)
class _Residuals:
    """Absolute residuals of the models of one level.

    Attributes
    ----------
    models
        Keys of one length.
    of_row
        Shape (n_rows,): which model each row was predicted by.
    values
        Shape (n_rows,), none of them NaN.
    halves
        Pairs of masks: rows that calibrate, and rows that are counted.
    """

    models: Sequence[GroupKey]
    of_row: IntArray
    values: AnyArray
    halves: Sequence[tuple[BoolArray, BoolArray]]

    @classmethod
    def of(cls, holdout: pd.DataFrame, models: Sequence[GroupKey]) -> "_Residuals":
        """Take the rows that one of the models held back; the others belong to groups without a model."""
        groups = [decode_key(key) for key in holdout["key"].cat.categories]
        depth = len(models[0])
        column = "predicted" if not groups or len(groups[0]) == depth else level_column(depth)
        if column not in holdout:
            holdout, column = holdout.iloc[:0], "predicted"
        number = {key: i for i, key in enumerate(models)}
        model_of = np.array([number.get(key[:depth], -1) for key in groups], dtype=np.int64)
        group = holdout["key"].cat.codes.to_numpy().astype(np.int64)
        of_row = model_of[group]
        difference = holdout[column].to_numpy(dtype=np.float64) - holdout["actual"].to_numpy(dtype=np.float64)
        known = (of_row >= 0) & ~np.isnan(difference)
        times = holdout["time"].to_numpy()[known] if "time" in holdout else None
        halves = _halves(holdout["row"].to_numpy()[known], times, group[known])
        return cls(models, of_row[known], np.abs(difference[known]), halves)

    def radii(self, level: float) -> tuple[AnyArray, IntArray, IntArray]:
        """Find each model's radius, the number of rows that set it, and the level of the key that these share."""
        radius = np.full(len(self.models), np.nan)
        rows, used = np.zeros(len(self.models), dtype=np.int64), np.full(len(self.models), -1)
        fewest = fewest_rows(level)
        for shared in range(len(self.models[0]), -1, -1):
            found, counts = self._quantiles(shared, level)
            new = (used < 0) & (counts >= fewest) & np.isfinite(found)
            radius[new], rows[new], used[new] = found[new], counts[new], shared
        return radius, rows, used

    def covered(self, used: IntArray, level: float) -> tuple[IntArray, IntArray]:
        """Count each model's rows inside a radius from the other half of its category, and all that were looked at."""
        inside, counted = np.zeros((2, len(self.models)), dtype=np.int64)
        for shared in np.unique(used[used >= 0]).tolist():
            for calibrating, looked_at in self.halves:
                radius = np.where(used == shared, self._quantiles(shared, level, calibrating)[0], np.nan)
                limits, models = radius[self.of_row[looked_at]], self.of_row[looked_at]
                known = ~np.isnan(limits)
                counted += np.bincount(models[known], minlength=len(counted))
                inside += np.bincount(models[self.values[looked_at] <= limits], minlength=len(inside))
        return inside, counted

    def _quantiles(self, shared: int, level: float, some: BoolArray | None = None) -> tuple[AnyArray, IntArray]:
        """Find for each model the radius and the number of rows of all that share so much of its key."""
        categories: dict[GroupKey, int] = {}
        category_of = np.array([categories.setdefault(key[:shared], len(categories)) for key in self.models])
        of_row, values = (self.of_row, self.values) if some is None else (self.of_row[some], self.values[some])
        category = category_of[of_row]
        counts = np.bincount(category, minlength=len(categories))
        ordered = values[np.lexsort((values, category))]
        rank = _rank(counts, level)
        there = rank <= counts
        radius = np.full(len(counts), np.nan)
        radius[there] = ordered[(np.cumsum(counts) - counts + rank - 1)[there]]
        return radius[category_of], counts[category_of]


def _rank(rows: IntArray, level: float) -> IntArray:
    """Say which of the sorted residuals is the radius, counted from 1; beyond `rows` where none is large enough."""
    # Rounded first: 10 · 0.7 is a little more than 7 in binary fractions.
    rank: IntArray = np.ceil(np.round((rows + 1) * level, 9)).astype(np.int64)
    return rank


def _halves(rows: Any, times: Any, group: IntArray) -> list[tuple[BoolArray, BoolArray]]:
    if times is None:
        # A row's hash decides, so equal rows stay together; its upper bits have chosen the holdout.
        odd = (rows.astype(np.uint64) & np.uint64(1)).astype(bool)
        return [(odd, ~odd), (~odd, odd)]
    order = np.lexsort((times, group))
    counts = np.bincount(group)
    starts = np.cumsum(counts) - counts
    middle = np.take(times[order], np.minimum(starts + counts // 2, max(len(order) - 1, 0))) if len(order) else times
    earlier = times < middle[group]
    return [(earlier, ~earlier)]
