"""Large integers that pandas would round: of a column with a null it makes floats, which do not hold every id."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["as_integers", "integer_columns", "maybe_rounded", "suspect_columns", "with_decimals", "with_exact_integers"]

# Texts take memory, so no more rows of them are looked at together.
_BATCH_ROWS = 200_000

# From here on not every integer is a float.
_ROUNDED = 2**53


def maybe_rounded(frame: pd.DataFrame) -> set[str]:
    """Name the columns of numbers so large that, as floats, they may be others than in the file.

    Examples
    --------
    >>> maybe_rounded(pd.DataFrame({"id": [9007199254740993.0, None], "price": [2.5, 3.5]}))
    {'id'}
    """
    numbers = [name for name in frame.columns if frame[name].dtype.kind in "iuf"]
    return {name for name in numbers if len(frame) and _reaches(frame[name].min(), frame[name].max())}


def _not_parsed(frame: pd.DataFrame) -> set[str]:
    # Of unsigned integers beside a null pandas makes texts, and of the null an empty one.
    texts = [name for name in frame if frame[name].dtype == object or isinstance(frame[name].dtype, pd.StringDtype)]
    return {name for name in texts if (frame[name] == "").any()}


def suspect_columns(frame: pd.DataFrame) -> set[str]:
    """Name the columns of a CSV file that may be integers though pandas read something else."""
    return maybe_rounded(frame) | _not_parsed(frame)


def _reaches(low: Any, high: Any) -> bool:
    return bool(low <= -_ROUNDED or high >= _ROUNDED)  # a null is neither


def with_exact_integers(frame: pd.DataFrame, path: Path, options: Mapping[str, Any]) -> pd.DataFrame:
    """Replace floats of a CSV file that was read with `options` by the integers that are in the file."""
    dtypes = integer_columns(path, options, suspect_columns(frame.select_dtypes(exclude="integer")))
    if not dtypes:
        return frame
    texts = pd.read_csv(path, **{**options, "usecols": list(dtypes), "dtype": str})
    return frame.assign(**as_integers(texts, dtypes))


def integer_columns(path: Path, options: Mapping[str, Any], names: Collection[str]) -> dict[str, str]:
    """Find the columns of a CSV file all of whose fields are integers of 64 bits or null.

    Parameters
    ----------
    path, options
        Of `pandas.read_csv`.
    names
        The columns to look at.

    Returns
    -------
    dict of str to str
        Column → "Int64", or "UInt64" where it needs the larger range.
    """
    ranges: dict[str, tuple[int, int] | None] = dict.fromkeys(names, (0, 0))
    if not ranges:
        return {}
    texts = {**options, "usecols": list(names), "dtype": str, "chunksize": _BATCH_ROWS}
    with pd.read_csv(path, **texts) as parts:
        for part in parts:
            ranges = {name: _range(part[name].dropna(), before) for name, before in ranges.items()}
    return {name: dtype for name, found in ranges.items() if found is not None and (dtype := _dtype(*found))}


def _range(fields: pd.Series, before: tuple[int, int] | None) -> tuple[int, int] | None:
    if before is None or not fields.str.fullmatch(r"\s*[+-]?[0-9]{1,20}\s*").all():
        return None
    numbers = [*map(int, fields.unique()), *before]
    return min(numbers), max(numbers)


def _dtype(low: int, high: int) -> str:
    if low >= -(2**63) and high < 2**63:
        return "Int64"
    return "UInt64" if low >= 0 and high < 2**64 else ""


def as_integers(frame: pd.DataFrame, dtypes: Mapping[str, str]) -> pd.DataFrame:
    """Make integers of columns of texts.

    Examples
    --------
    >>> as_integers(pd.DataFrame({"id": ["9007199254740993", None]}), {"id": "Int64"})["id"].tolist()
    [9007199254740993, <NA>]
    """
    return frame.assign(**{name: _integers(frame[name], dtype) for name, dtype in dtypes.items()})


def _integers(fields: pd.Series, dtype: str) -> pd.Series:
    numbers = [pd.NA if missing else int(field) for field, missing in zip(fields, fields.isna(), strict=True)]
    return pd.Series(pd.array(numbers, dtype=dtype), index=fields.index)


def with_decimals(values: pd.Series) -> pd.Series:
    """Make Decimals of the large integers among objects: who builds a column of such cells makes no floats of them.

    Examples
    --------
    >>> with_decimals(pd.Series([9007199254740993, None, 7], dtype=object)).tolist()
    [Decimal('9007199254740993'), None, 7]
    """
    cells = [Decimal(cell) if type(cell) is int and _reaches(cell, cell) else cell for cell in values]
    return pd.Series(cells, index=values.index, dtype=object)
