"""Whether equal rows of a table are copies of one observation, or several observations that happen to be alike.

Two passengers of one class, age and sex are two passengers; two rows that agree in a dozen measurements are one that
was written twice. What tells them apart are the pairs of rows that agree in everything but one column. Where chance
makes rows equal, agreeing in that column and agreeing in all others have little to do with each other: the odds ratio
of the two is near 1. Copies agree in both at once, far oftener than either agreement alone lets expect.

A column that the others all but determine has large odds by chance too. But then many rows share few combinations, some
of them far oftener than others, and no accident copies the rows of a table ten times and that unevenly.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from metamodel.common.arrays import HashArray, IntArray
from metamodel.tables.row_hashes import column_hashes

__all__ = ["MOST_ODDS", "Agreement", "EqualRows", "equal_rows"]

# Real tables whose equal rows are observations have a column at 0.1 to 4; one row in twenty copied into a table of
# measurements makes it 18 to infinity in every column (docs/decisions/0018-equal-rows.md).
MOST_ODDS = 10.0

# Rows for each distinct one, and the squared coefficient of variation of these numbers. A file that was read in over
# and over has every row equally often (0), or, where it grew, the early ones oftener (1/3); one row that was written a
# thousand times beside many single ones has more.
_CROWD, _UNEVEN = 10, (0.5, 5.0)

_STRIDE = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Agreement:
    """Pairs of rows of one group, counted by what they agree in.

    Attributes
    ----------
    column
        The column that is set beside all others.
    both, others, own, pairs
        How many agree in everything, in all other columns, in this one, and how many there are.
    """

    column: str
    both: int
    others: int
    own: int
    pairs: int

    @property
    def odds_ratio(self) -> float:
        """How much the odds of agreeing in the column grow where the others agree.

        Infinite without a near miss; NaN where the column, or all others, have one value, which tells nothing.

        Examples
        --------
        >>> Agreement("sex", both=50, others=100, own=500, pairs=1000).odds_ratio
        1.0
        >>> Agreement("price", both=20, others=20, own=60, pairs=1000).odds_ratio
        inf
        """
        near_misses = (self.others - self.both) * (self.own - self.both)
        neither = self.pairs - self.others - self.own + self.both
        if near_misses:
            return self.both * neither / near_misses
        return float("inf") if neither else float("nan")


@dataclass(frozen=True)
class EqualRows:
    """The exact copies in a table, within its groups.

    Attributes
    ----------
    rows, copies
        Rows with a target, and how many of them are equal to another one that stays.
    odds_ratio
        The lowest of all columns that were looked at; see `Agreement`.
    crowded
        Whether many rows share few combinations, some far oftener than others; then no column is looked at.
    """

    rows: int
    copies: int = 0
    odds_ratio: float = float("inf")
    crowded: bool = False

    @property
    def are_observations(self) -> bool:
        """Whether there are equal rows and chance explains them."""
        return self.copies > 0 and (self.crowded or self.odds_ratio <= MOST_ODDS)

    @classmethod
    def judged(cls, rows: int, distinct: int, pairs: int, agreements: Iterable[Agreement]) -> "EqualRows":
        """Look at one column after the other until one explains the copies; `pairs` are those of equal rows."""
        if _crowded(rows, distinct, pairs):
            return cls(rows, rows - distinct, crowded=True)
        if rows == distinct:
            return cls(rows)
        odds = []
        for one in agreements:
            if not np.isnan(one.odds_ratio):
                odds.append(one.odds_ratio)
            if odds and odds[-1] <= MOST_ODDS:
                break
        # Where a single column varies there is nothing to set it beside, and a value that comes ten times is common.
        return cls(rows, rows - distinct, min(odds, default=float("inf")), not odds and rows >= _CROWD * distinct)


def equal_rows(frame: pd.DataFrame, columns: Sequence[str], target: str, groups: IntArray) -> EqualRows:
    """Count the exact copies in a table of this machine, and judge them.

    Parameters
    ----------
    frame
        The table.
    columns
        Whose content makes two rows the same row, the target among them.
    target
        Rows without one do not count.
    groups
        Shape (n_rows,): number of each row's group.

    Examples
    --------
    >>> dice = pd.DataFrame({"first": [1, 1, 2, 2] * 6, "second": [1, 2, 1, 2] * 6})
    >>> equal_rows(dice, ["first", "second"], "second", np.zeros(24, dtype=np.int64)).are_observations
    True
    >>> measured = pd.DataFrame({"x": [0.1, 0.2, 0.3, 0.4, 0.1], "y": [1.1, 2.1, 3.1, 4.1, 1.1]})
    >>> equal_rows(measured, ["x", "y"], "y", np.zeros(5, dtype=np.int64))
    EqualRows(rows=5, copies=1, odds_ratio=inf, crowded=False)
    """
    has_target = frame[target].notna().to_numpy()
    ordered = [target, *(name for name in columns if name != target)]
    hashes = column_hashes(frame if has_target.all() else frame.loc[has_target], ordered)
    salted = {name: _salted(values, i) for i, (name, values) in enumerate(hashes.items(), start=1)}
    group = _salted(groups[has_target].astype(np.uint64), 0)
    content = group.copy()
    for values in salted.values():
        content += values
    distinct, both = _distinct_and_pairs(content)

    def agreements() -> Iterator[Agreement]:
        pairs = _distinct_and_pairs(group)[1]
        for name, values in salted.items():
            others, agreeing = _distinct_and_pairs(content - values)[1], _distinct_and_pairs(group + values)[1]
            yield Agreement(name, both, others, agreeing, pairs)

    return EqualRows.judged(len(content), distinct, both, agreements())


def _crowded(rows: int, distinct: int, pairs: int) -> bool:
    if rows < _CROWD * distinct or not rows:
        return False
    mean, mean_of_squares = rows / distinct, (2 * pairs + rows) / distinct
    return _UNEVEN[0] < mean_of_squares / mean**2 - 1 < _UNEVEN[1]


def _salted(hashes: HashArray, position: int) -> HashArray:
    """Make hashes of columns such that those of a row can be added: equal values of two columns must not cancel out."""
    return pd.util.hash_array(hashes + np.uint64((position + 1) * _STRIDE % 2**64))


def _distinct_and_pairs(hashes: HashArray) -> tuple[int, int]:
    """Count distinct values, and the pairs of equal ones."""
    ordered = np.sort(hashes)
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    counts = np.diff(starts, append=len(ordered))
    return len(counts), int((counts * (counts - 1) // 2).sum())
