"""Rows of the ledger as the report takes them."""

import numpy as np
import pandas as pd
import pytest

from metamodel.report.rows import floats, records

pytestmark = pytest.mark.tableless


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float64", "object"])
def test_what_is_missing_is_no_number(dtype: str) -> None:
    frame = pd.DataFrame({"n": pd.Series([1, None, 3], dtype=dtype)})
    found = floats(frame, "n")
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [1.0, np.nan, 3.0])


def test_each_row_is_a_dict_by_the_columns_names() -> None:
    frame = pd.DataFrame({"key": ["a", "b"], 7: [1.5, 2.5]}, index=[3, 3])
    assert records(frame) == [{"key": "a", "7": 1.5}, {"key": "b", "7": 2.5}]
