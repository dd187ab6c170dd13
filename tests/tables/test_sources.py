"""Where a table comes from: memory, a built-in sample, a file; and what is none."""

from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from metamodel.datasets import load_sample
from metamodel.exceptions import InputError
from metamodel.tables.sources import read_source

FRAME = pd.DataFrame({"g": ["a", "b"], "x": [1, 2]})


def test_the_callers_own_table_is_taken_as_it_is() -> None:
    table, source = read_source(FRAME, ["g"])
    assert table is FRAME
    assert source == "DataFrame"


def test_a_file_is_read_and_named(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    FRAME.to_parquet(path)
    table, source = read_source(path, ["g"])
    assert_frame_equal(table, FRAME, check_dtype=False)
    assert source == str(path)


def test_a_sample_is_read_by_its_name() -> None:
    table, source = read_source("sales", [])
    assert_frame_equal(table, load_sample("sales"))
    assert source == "sample:sales"


@pytest.mark.parametrize("data", [None, 7, [1], {"g": ["a"]}], ids=repr)
def test_what_is_no_table_is_refused_with_what_is(data: object) -> None:
    with pytest.raises(
        InputError,
        match=r"^data is a \w+\. Give a DataFrame \(of pandas, polars, Arrow \.\.\.\), a path, or the name of",
    ):
        read_source(data, [])


def test_a_table_of_spark_is_left_to_spark() -> None:
    table = type("DataFrame", (), {"__module__": "pyspark.sql"})()
    with pytest.raises(InputError, match=r'which only Spark can read\. Train with engine="spark"'):
        read_source(table, [])
