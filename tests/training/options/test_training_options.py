"""Options of a training: checked when they are given, as a program or NumPy would give them."""

import numpy as np
import pandas as pd
import pytest

from metamodel.exceptions import InputError
from metamodel.training.options import TrainingOptions


def options(**changes):
    return TrainingOptions.create(**({"group_by": ["store"], "target": "units"} | changes))


def test_a_single_group_column_may_be_given_as_a_name():
    assert options(group_by="store").group_by == ("store",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unknown": "skip"}, r"unknown='skip' is unknown. Use one of: null, error, fallback"),
        ({"null_keys": "keep"}, r"null_keys='keep' is unknown. Use one of: error, group, drop"),
        ({"codec": "zip"}, r"codec='zip' is unknown. Use one of: cloudpickle, joblib, skops"),
        ({"group_by": []}, r"group_by is empty. Name at least one column"),
        ({"group_by": 7}, r"group_by=7 is no list of column names. Give one name or a list"),
        ({"group_by": ["a", 1]}, r"group_by=\['a', 1\] is no list of column names"),
        ({"group_by": ["a", "a"]}, r"group_by names a column twice: a, a. Name each once"),
        ({"group_by": ["units"]}, r"'units' is the target and a group column"),
        ({"time_column": "store"}, r"time_column 'store' is the target or a group column. Name a column of its own"),
        ({"time_column": "units"}, r"time_column 'units' is the target or a group column"),
        ({"holdout": 1}, r"holdout=1 is no share of the rows. Use a number from 0"),
        ({"holdout": -0.1}, r"holdout=-0.1 is no share"),
        ({"holdout": "20%"}, r"holdout='20%' is no share"),
        ({"holdout": True}, r"holdout=True is no share"),
        ({"holdout": float("nan")}, r"holdout=nan is no share"),
        ({"min_rows": 0}, r"min_rows=0 is no row count. Use a whole number of at least 1"),
        ({"min_rows": 2.0}, r"min_rows=2.0 is no row count"),
        ({"n_jobs": 0}, r"n_jobs=0 is no process count. Use a positive number, or -1"),
        ({"n_jobs": -2}, r"n_jobs=-2 is no process count"),
        ({"random_state": -1}, r"random_state=-1 is no seed. Use a whole number"),
        ({"random_state": None}, r"random_state=None is no seed"),
        ({"warm_start": 1}, r"warm_start=1 is neither true nor false"),
    ],
    ids=repr,
)
def test_an_option_out_of_range_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        options(**changes)


def test_numpy_numbers_are_taken_for_options():
    options = TrainingOptions.create("g", target="y", min_rows=np.int64(5), holdout=np.float32(0.25))
    assert options.min_rows == 5
    assert options.holdout == 0.25


def test_a_seed_that_numpy_would_refuse_is_refused():
    with pytest.raises(InputError, match=r"random_state=8589934592 is no seed.*2\*\*32"):
        TrainingOptions.create("g", target="y", random_state=2**33)


def test_a_target_that_is_no_name_is_refused():
    with pytest.raises(InputError, match=r"target=\['y'\] is no column name"):
        TrainingOptions.create("g", target=["y"])


@pytest.mark.parametrize("role", ["time_column", "sample_weight", "split_groups"])
@pytest.mark.parametrize("values", [pd.Series([1.0, 2.0]), np.ones(3), [1.0, 2.0]], ids=["Series", "ndarray", "list"])
def test_values_in_the_place_of_a_columns_name_are_refused_without_showing_them(role, values):
    with pytest.raises(InputError, match=rf"^{role} is a {type(values).__name__}, and no column name\. Put the values"):
        TrainingOptions.create("store", target="units", **{role: values})
