"""Tables of other libraries: whatever narwhals reads as one (polars, Arrow, Modin, cuDF ...), and Arrow's streams.

They come in as Arrow tables do, so that a frame of polars and the Parquet file that it would be written to are read
alike.
"""

from typing import Any

import pandas as pd
import pyarrow as pa

from metamodel.exceptions import InputError
from metamodel.tables.arrow import plain_frame

__all__ = ["as_pandas", "table_of", "widened"]


def as_pandas(data: Any) -> pd.DataFrame | None:
    """Take a table of any library as a pandas frame; None where it is no table, or one of Spark.

    A pandas frame is returned as it is, any other one under a fresh index. Lazy tables are collected.

    Examples
    --------
    >>> as_pandas(pa.table({"shop": ["a", "b"], "sold": [3, None]}))
      shop  sold
    0    a     3
    1    b  <NA>
    """
    if isinstance(data, pd.DataFrame):
        return data
    if _is_foreign(data):
        return None
    table = _of_narwhals(data)
    if table is not None:
        return table.to_pandas() if table.implementation.is_pandas_like() else plain_frame(table.to_arrow())
    if hasattr(data, "__arrow_c_stream__"):  # batches, and readers of them; a column has a stream too
        try:
            return plain_frame(pa.table(data))
        except (TypeError, ValueError, pa.ArrowException):
            return None
    return None


def table_of(data: Any) -> pd.DataFrame:
    """Take rows to predict as a pandas frame.

    Raises
    ------
    InputError
        They are no table.
    """
    table = as_pandas(data)
    if table is None:
        raise InputError(f"predict takes a DataFrame (of pandas, polars, Arrow ...), not a {type(data).__name__}.")
    return table


def widened(data: Any, added: pd.DataFrame) -> Any:
    """Put columns behind those of a table of another library; returns a table of that library, rows in their order.

    What is missing in `added` is null there. Of a lazy table comes its collected kind, and of what narwhals does not
    know an Arrow table.
    """
    import narwhals.stable.v2 as nw

    table = pa.Table.from_pandas(added, preserve_index=False).replace_schema_metadata()
    texts = [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in table.schema]
    table = table.cast(pa.schema(texts))
    own = _of_narwhals(data)
    if own is None:
        own = nw.from_native(pa.table(data), eager_only=True)
    columns = nw.from_native(table, eager_only=True)
    if own.implementation != columns.implementation:
        columns = nw.from_arrow(table, backend=own.implementation)
    return nw.concat([own, columns], how="horizontal").to_native()


def _is_foreign(data: Any) -> bool:
    """Whether it is of a library that is read elsewhere, or nothing that could be a table."""
    top = type(data).__module__.partition(".")[0]
    return top in ("pyspark", "builtins", "pathlib", "numpy")


def _of_narwhals(data: Any) -> Any:
    """Read a table through narwhals; None where it knows none."""
    import narwhals.stable.v2 as nw

    table = nw.from_native(data, pass_through=True)
    if isinstance(table, nw.LazyFrame):
        return table.collect()
    return table if isinstance(table, nw.DataFrame) else None
