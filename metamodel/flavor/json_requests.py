"""The large integers of a JSON body as they were sent.

MLflow makes a DataFrame of the rows, and pandas makes floats of integers that stand beside a null or a fraction. From
2**53 on a float is not every integer, so that a row's group would depend on the rows beside it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from mlflow.types import Schema
from mlflow.types.schema import AnyType

from metamodel.common.arrays import AnyArray
from metamodel.tables.large_integers import maybe_rounded, with_decimals

__all__ = ["as_sent"]


def as_sent(table: Any, sent: Mapping[str, Any], schema: Schema | None) -> Any:
    """Undo what became of large integers in the columns that a signature does not check.

    Parameters
    ----------
    table
        What MLflow made of a body: a DataFrame, a dict of columns, or anything else, which stays as it is.
    sent
        The body, parsed.
    schema
        The model's inputs.

    Returns
    -------
    DataFrame or dict
        With Decimals for large integers, which stay what they are in whatever MLflow builds of them next.
    """
    if schema is None or not schema.has_input_names():
        return table
    unchecked = [column.name for column in schema.inputs if isinstance(column.type, AnyType)]
    if isinstance(table, dict):  # of instances or inputs
        return table | {name: _decimals(table[name]) for name in unchecked if name in table}
    if not isinstance(table, pd.DataFrame) or not table.columns.is_unique:
        return table
    names = [name for name in unchecked if name in table]
    rounded = maybe_rounded(table[[name for name in names if table[name].dtype.kind == "f"]])
    columns = {str(name): table[name] for name in names if table[name].dtype == object}
    columns |= {name: pd.Series(_cells(sent, name), index=table.index, dtype=object) for name in rounded}
    return table.assign(**{name: with_decimals(values) for name, values in columns.items()})


def _decimals(values: Any) -> Any:
    if isinstance(values, list):
        return with_decimals(pd.Series(values, dtype=object)).tolist()
    if not isinstance(values, np.ndarray) or values.dtype != object or values.ndim != 1:
        return values
    decimals: AnyArray = with_decimals(pd.Series(values, dtype=object)).to_numpy()
    return decimals


def _cells(sent: Mapping[str, Any], name: str) -> list[Any]:
    split = sent.get("dataframe_split")
    if split is None:
        return [row.get(name) for row in sent["dataframe_records"]]
    place = split["columns"].index(name)
    return [row[place] for row in split["data"]]
