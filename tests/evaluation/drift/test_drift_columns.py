import numpy as np
import pandas as pd
import pytest

from metamodel.evaluation.drift.drift_columns import DriftColumns, functions_of_time

pytestmark = pytest.mark.tableless


def test_a_column_that_varies_within_a_moment_is_no_function_of_time() -> None:
    times = np.array([1, 1, 2, 2])
    columns = DriftColumns.of({"week": [1, 1, 2, 2], "price": [1, 2, 3, 3], "rate": [1, 1, 1, 1], "gap": [None] * 4})
    assert functions_of_time(columns, times) == {"week"}


def test_timestamps_are_days_and_null_ones_missing() -> None:
    columns = DriftColumns.of({"day": pd.Series(["1970-01-02", None], dtype="datetime64[ns]").dt.tz_localize("UTC")})
    assert columns.values["day"][0] == 1.0
    assert np.isnan(columns.values["day"][1])
