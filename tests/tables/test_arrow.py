"""Parts of an Arrow table: their dtypes are those of the whole table, whatever a part holds."""

import pandas as pd
import pyarrow as pa
import pytest

from metamodel.tables.arrow import arrow_to_pandas


@pytest.mark.parametrize("values", [[1, 2], [1, None], [None, None], []])
def test_nullable_integers_stay_so_in_every_part(values: list[int | None]) -> None:
    table = pa.table({"x": pa.array(values, type=pa.int64())})
    frame = arrow_to_pandas(table, {"x": "Int64"})
    assert str(frame["x"].dtype) == "Int64"
    assert frame["x"].tolist() == pd.array(values, dtype="Int64").tolist()


def test_integers_that_are_plain_in_the_whole_table_stay_plain() -> None:
    table = pa.table({"x": pa.array([1, 2], type=pa.int64()), "y": pa.array([1.5, None])})
    frame = arrow_to_pandas(table, {"x": "int64", "y": "float64"})
    assert frame.dtypes.astype(str).to_dict() == {"x": "int64", "y": "float64"}
