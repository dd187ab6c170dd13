"""Arrow tables as pandas frames whose dtypes do not depend on the part that is looked at."""

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

__all__ = ["arrow_to_pandas"]

_NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
}


def arrow_to_pandas(table: pa.Table, dtypes: Mapping[str, str]) -> pd.DataFrame:
    """Convert a part of a table so that its dtypes are those of the whole table, whatever this part holds."""
    nullable = {pa_type for pa_type, dtype in _NULLABLE.items() if str(dtype) in dtypes.values()}
    frame = table.to_pandas(
        types_mapper={pa_type: _NULLABLE[pa_type] for pa_type in nullable}.get, ignore_metadata=True
    )
    other = {name: dtype for name, dtype in dtypes.items() if str(frame[name].dtype) != dtype}
    return frame.astype(other) if other else frame
