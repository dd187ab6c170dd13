"""Hashes of rows, by which equal rows are told: they depend on a row's own values, never on the rows beside it."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from metamodel.common.arrays import HashArray

__all__ = ["column_hashes", "mixed_columns", "row_hashes"]


def row_hashes(
    frame: pd.DataFrame, columns: Sequence[str], random_state: int, mixed: Collection[str] | None = None
) -> HashArray:
    """Hash every row's content, shape (n_rows,).

    A row's hash depends on its own values and the seed alone: neither the row order nor other rows change it, and exact
    duplicates share it.

    Parameters
    ----------
    frame
        The table.
    columns
        Whose content counts.
    random_state
        Seed.
    mixed
        The `mixed_columns` of the whole table where `frame` is only a part of it.
    """
    content = pd.util.hash_pandas_object(_hashable(frame[list(columns)], mixed), index=False).to_numpy()
    return pd.util.hash_array(content ^ np.uint64(random_state * 0x9E3779B97F4A7C15 % 2**64))


def column_hashes(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, HashArray]:
    """Hash every value of some columns, each of shape (n_rows,); equal values, and nulls, share a hash."""
    hashable = _hashable(frame[list(columns)], None)
    return {name: pd.util.hash_pandas_object(hashable[name], index=False).to_numpy() for name in columns}


def mixed_columns(frame: pd.DataFrame) -> set[str]:
    """Names of the columns that hold other objects than text."""
    return {
        name
        for name in frame.columns
        if frame[name].dtype == object and pd.api.types.infer_dtype(frame[name], skipna=True) != "string"
    }


def _hashable(frame: pd.DataFrame, mixed: Collection[str] | None) -> pd.DataFrame:
    """Write objects of mixed types, which cannot be hashed as they are, as text; give equal numbers equal bytes."""
    mixed = mixed_columns(frame) if mixed is None else mixed
    texts = {name: frame[name].map(repr) for name in mixed}
    # -0.0 equals 0.0, and has other bytes.
    numbers = {name: frame[name] + 0.0 for name in frame.columns if pd.api.types.is_float_dtype(frame[name].dtype)}
    return frame.assign(**texts, **numbers) if texts or numbers else frame
