"""The features of many rows in the form that children take, and the rows that do not fit it.

A frame has one form, that of training. A row with a value that is good but does not fit (a null or a fraction where
children see integers, a category that training did not see) is odd: it is kept apart with those that are odd in the
same way, in a form that depends on the row alone. So no row changes what a child sees of its neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, IntArray
from metamodel.tables.feature_values import Converted

__all__ = ["FeatureTable", "OddRows"]


@dataclass(frozen=True)
class OddRows:
    """Which rows of a frame do not fit its form, and what they hold.

    Attributes
    ----------
    ways
        Shape (n_rows,): 0 for a row that fits, else in which way it does not.
    wider
        For each way but 0: what the columns are replaced by. None stands for floats, anything else for the unseen
        category that all these rows hold.
    floats
        Columns of integers or booleans that some row does not fit, as floats.
    """

    ways: IntArray
    wider: Sequence[Mapping[str, Any]]
    floats: Mapping[str, AnyArray]

    @classmethod
    def of(cls, columns: Mapping[str, Converted], whole: Sequence[str]) -> Self | None:
        """Gather the odd rows of all columns; `whole` names those of integers and booleans. None where all rows fit."""
        odd = {name: column.odd for name, column in columns.items() if column.odd is not None and column.odd.any()}
        if not odd:
            return None
        numbers = [name for name in odd if name in whole]
        marks = [odd[name] for name in odd if name not in whole]
        marks.append(np.any([odd[name] for name in numbers], axis=0).astype(np.int64) if numbers else 0 * marks[0])
        distinct, ways = np.unique(np.column_stack(marks), axis=0, return_inverse=True)
        if distinct[0].any():  # no row fits
            distinct, ways = np.vstack([0 * distinct[:1], distinct]), ways + 1
        levels = [(name, columns[name].levels) for name in odd if name not in whole]
        wider = []
        for *of_levels, is_wide in distinct[1:].tolist():
            new = {name: unseen[i - 1] for (name, unseen), i in zip(levels, of_levels, strict=True) if i}
            wider.append(dict.fromkeys(whole if is_wide else ()) | new)
        return cls(ways.reshape(-1), wider, {name: columns[name].floats for name in numbers})  # type: ignore[misc]

    def take(self, rows: IntArray) -> Self | None:
        """Reorder or select rows."""
        ways = self.ways[rows]
        if not ways.any():
            return None
        return type(self)(ways, self.wider, {name: values[rows] for name, values in self.floats.items()})

    def replaced(self, frame: pd.DataFrame, rows: IntArray) -> pd.DataFrame:
        """Give rows that are all odd in one way their own form; `frame` holds them already, in the form of training."""
        columns: dict[str, Any] = {}
        for name, level in self.wider[self.ways[rows[0]] - 1].items():
            if level is None:
                columns[name] = self.floats[name][rows] if name in self.floats else frame[name].astype(np.float64)
            else:
                dtype = frame[name].dtype
                levels = [*dtype.categories, level]
                columns[name] = pd.Categorical.from_codes(
                    np.full(len(rows), len(levels) - 1), dtype=pd.CategoricalDtype(levels, dtype.ordered)
                )
        return frame.assign(**columns)


@dataclass(frozen=True)
class FeatureTable:
    """The features of many rows in the form that children take.

    Attributes
    ----------
    values
        Matrix of shape (n_rows, n_features), or a frame with a fresh RangeIndex.
    problems
        Row position → why this row's features cannot be used.
    odd
        Of a frame: the rows that do not fit its form; `values` holds placeholders for them.
    """

    values: AnyArray | pd.DataFrame
    problems: dict[int, str]
    odd: OddRows | None = None

    def take(self, rows: IntArray) -> "FeatureTable":
        """Reorder or select rows; problems stay with their rows."""
        if isinstance(self.values, pd.DataFrame):
            values: AnyArray | pd.DataFrame = self.values.take(rows).reset_index(drop=True)
        else:
            # With mode="clip" np.take writes straight into `out`; every other mode goes through a buffer.
            values = np.empty((len(rows), self.values.shape[1]), dtype=self.values.dtype)
            np.take(self.values, rows, axis=0, out=values, mode="clip")
        problems: dict[int, str] = {}
        if self.problems:
            problems = {i: self.problems[row] for i, row in enumerate(rows.tolist()) if row in self.problems}
        return FeatureTable(values, problems, None if self.odd is None else self.odd.take(rows))

    def rows_without(self, column: str | None) -> AnyArray:
        """Which rows have no value in a column of a frame; none where there is no such column."""
        if isinstance(self.values, pd.DataFrame) and column in self.values.columns:
            return self.values[column].isna().to_numpy()
        return np.zeros(len(self.values), dtype=bool)

    def slice(self, start: int, stop: int) -> AnyArray | pd.DataFrame:
        """Rows `start` to `stop`, all of which fit, without a copy."""
        if isinstance(self.values, pd.DataFrame):
            return self.values.iloc[start:stop]
        return self.values[start:stop]

    def alike(self, start: int, stop: int) -> list[tuple[IntArray, "FeatureTable"]]:
        """Cut rows `start` to `stop` into tables of rows that fit, or are odd in one way, with their positions."""
        ways = np.zeros(stop - start, dtype=np.int64) if self.odd is None else self.odd.ways[start:stop]
        order = np.argsort(ways, kind="stable")
        tables = []
        for rows in np.split(order + start, np.flatnonzero(np.diff(ways[order])) + 1):
            table = self.take(rows)
            if self.odd is not None and self.odd.ways[rows[0]] and isinstance(table.values, pd.DataFrame):
                table = FeatureTable(self.odd.replaced(table.values, rows), table.problems)
            tables.append((rows, table))
        return tables
