"""One feature's column: its kind, and its values as training had them."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from metamodel.exceptions import InputError
from metamodel.tables.feature_columns import column_kind
from metamodel.tables.features import FeatureSchema


def schema_of(layout="frame", **columns):
    frame = pd.DataFrame(columns)
    return FeatureSchema(FeatureSchema.infer(frame, list(frame)).features, layout)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "number"),
        (pd.array([1, None], dtype="Int64"), "number"),
        ([Decimal("1.5"), None], "number"),
        (pd.Series([None, None], dtype=object), "number"),
        ([True, False], "boolean"),
        ([True, None], "boolean"),
        (["a", None], "string"),
        (pd.array(["a"], dtype="string"), "string"),
        (pd.Categorical(["a"]), "category"),
        (pd.to_datetime(["2026-01-01"]), "timestamp"),
        ([dt.date(2026, 1, 1)], "timestamp"),
        ([[1], [2]], "object"),
        ([1, "a"], "object"),
    ],
)
def test_the_kind_of_a_column_is_named(values, kind):
    assert column_kind(pd.Series(values)) == kind


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_single_precision_stays_single(dtype):
    frame = pd.DataFrame({"x": np.array([1.5], dtype=dtype)})
    assert FeatureSchema(FeatureSchema.infer(frame, ["x"]).features, "array").table(frame).values.dtype == np.float32


def test_mixed_precision_is_double():
    assert schema_of("array", a=np.float32([1]), b=np.float64([1])).matrix_dtype == np.float64


def test_complex_numbers_are_no_feature():
    with pytest.raises(InputError, match="no usable kind"):
        FeatureSchema.infer(pd.DataFrame({"z": [1 + 2j]}), ["z"])
