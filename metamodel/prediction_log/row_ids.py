"""How a row is named, and how rows of other tables are found by their names: the log holds every name as a text.

So a table of labels may hold numbers where the log, a CSV file or another system has texts: 7, 7.0 (which pandas makes
of 7 beside a null) and "7" name the same row, and so do a date, midnight of it, and its text.
"""

import datetime as dt
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, BoolArray, IntArray
from metamodel.tables.files import is_csv, read_table
from metamodel.tables.sources import read_source

__all__ = ["NamedRows", "id_text", "id_texts", "read_labels"]


def read_labels(labels: Any, on: Sequence[str]) -> pd.DataFrame:
    """Take, or read, a table of labels; of a CSV file names of rows as they are written there: "007" is not 7.

    Parameters
    ----------
    labels
        A table, or the path of one.
    on
        Columns that name a row.
    """
    if isinstance(labels, str | Path) and is_csv(labels) and Path(labels).exists():
        return read_table(labels, on, on)
    return read_source(labels, on)[0]


def id_text(value: Any) -> str | None:
    """Write one value of a row's name; None where it has none.

    Examples
    --------
    >>> id_text(7.0), id_text("007"), id_text(7.5), id_text(None)
    ('7', '007', '7.5', None)
    >>> id_text(pd.Timestamp("2026-03-02")), id_text(pd.Timestamp("2026-03-02 13:00", tz="Europe/Paris"))
    ('2026-03-02', '2026-03-02T12:00:00+00:00')
    """
    if isinstance(value, str):
        return value
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if isinstance(value, dt.datetime):
        moment = value if value.tzinfo is None else value.astimezone(dt.UTC)
        return moment.isoformat().removesuffix("T00:00:00")
    return str(value)


def id_texts(values: pd.Series) -> AnyArray:
    """Write a column of rows' names, array of str or None, shape (n_rows,).

    Examples
    --------
    >>> id_texts(pd.Series([7, None, 8])).tolist()
    ['7', None, '8']
    """
    kind = values.dtype.kind if isinstance(values.dtype, np.dtype) else ""
    if kind in "iu" and kind:
        return values.astype(str).to_numpy(dtype=object)
    texts = values.astype(object).to_numpy()
    if pd.api.types.infer_dtype(texts, skipna=False) == "string":
        return np.asarray(texts)
    codes, distinct = pd.factorize(values)  # dates and floats are worth to be written once each
    written = np.array([*map(id_text, distinct.astype(object)), None], dtype=object)
    return np.asarray(written[codes])


class NamedRows:
    """The rows of a table, found by what names them in other tables.

    Parameters
    ----------
    table
        Has the columns.
    on
        Columns that name a row, together.

    Examples
    --------
    >>> labels = NamedRows(pd.DataFrame({"row_id": [3, 1]}), ["row_id"])
    >>> labels.places(pd.DataFrame({"row_id": ["1", "2", None, "3"]})).tolist()
    [1, -1, -1, 0]
    """

    def __init__(self, table: pd.DataFrame, on: Sequence[str]) -> None:
        self._on = list(on)
        index, named = _names(table, self._on)
        self._rows = np.flatnonzero(named)
        self._index = index[named]

    @property
    def doubled(self) -> IntArray:
        """Positions of the rows whose name a row before has."""
        return self._rows[np.asarray(self._index.duplicated())]

    def places(self, frame: pd.DataFrame) -> IntArray:
        """Find the row here of each row of another table, shape (n_rows,); -1 for none. No name may be doubled."""
        index, named = _names(frame, self._on)
        place = np.asarray(self._index.get_indexer(index), dtype=np.int64)
        there = named & (place >= 0)
        rows = np.full(len(frame), -1, dtype=np.int64)
        rows[there] = self._rows[place[there]]
        return rows


def _names(table: pd.DataFrame, on: Sequence[str]) -> tuple[pd.Index, BoolArray]:
    columns = [id_texts(table[name]) for name in on]
    named = np.logical_and.reduce([~pd.isna(texts) for texts in columns])
    index = pd.Index(columns[0], dtype=object) if len(columns) == 1 else pd.MultiIndex.from_arrays(columns)
    return index, np.asarray(named)
