"""Which rows of many groups are fitted and which are held back: as `fit.fit_group` decides it for one group."""

from dataclasses import dataclass

import numpy as np

from metamodel.common.arrays import AnyArray, BoolArray, HashArray, IntArray
from metamodel.evaluation.many_groups import groups_with_copies, hash_holdouts
from metamodel.evaluation.splits import copies, identities, split_hashes
from metamodel.fitting.array_fits.row_stacks import GroupSpans
from metamodel.fitting.spec import FitSpec

__all__ = ["ManyGroups", "UsableRows", "usable_rows"]

# Of larger groups the fit itself takes the time, and many of them would take the memory.
_LARGEST = 200_000


@dataclass(frozen=True)
class ManyGroups:
    """The rows of many groups, group by group, without times and weights.

    Parameters
    ----------
    x
        Features, shape (n_rows, n_features), C-contiguous.
    y
        Target, shape (n_rows,); may hold nulls.
    hashes
        From `row_hashes`.
    children
        From `holdout.child_ids`, or None.
    starts
        First row of each group, shape (n_groups,).
    contents
        From `value_hashes`, by which rows are known that an earlier child has seen; None where nobody asks.
    """

    x: AnyArray
    y: AnyArray
    hashes: HashArray
    children: IntArray | None
    starts: IntArray
    contents: HashArray | None = None


@dataclass(frozen=True)
class UsableRows:
    """The rows of the groups that an array program takes.

    Attributes
    ----------
    groups
        Their numbers among all groups, shape (n_taken,).
    every, rows
        All their rows; and those with a target, copies left out where the spec says so.
    hashes
        From `split_hashes`, one for each of the table's rows.
    held
        Shape (n_rows,): which of `rows` are held back; None where nothing is.
    lost, duplicates
        Rows without a target, and copies, of each group.
    """

    groups: IntArray
    every: GroupSpans
    rows: GroupSpans
    hashes: HashArray
    held: BoolArray | None
    lost: IntArray
    duplicates: IntArray


def usable_rows(many: ManyGroups, spec: FitSpec) -> UsableRows:
    """Choose groups and rows; groups with infinite values, too few rows, or rows that cannot be split are left out."""
    every = GroupSpans(np.arange(len(many.y)), many.starts)
    can_fit = np.logical_and.reduceat(np.isfinite(many.x).all(axis=1) & ~np.isinf(many.y), many.starts)
    given = ~np.isnan(many.y)
    rows = every.where(given)
    can_fit &= (rows.sizes >= max(1, spec.min_rows)) & (every.sizes * many.x.shape[1] <= _LARGEST)
    groups = np.flatnonzero(can_fit)
    if not len(groups):
        nothing = GroupSpans(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        return UsableRows(groups, nothing, nothing, many.hashes, None, groups, groups)
    lost = (every.sizes - rows.sizes)[groups]
    every, rows = every.of(groups), rows.of(groups)
    hashes, again = _told_apart(many, rows, spec)
    duplicates = np.add.reduceat(again.astype(np.int64), rows.starts)
    if spec.drop_duplicates:
        rows = rows.where(~again)
    enough = rows.sizes >= max(1, spec.min_rows)
    held = None
    if spec.holdout and enough.any():
        # A group without enough rows has one all the same: the first of several copies stays.
        held, can_split = hash_holdouts(hashes[rows.positions], rows.starts, spec.holdout)
        enough &= can_split
        held = held[enough[rows.codes]]
    kept = np.flatnonzero(enough)
    return UsableRows(groups[kept], every.of(kept), rows.of(kept), hashes, held, lost[kept], duplicates[kept])


def _told_apart(many: ManyGroups, rows: GroupSpans, spec: FitSpec) -> tuple[HashArray, BoolArray]:
    """Hashes by which the table's rows are held back, and which of `rows` are copies."""
    children = None if many.children is None else many.children[rows.positions]
    same = identities(many.hashes[rows.positions], children)
    apart, again = same.copy(), np.zeros(len(same), dtype=bool)
    stops = rows.starts + rows.sizes
    for group in np.flatnonzero(groups_with_copies(same, rows.starts)):
        span = slice(rows.starts[group], stops[group])
        again[span] = copies(same[span])
        apart[span] = split_hashes(same[span]) if spec.spread_copies else same[span]
    hashes = many.hashes.copy()
    hashes[rows.positions] = apart
    return hashes, again
