"""A count file holds what was counted; anything else is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metamodel.evaluation.drift.bins import SLOTS
from metamodel.evaluation.drift.time_functions import TimeFunctions
from metamodel.evaluation.drift.window_counts import TOTALS, WindowCounts
from metamodel.exceptions import InputError
from metamodel.prediction_log.count_files import is_count_file, read_counts, write_counts

COUNTS = WindowCounts(
    ('["FR",1]', '["FR",2]'),
    np.array([2**64 - 1, 0], dtype=np.uint64),
    ("price", "(prediction)"),
    np.arange(4 * SLOTS).reshape(2, 2, SLOTS),
    np.arange(2 * len(TOTALS)).reshape(2, -1),
    TimeFunctions(np.array([1.5, 2.0]), {"week": np.array([3, 4])}, repeated=True),
    {"price": 3},
    ("stock",),
    "2026-11-23",
)


def test_a_count_file_holds_what_was_counted(tmp_path: Path) -> None:
    write_counts(COUNTS, tmp_path / "counts.parquet")
    read = read_counts(tmp_path / "counts.parquet")
    for name in ("keys", "columns", "of_time", "unreadable", "absent", "window"):
        assert getattr(read, name) == getattr(COUNTS, name)
    assert read.of_time == {"week"}
    for name in ("bins", "counts", "totals"):
        np.testing.assert_array_equal(getattr(read, name), getattr(COUNTS, name))


def test_some_columns_are_read_without_the_others(tmp_path: Path) -> None:
    write_counts(COUNTS, tmp_path / "counts.parquet")
    read = read_counts(tmp_path / "counts.parquet", ["(prediction)", "stock"])
    assert read.columns == ("(prediction)",)
    np.testing.assert_array_equal(read.counts[:, 0], COUNTS.counts[:, 1])


def test_counts_of_no_group_are_counts(tmp_path: Path) -> None:
    nobody = WindowCounts((), COUNTS.bins[:0], COUNTS.columns, COUNTS.counts[:0], COUNTS.totals[:0])
    write_counts(nobody, tmp_path / "counts.parquet")
    assert read_counts(tmp_path / "counts.parquet").counts.shape == (0, 2, SLOTS)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"key": ["a"]}).to_csv(tmp_path / "counts.csv")
    pq.write_table(pa.table({"key": ["a"]}), tmp_path / "counts.parquet")
    assert not any(map(is_count_file, tmp_path.iterdir()))
    with pytest.raises(InputError, match="holds no counts of a window"):
        read_counts(tmp_path / "counts.parquet")
