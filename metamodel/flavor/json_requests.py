"""JSON bodies as the tables that were sent: no column is cast, and no large integer rounded.

MLflow makes a DataFrame of a body, casts each column to its declared type, and refuses the body where one value does
not fit. A meta-model checks every value itself, so the casts are left out: of a request of one row they are most of the
work. MLflow reads `instances` and `inputs` by way of arrays, which turn numbers beside a text into texts; where these
lay out rows or columns they are read as the two other layouts are.

pandas makes floats of integers that stand beside a null or a fraction. From 2**53 on a float is not every integer, so
that a row's group would depend on the rows beside it; those are brought back to what was sent.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from metamodel.tables.large_integers import maybe_rounded, with_decimals

__all__ = ["read_json_body"]


def read_json_body(
    sent: Mapping[str, Any], exact: Sequence[str], parse: Callable[[Mapping[str, Any]], Any]
) -> pd.DataFrame | None:
    """Make a table of a body.

    Parameters
    ----------
    sent
        The body, parsed, without params.
    exact
        Columns whose large integers must stay what they are.
    parse
        MLflow's reader of the layouts `dataframe_split` and `dataframe_records`, told of no types.

    Returns
    -------
    DataFrame, or None
        None where the body lays out no rows.
    """
    laid_out = _in_rows(sent)
    table = None if laid_out is None else parse(laid_out)
    return _as_sent(table, laid_out, exact) if isinstance(table, pd.DataFrame) and laid_out is not None else None


def _in_rows(sent: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Lay out `instances` and `inputs` as rows; None where they hold something else."""
    if "dataframe_split" in sent or "dataframe_records" in sent:
        return sent
    ((layout, table),) = sent.items() if len(sent) == 1 else [("", None)]
    if layout in ("instances", "inputs") and _all(dict, table):
        return {"dataframe_records": table}
    if layout != "inputs" or not isinstance(table, dict) or not _all(list, list(table.values())):
        return None
    if len({len(values) for values in table.values()}) > 1:
        return None
    rows = [list(row) for row in zip(*table.values(), strict=True)]
    return {"dataframe_split": {"columns": list(table), "data": rows}}


def _all(kind: type, values: Any) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(value, kind) for value in values)


def _as_sent(table: pd.DataFrame, sent: Mapping[str, Any], exact: Sequence[str]) -> pd.DataFrame:
    """Put Decimals for large integers, which stay what they are in whatever is built of them next."""
    if not table.columns.is_unique:
        return table
    dtypes = {name: table[name].dtype for name in exact if name in table}
    floats = [name for name, dtype in dtypes.items() if dtype.kind == "f"]
    columns = {name: table[name] for name, dtype in dtypes.items() if dtype == np.dtype(object)}
    if floats and (rounded := maybe_rounded(table[floats])):
        columns |= {name: pd.Series(_cells(sent, name), index=table.index, dtype=object) for name in rounded}
    changed = {name: with_decimals(values) for name, values in columns.items() if _has_integers(values)}
    return table.assign(**changed) if changed else table


def _has_integers(values: pd.Series) -> bool:
    return int in set(map(type, values))


def _cells(sent: Mapping[str, Any], name: str) -> list[Any]:
    split = sent.get("dataframe_split")
    if split is None:
        return [row.get(name) for row in sent["dataframe_records"]]
    place = split["columns"].index(name)
    return [row[place] for row in split["data"]]
