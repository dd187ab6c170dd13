"""Where the table of a training on this machine comes from: the caller's memory, a built-in sample, or files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.datasets import SAMPLES, load_sample
from metamodel.exceptions import InputError
from metamodel.tables import files as tables
from metamodel.tables.dataframes import as_pandas
from metamodel.tables.delta import is_delta, resolved

__all__ = ["no_table", "read_data", "read_source"]


def read_source(data: Any, group_by: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Take the caller's table, or read it, and say where it came from.

    Raises
    ------
    InputError
        It is no table, or one that only Spark can read.
    """
    table = as_pandas(data)
    if table is not None:
        return table, "DataFrame"
    if isinstance(data, str | Path):
        return _read_named(data, group_by)
    if type(data).__module__.startswith("pyspark."):
        raise InputError('data is a Spark DataFrame, which only Spark can read. Train with engine="spark".')
    raise no_table(data)


def read_data(data: str | Path, group_by: Sequence[str]) -> pd.DataFrame:
    """Read a built-in sample by its name, or a table by its path.

    Raises
    ------
    InputError
        There is no such file, or it is no table.
    """
    return _read_named(data, group_by)[0]


def no_table(data: object) -> InputError:
    """Say of what cannot be read what can."""
    return InputError(
        f"data is a {type(data).__name__}. Give a DataFrame (of pandas, polars, Arrow ...), "
        "a path, or the name of a sample."
    )


def _read_named(data: str | Path, group_by: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Read a sample or a table, and name what was read: of a Delta table the very version."""
    if _is_sample(data):
        return load_sample(str(data)), f"sample:{data}"
    name = resolved(data) if is_delta(data) else str(data)
    return tables.read_table(name, group_by), name


def _is_sample(data: str | Path) -> bool:
    return isinstance(data, str) and data in SAMPLES
