"""Parts of an Arrow table: their dtypes are those of the whole table, whatever a part holds."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from metamodel.common.background import Background
from metamodel.tables.arrow import arrow_to_pandas, write_parquet


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


def test_a_written_table_is_read_as_it_was_and_its_later_changes_are_not_in_the_file(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1, 2, 3], "x": [0.5, None, -0.0], "text": ["a", None, "b"], "maybe": [1, None, 3]})
    frame["maybe"] = frame["maybe"].astype("Int64")
    frame["kind"] = pd.Categorical(["u", "v", "u"])
    before = frame.copy()
    write_parquet(frame, tmp_path / "here.parquet", row_group_size=2)
    with Background() as background:
        write_parquet(frame, tmp_path / "there.parquet", row_group_size=2, background=background)
        frame.loc[:, "n"] = 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "here.parquet"), before)
    assert (tmp_path / "here.parquet").read_bytes() == (tmp_path / "there.parquet").read_bytes()
