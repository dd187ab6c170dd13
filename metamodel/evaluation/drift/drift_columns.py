"""Columns in the two forms that are compared: numbers as floats, categories as 64-bit hashes of their texts.

A hash says the same of a category in every process, table and version, without a list that all of them would share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, BoolArray, HashArray, IntArray
from metamodel.evaluation.drift.drift_reference import ColumnKind

__all__ = ["DriftColumns", "functions_of_time", "hash_categories"]


@dataclass(frozen=True)
class DriftColumns:
    """Some columns of many rows.

    Attributes
    ----------
    values
        Name → array of shape (n_rows,): floats with NaN for missing, or hashes (uint64) with 0 for missing.
    texts
        Of each column of categories: hash → text.
    """

    values: dict[str, AnyArray] = field(default_factory=dict)
    texts: dict[str, dict[int, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> "DriftColumns":
        """Bring arrays, Series or Categoricals into the form.

        Numbers, booleans and timestamps (as days since 1970, UTC) are numbers; all else is categories. The kind must
        not depend on the rows at hand: bring features to their recorded form first (`FeatureSchema.columns`).

        Examples
        --------
        >>> columns = DriftColumns.of({"price": [1, 2], "shop": ["a", None]})
        >>> columns.kinds, columns.values["price"].tolist(), int(columns.values["shop"][1])
        (('number', 'category'), [1.0, 2.0], 0)
        """
        result = cls()
        for name, given in columns.items():
            values = given if isinstance(given, pd.Series) else pd.Series(given)
            numbers = _numbers(values)
            if numbers is None:
                result.values[name], result.texts[name] = hash_categories(values)
            else:
                result.values[name] = numbers
        return result

    @property
    def kinds(self) -> tuple[ColumnKind, ...]:
        """Kind of each column."""
        return tuple("category" if name in self.texts else "number" for name in self.values)

    def __len__(self) -> int:
        return len(next(iter(self.values.values()), ()))

    def take(self, rows: AnyArray) -> "DriftColumns":
        """Keep some rows: positions, or a mask."""
        return DriftColumns({name: values[rows] for name, values in self.values.items()}, self.texts)


def _numbers(values: pd.Series) -> AnyArray | None:
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return None
    if pd.api.types.is_datetime64_any_dtype(dtype):
        moments = values.dt.tz_convert("UTC").dt.tz_localize(None) if getattr(dtype, "tz", None) else values
        days = moments.to_numpy().astype("datetime64[us]")
        result: AnyArray = np.where(np.isnat(days), np.nan, days.view(np.int64) / 86_400_000_000.0)
        return result
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        numbers: AnyArray = values.to_numpy(dtype=np.float32 if dtype == np.float32 else np.float64, na_value=np.nan)
        return numbers
    return None


def hash_categories(values: Any) -> tuple[HashArray, dict[int, str]]:
    """Turn categories into hashes of their texts.

    Parameters
    ----------
    values
        Array, Series or Categorical, shape (n_rows,); nulls are missing.

    Returns
    -------
    hashes : ndarray of uint64, shape (n_rows,)
        0 for a null.
    texts : dict
        Hash → text, of the categories that occur.
    """
    codes, categories = pd.factorize(
        values if isinstance(values, pd.Series) else pd.Series(values), use_na_sentinel=True
    )
    texts = list(map(_text, categories.tolist()))
    # 0 stands for a null; no text is lost by giving the one that has it, if there is any, another number.
    of_text = np.maximum(pd.util.hash_array(np.array(texts, dtype=object)), np.uint64(1)) if texts else _NONE
    hashes = np.append(of_text, np.uint64(0))[codes]  # a null has code -1
    return hashes, dict(zip(of_text.tolist(), texts, strict=True))


_NONE = np.zeros(0, dtype=np.uint64)


def _text(value: Any) -> str:
    # Integers beside a null are floats in pandas; they are the categories that they are without it.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def functions_of_time(columns: DriftColumns, times: AnyArray) -> frozenset[str] | None:
    """Find the columns that say nothing but when a row is: at one time they have one value in all rows, of all groups.

    A week's number, a month, a holiday, a price index: they change whatever happens to the groups. A column that never
    varies is none: when it does, that is news. Nor is one of a table that has no two rows of one time.

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
    moment = pd.factorize(times)[0]
    order = np.argsort(moment, kind="stable")
    order = order[np.searchsorted(moment[order], 0) :]
    same = moment[order[1:]] == moment[order[:-1]]
    if not same.any():
        return None
    told = set()
    for name, values in columns.values.items():
        # The first rows tell of most columns that they are none.
        if _equal_to_next(values, order[:_FIRST_ROWS])[same[: _FIRST_ROWS - 1]].all():
            equal = _equal_to_next(values, order)
            if equal[same].all() and not equal.all():
                told.add(name)
    return frozenset(told)


_FIRST_ROWS: Final = 10_000


def _equal_to_next(values: AnyArray, order: IntArray) -> BoolArray:
    ordered = values[order]
    equal: BoolArray = ordered[1:] == ordered[:-1]
    if ordered.dtype.kind == "f":
        equal |= np.isnan(ordered[1:]) & np.isnan(ordered[:-1])
    return equal
