"""Leakage within single groups: a feature that is the target there, though not in the table as a whole.

A price times the units sold is no linear copy of the units, but in every shop whose price never changes it is. What is
telling must not be chance, for there may be 50,000 groups: numbers need a group whose target takes many values, labels
one with many rows that have not the commonest label.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, IntArray
from metamodel.tables.checks import COPY_CORRELATION, COPY_ROWS, no_copies
from metamodel.tables.grouping import Grouping
from metamodel.tables.keys import GroupKey
from metamodel.training.plan import Plan, TablePlan

__all__ = ["RARE_ROWS", "copies_in_groups", "has_numbers", "in_order", "pairs"]

# Rows of each group that are looked at first.
_SAMPLED_ROWS = 4

# Rows without the commonest label that a group must have.
RARE_ROWS = 20


def copies_in_groups(plan: TablePlan) -> dict[str, list[GroupKey]]:
    """Find features that are the target, or a linear copy of it, within single groups.

    Parameters
    ----------
    plan
        With the table; only the groups themselves are looked at, not their parents.

    Returns
    -------
    dict
        Feature → the groups, in the order of their keys; features without such a group are left out.
    """
    y, values, groups = plan.table.y, plan.table.features.values, plan.grouping
    there = ~pd.isna(y)
    sample = _Sample.of(y, groups) if has_numbers(plan) else None
    copies = {}
    for i, name in pairs(plan):
        column = values.iloc[:, i].to_numpy() if isinstance(values, pd.DataFrame) else values[:, i]
        both = there
        if sample is not None:
            suspicious = ~sample.without_copy(column)
            if not suspicious.any():
                continue
            both = there & suspicious[groups.codes]
        both = both & ~pd.isna(column)
        alike = (_linear if has_numbers(plan) else _equal)(column[both], y[both], groups.codes[both], len(groups.keys))
        telling = _telling(y, groups.codes, alike, plan.spec.task) if alike.any() else []
        if telling:
            copies[name] = in_order(groups.keys[g] for g in telling)  # type: ignore[misc]  # a plan has no invalid key
    return copies


def has_numbers(plan: Plan) -> bool:
    """Whether the target holds numbers, of a quantity or as labels."""
    return plan.target.label_kind in (None, "integer", "number")


def pairs(plan: Plan) -> Iterator[tuple[int, str]]:
    """Features that can be a copy of the target: of its own kind."""
    texts = {"string": ("string", "category"), "boolean": ("boolean",)}
    alike = texts.get(plan.target.label_kind or "", ("number",))
    for i, feature in enumerate(plan.features.features):
        if feature.kind in alike:
            yield i, feature.name


def in_order(keys: Iterable[GroupKey]) -> list[GroupKey]:
    """Sort keys, nulls first."""
    return sorted(keys, key=lambda key: [(value is not None, value) for value in key])


@dataclass(frozen=True)
class _Sample:
    """A few rows of each group, which tell nearly all features that are no copy of the target.

    `rows` has shape (n_groups, `_SAMPLED_ROWS`), `y` is the target there, `spreads` the sum of squares of all rows.
    """

    rows: IntArray
    y: AnyArray
    spreads: AnyArray

    @classmethod
    def of(cls, y: AnyArray, groups: Grouping) -> Self:
        """Take the first rows; a smaller group's reach into the next one, but it is too small for any finding."""
        y, codes = y.astype(np.float64), groups.codes
        places = groups.bounds[:-1, np.newaxis] + np.arange(_SAMPLED_ROWS)
        rows = groups.order[np.minimum(places, len(y) - 1)]
        known = np.nan_to_num(y, posinf=np.nan, neginf=np.nan)
        means = np.bincount(codes, known, len(groups.keys)) / groups.counts
        return cls(rows, y[rows], np.bincount(codes, (known - means[codes]) ** 2, len(groups.keys)))

    def without_copy(self, column: AnyArray) -> AnyArray:
        """Say of each group whether these rows are proof that a feature is no linear copy of its target."""
        if column.dtype.kind not in "fiub":
            return np.zeros(len(self.rows), dtype=bool)
        return no_copies(column[self.rows].astype(np.float64), self.y, self.spreads)


def _linear(x: AnyArray, y: AnyArray, groups: IntArray, n_groups: int) -> AnyArray:
    count = np.bincount(groups, minlength=n_groups)

    def centred(values: AnyArray) -> AnyArray:
        return values - (np.bincount(groups, values, n_groups) / count)[groups]

    with np.errstate(all="ignore"):  # a constant or infinite column has no correlation
        x, y = centred(x.astype(np.float64)), centred(y.astype(np.float64))
        products = [np.bincount(groups, one, n_groups) for one in (x * y, x * x, y * y)]
        correlation = products[0] / np.sqrt(products[1] * products[2])
    return (count >= COPY_ROWS) & (np.abs(correlation) >= COPY_CORRELATION)


def _equal(x: AnyArray, y: AnyArray, groups: IntArray, n_groups: int) -> AnyArray:
    count, same = np.bincount(groups, minlength=n_groups), np.bincount(groups, x == y, n_groups)
    return (count >= COPY_ROWS) & (same == count)


def _telling(y: AnyArray, codes: IntArray, alike: AnyArray, task: str) -> list[int]:
    """Leave the groups whose target varies so much that a copy of it is no chance."""
    rows = alike[codes]
    table = pd.DataFrame({"group": codes[rows], "y": y[rows]})
    counts = table.groupby(["group", "y"], sort=False).size().groupby(level="group", sort=True)  # without nulls
    enough = counts.size() >= COPY_ROWS if task == "regression" else counts.sum() - counts.max() >= RARE_ROWS
    return [int(group) for group in enough.index[enough]]
