"""The weight column as numbers."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from metamodel.exceptions import InputError
from metamodel.tables.weights import row_weights


@pytest.mark.parametrize("values", [[1, 0, 2], [1.0, 0.0, 2.0], [Decimal(1), Decimal(0), Decimal(2)]])
def test_numbers_of_every_form_are_weights(values):
    assert row_weights(pd.Series(values, name="w")).tolist() == [1.0, 0.0, 2.0]


@pytest.mark.parametrize(
    ("values", "first"), [([1.0, -0.5], "-0.5"), ([1.0, np.nan], "nan"), ([1.0, np.inf], "inf"), ([1, None], "nan")]
)
def test_a_weight_that_is_none_is_one_clear_line(values, first):
    message = rf"^Weight column 'w' has 1 value missing, infinite or below 0 \(first: {first}\). Correct or remove"
    with pytest.raises(InputError, match=message):
        row_weights(pd.Series(values, name="w"))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("heavy", "string"),
        (pd.Timestamp("2024-01-01"), "datetime64"),
        (pd.Timedelta(1, "D"), "timedelta64"),
        (1j, "complex"),
    ],
)
def test_what_is_no_number_is_no_weight(value, kind):
    message = f"Weight column 'w' holds {kind} values, which are no weights. Name a column"
    with pytest.raises(InputError, match=message):
        row_weights(pd.Series([value, value], name="w"))
