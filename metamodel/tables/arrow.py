"""Arrow tables and columns as pandas has them, with dtypes that do not depend on the part that is looked at."""

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

__all__ = ["arrow_to_pandas", "plain_frame", "stored_schema", "without_arrow"]

_NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}


def plain_frame(table: pa.Table) -> pd.DataFrame:
    """Convert a table: an integer column with nulls becomes pandas' own Int64, because floats cannot hold large ids."""
    table = _with_signed_codes(table)
    with_nulls = {field.type for field, column in zip(table.schema, table.columns, strict=True) if column.null_count}
    return table.to_pandas(
        types_mapper={k: v for k, v in _NULLABLE.items() if k in with_nulls}.get, ignore_metadata=True
    )


def without_arrow(values: pd.Series) -> pd.Series:
    """Convert a column that Arrow holds; any other is returned as it is.

    Examples
    --------
    >>> without_arrow(pd.Series([1, None], dtype="int8[pyarrow]")).dtype
    Int8Dtype()
    """
    if not isinstance(values.dtype, pd.ArrowDtype):
        return values
    column = plain_frame(pa.table({"values": pa.chunked_array(pa.array(values.array))}))["values"]
    return column.set_axis(values.index).rename(values.name)


def arrow_to_pandas(table: pa.Table, dtypes: Mapping[str, str]) -> pd.DataFrame:
    """Convert a part of a table so that its dtypes are those of the whole table, whatever this part holds."""
    table = _with_signed_codes(table)
    nullable = {pa_type for pa_type, dtype in _NULLABLE.items() if str(dtype) in dtypes.values()}
    frame = table.to_pandas(
        types_mapper={pa_type: _NULLABLE[pa_type] for pa_type in nullable}.get, ignore_metadata=True
    )
    other = {name: dtype for name, dtype in dtypes.items() if str(frame[name].dtype) != dtype}
    return frame.astype(other) if other else frame


def stored_schema(schema: pa.Schema) -> pa.Schema:
    """Choose a table's types by its first part.

    A column that is all null there says nothing of its type; text takes whatever comes later.
    """
    fields = [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in schema]
    return pa.schema([field.remove_metadata() for field in fields])


def _with_signed_codes(table: pa.Table) -> pa.Table:
    """Give categories, whose codes polars counts without a sign, the codes that Arrow before 23 can convert."""
    fields = [
        field.with_type(pa.dictionary(pa.int64(), field.type.value_type, field.type.ordered))
        if pa.types.is_dictionary(field.type) and pa.types.is_unsigned_integer(field.type.index_type)
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields)) if fields != list(table.schema) else table
