"""Columns in the two forms that are compared: numbers as floats, categories as 64-bit hashes of their texts.

A hash says the same of a category in every process, table and version, without a list that all of them would share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, HashArray
from metamodel.evaluation.drift.drift_reference import ColumnKind

__all__ = ["DriftColumns", "hash_categories"]


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
