"""How a row is named: the log holds every name as a text.

So a table of labels may hold numbers where the log, a CSV file or another system has texts: 7, 7.0 (which pandas makes
of 7 beside a null) and "7" name the same row, and so do a date, midnight of it, and its text.
"""

import datetime as dt
import math
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray

__all__ = ["id_text", "id_texts"]


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
