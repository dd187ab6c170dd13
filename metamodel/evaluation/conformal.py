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

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, BoolArray, IntArray
from metamodel.evaluation.holdout import child_ids
from metamodel.tables.grouping import counting_sort
from metamodel.tables.keys import GroupKey, encode_keys

__all__ = ["INTERVAL_COLUMNS", "Residuals", "calibrate", "fewest_rows", "radius_of"]

# Columns that the calibration of intervals adds.
INTERVAL_COLUMNS = ("interval_radius", "interval_rows", "interval_level", "coverage", "coverage_rows")


def calibrate(
    holdouts: Mapping[int, pd.DataFrame], keys: Sequence[GroupKey], level: float, without: Iterable[GroupKey] = ()
) -> pd.DataFrame:
    """Find every model's radius, and count how many rows such radii cover that did not set them.

    Parameters
    ----------
    holdouts
        Held-out rows of each level's models as `diagnostics.gather_holdouts` gives them: `key`, `row`, `actual`,
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
    encoded = dict(zip(keys, encode_keys(keys), strict=True))
    found = [
        _of_level(holdouts[depth], {key: text for key, text in encoded.items() if len(key) == depth}, level, by_number)
        for depth in sorted({len(key) for key in keys}, reverse=True)
    ]
    return pd.concat(found).loc[list(encoded.values())]


def _parent(key: GroupKey, models: Set[GroupKey]) -> GroupKey | None:
    return next((key[:level] for level in range(len(key) - 1, -1, -1) if key[:level] in models), None)


def _of_level(
    holdout: pd.DataFrame, models: Mapping[GroupKey, str], level: float, answering: Mapping[int, GroupKey]
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
        index=list(models.values()),
    )


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


def radius_of(residuals: AnyArray, level: float) -> float | None:
    """Radius of one category of rows; None of fewer rows than `fewest_rows`.

    Examples
    --------
    >>> radius_of(np.arange(19.0), 0.9), radius_of(np.arange(18.0), 0.9)
    (17.0, None)
    """
    values = np.sort(np.abs(residuals[~np.isnan(residuals)]))
    rank = int(_rank(np.array([len(values)]), level)[0])
    return float(values[rank - 1]) if len(values) >= fewest_rows(level) else None


@dataclass(frozen=True)
class Residuals:
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
    fallback
        Shape (n_rows,): whether the row is of a group without a model, for which this model answers.
    """

    models: Sequence[GroupKey]
    of_row: IntArray
    values: AnyArray
    halves: Sequence[tuple[BoolArray, BoolArray]]
    fallback: BoolArray

    @classmethod
    def of(
        cls, holdout: pd.DataFrame, models: Mapping[GroupKey, str], answering: Mapping[int, GroupKey], fewest: int
    ) -> "Residuals":
        """Take the rows that the models held back.

        Parameters
        ----------
        holdout
            Rows of one level, from `diagnostics.gather_holdouts`.
        models
            Keys of that level → as they are encoded.
        answering
            Which parent answers for each group without a model, by the number of the group (`holdout.child_ids`).
        fewest
            Of a model that answers for so many rows of such groups these alone count, of another all of its rows.
        """
        number = {key: i for i, key in enumerate(models)}
        places = dict(zip(models.values(), number.values(), strict=True))
        model_of = np.array([places.get(text, -1) for text in holdout["key"].cat.categories], dtype=np.int64)
        codes = holdout["key"].cat.codes.to_numpy().astype(np.int64)
        of_row = model_of[codes]
        difference = holdout["predicted"].to_numpy(dtype=np.float64) - holdout["actual"].to_numpy(dtype=np.float64)
        answered = (of_row >= 0) & ~np.isnan(difference)  # the others are of groups without a model
        children, group = np.unique(holdout.get("child", codes), return_inverse=True)
        parents = {child: number.get(parent, -1) for child, parent in answering.items()}
        parent = np.array([parents.get(child, -1) for child in children.tolist()], dtype=np.int64)[group]
        fallback = answered & (parent == of_row)
        enough = np.bincount(of_row[fallback], minlength=len(models)) >= fewest
        chosen = answered & (fallback | ~enough[of_row])
        times = holdout["time"].to_numpy()[chosen] if "time" in holdout else None
        halves = _halves(holdout["row"].to_numpy()[chosen], times, group[chosen])
        return cls(list(models), of_row[chosen], np.abs(difference[chosen]), halves, fallback[chosen])

    @cached_property
    def _by_value(self) -> IntArray:
        """Positions that sort the residuals, whatever model each is of."""
        return np.argsort(self.values)

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

    def covered(self, used: IntArray, level: float) -> tuple[BoolArray, BoolArray]:
        """Say which rows lie inside a radius from the other half of their category, and which were looked at."""
        inside, counted = np.zeros((2, len(self.values)), dtype=bool)
        for shared in np.unique(used[used >= 0]).tolist():
            for calibrating, looked_at in self.halves:
                radius = np.where(used == shared, self._quantiles(shared, level, calibrating)[0], np.nan)
                limits = radius[self.of_row]
                counted |= looked_at & ~np.isnan(limits)
                inside |= looked_at & (self.values <= limits)
        return inside, counted

    def per_model(self, rows: BoolArray) -> IntArray:
        """Count the rows of a mask that each model predicted."""
        return np.bincount(self.of_row[rows], minlength=len(self.models))

    def _quantiles(self, shared: int, level: float, some: BoolArray | None = None) -> tuple[AnyArray, IntArray]:
        """Find for each model the radius and the number of rows of all that share so much of its key."""
        if shared == len(self.models[0]):
            category_of, n_categories = np.arange(len(self.models)), len(self.models)
        elif not shared:
            category_of, n_categories = np.zeros(len(self.models), dtype=np.int64), 1
        else:
            categories: dict[GroupKey, int] = {}
            category_of = np.array([categories.setdefault(key[:shared], len(categories)) for key in self.models])
            n_categories = len(categories)
        by_value = self._by_value if some is None else self._by_value[some[self._by_value]]
        category = category_of[self.of_row[by_value]]
        counts = np.bincount(category, minlength=n_categories)
        ordered = self.values[by_value][counting_sort(category, n_categories)]
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
