import numpy as np
import pandas as pd
import pytest

from metamodel.evaluation.drift.drift_columns import DriftColumns

pytestmark = pytest.mark.tableless


def test_timestamps_are_days_and_null_ones_missing() -> None:
    columns = DriftColumns.of({"day": pd.Series(["1970-01-02", None], dtype="datetime64[ns]").dt.tz_localize("UTC")})
    assert columns.values["day"][0] == 1.0
    assert np.isnan(columns.values["day"][1])
