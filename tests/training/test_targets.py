"""Targets are numbers or labels by what they hold, whatever dtype holds it."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from metamodel.exceptions import InputError
from metamodel.training.targets import is_quantity, read_target

WAITS = pd.Series(pd.to_timedelta([90, None, 30], unit="min"))


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([Decimal("1.5"), None, Decimal(4)]),
        pd.Series([1, None, 3], dtype=object),
        pd.Series([1.5, 2, None], dtype=object),
        pd.Series(np.array([1, 2], dtype="float16")),
        pd.Series([1, None], dtype="uint64[pyarrow]"),
        pd.Series([Decimal(1)], dtype=pd.ArrowDtype(pa.decimal128(5, 1))),
        WAITS,
        WAITS.astype("duration[ms][pyarrow]"),
    ],
    ids=lambda values: str(values.dtype),
)
def test_numbers_and_durations_are_quantities(values):
    assert is_quantity(values)
    read = read_target(values, "regression").values
    assert (read.dtype, np.isnan(read).tolist()) == (np.float64, values.isna().tolist())


@pytest.mark.parametrize("values", [["1"], [True, None], pd.Categorical([1, 2]), pd.to_datetime(["2026-01-01"])])
def test_texts_booleans_categories_and_times_are_none(values):
    assert not is_quantity(pd.Series(values))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("held_by", ["pandas", "arrow", "objects"])
def test_durations_are_nanoseconds_whatever_their_unit(unit, held_by):
    waits = WAITS.dt.as_unit(unit)
    held = {"pandas": waits, "arrow": waits.astype(f"duration[{unit}][pyarrow]"), "objects": waits.astype(object)}
    read = read_target(held[held_by], "regression")
    assert read.values[[0, 2]].tolist() == [5.4e12, 1.8e12]
    assert np.isnan(read.values[1])
    assert read.convert(held[held_by])[[0, 2]].tolist() == [5.4e12, 1.8e12]


def test_complex_numbers_are_no_target():
    with pytest.raises(InputError, match="'z' holds complex numbers, which no estimator takes"):
        read_target(pd.Series([1j, 2j], name="z"), "regression")


def test_labels_beyond_64_bits_are_refused():
    with pytest.raises(InputError, match=r"labels beyond 64-bit integers \(from 3 to 9223372036854775813\)"):
        read_target(pd.Series([3, 2**63 + 5], dtype="uint64", name="id"), "classification")
