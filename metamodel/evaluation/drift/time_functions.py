"""Columns that are functions of time alone: a week's number, a month, a holiday, a price index.

They change whatever happens to the groups, so that their drift is no news. Of a window that is counted in parts each
part keeps what it takes to say it of all rows together: of each time a fingerprint of the one value that its rows have.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, Self

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, BoolArray, IntArray
from metamodel.evaluation.drift.drift_columns import DriftColumns

__all__ = ["TimeFunctions", "functions_of_time"]

# Times of a window, of which more is not kept: a month of hours, or two years of days.
_MOST_TIMES: Final = 1000

# The first rows tell of most columns that they are none.
_FIRST_ROWS: Final = 10_000


def functions_of_time(columns: DriftColumns, times: AnyArray) -> frozenset[str] | None:
    """Find the columns that say nothing but when a row is: at one time they have one value in all rows, of all groups.

    A column that never varies is none: when it does, that is news. Nor is one of a table that has no two rows of one
    time.

    Parameters
    ----------
    columns
        Of the rows of many groups, shape (n_rows,) each.
    times
        What orders the rows, shape (n_rows,).

    Returns
    -------
    frozenset of str, or None
        None where no two rows are of one time, so that nothing can be said.

    Examples
    --------
    >>> columns = DriftColumns.of({"month": [1, 2, 1, 2], "price": [5, 6, 7, 8], "tax": [1, 1, 1, 1]})
    >>> sorted(functions_of_time(columns, np.array([10, 40, 10, 40])))
    ['month']
    """
    order, same = _by_time(pd.factorize(times)[0])
    if not same.any():
        return None
    alike = _one_value_at_a_time(columns, order, same)
    return frozenset(name for name in alike if not _equal_to_next(columns.values[name], order).all())


@dataclass(frozen=True)
class TimeFunctions:
    """The columns of a part of a window that can be functions of time alone.

    Attributes
    ----------
    times
        Of the part's rows, each once and in order, shape (n_times,).
    values
        Column → fingerprint (32 bits) of its value at each time, shape (n_times,); a column that has two values at one
        time is none of them.
    repeated
        Whether two rows are of one time, so that something can be said.
    """

    times: AnyArray
    values: dict[str, IntArray]
    repeated: bool

    @classmethod
    def of(cls, columns: DriftColumns, times: AnyArray) -> Self | None:
        """Read the rows of a part.

        Parameters
        ----------
        columns
            Of its rows, shape (n_rows,) each.
        times
            The same in all parts of a window, shape (n_rows,); NaN where a row has none.

        Returns
        -------
        TimeFunctions or None
            None where there are so many times that nothing is kept.
        """
        moment, distinct = pd.factorize(times, sort=True)
        if len(distinct) > _MOST_TIMES:
            return None
        order, same = _by_time(moment)
        firsts = order[np.append(True, ~same)] if len(order) else order
        alike = _one_value_at_a_time(columns, order, same)
        return cls(distinct, {name: _fingerprints(columns.values[name][firsts]) for name in alike}, bool(same.any()))

    @property
    def names(self) -> frozenset[str]:
        """The columns that are functions of time alone in these rows."""
        if not self.repeated:
            return frozenset()
        return frozenset(name for name, of_time in self.values.items() if len(np.unique(of_time)) > 1)

    @classmethod
    def together(cls, parts: "Iterable[TimeFunctions | None]") -> "TimeFunctions | None":
        """Say it of the rows of several parts together: the same as of all of them at once, in whatever parts."""
        return reduce(_both, parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        values = {name: of_time.tolist() for name, of_time in sorted(self.values.items())}
        return {"times": self.times.tolist(), "values": values, "repeated": self.repeated}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        values = {name: np.array(of_time, dtype=np.int64) for name, of_time in plain["values"].items()}
        return cls(np.array(plain["times"], dtype=np.float64), values, plain["repeated"])


def _both(one: TimeFunctions | None, other: TimeFunctions | None) -> TimeFunctions | None:
    if one is None or other is None:
        return None
    times = np.union1d(one.times, other.times)
    if len(times) > _MOST_TIMES:
        return None
    place_one, place_other = (np.searchsorted(times, part.times) for part in (one, other))
    shared = np.intersect1d(place_one, place_other)
    values = {}
    for name in one.values.keys() & other.values.keys():
        of_one, of_other = (np.full(len(times), -1, dtype=np.int64) for _ in range(2))
        of_one[place_one], of_other[place_other] = one.values[name], other.values[name]
        if (of_one[shared] == of_other[shared]).all():
            values[name] = np.maximum(of_one, of_other)
    return TimeFunctions(times, values, one.repeated or other.repeated or len(shared) > 0)


def _by_time(moment: IntArray) -> tuple[IntArray, BoolArray]:
    """Order rows by their time, leaving out those without one (-1); and whether each is of the time of the next."""
    order = np.argsort(moment, kind="stable")
    order = order[np.searchsorted(moment[order], 0) :]
    return order, moment[order[1:]] == moment[order[:-1]]


def _one_value_at_a_time(columns: DriftColumns, order: IntArray, same: BoolArray) -> Sequence[str]:
    first, of_first = order[:_FIRST_ROWS], same[: _FIRST_ROWS - 1]
    likely = [name for name, values in columns.values.items() if _equal_to_next(values, first)[of_first].all()]
    return [name for name in likely if _equal_to_next(columns.values[name], order)[same].all()]


def _equal_to_next(values: AnyArray, order: IntArray) -> BoolArray:
    ordered = values[order]
    equal: BoolArray = ordered[1:] == ordered[:-1]
    if ordered.dtype.kind == "f":
        equal |= np.isnan(ordered[1:]) & np.isnan(ordered[:-1])
    return equal


def _fingerprints(values: AnyArray) -> IntArray:
    if values.dtype.kind == "f":  # 0 and -0 are equal, and all that is missing is
        values = np.where(np.isnan(values), np.nan, values + 0.0).astype(np.float64)
    return (pd.util.hash_array(values) >> np.uint64(32)).astype(np.int64)
