"""What a named estimator is put behind: what the table and the estimator need, and nothing else."""

import numpy as np
import pandas as pd
import pytest
from named_estimators import NUMBERS, SCALED, Y, prepared, schema, transformed, wide
from scipy.sparse import issparse
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge

from metamodel.exceptions import InputError
from metamodel.fitting.estimators import NAMED, resolve


def test_a_name_stands_for_the_plain_class_where_that_takes_the_table():
    assert type(prepared("ridge", Ridge(), schema(NUMBERS), set())) is Ridge


@pytest.mark.parametrize("estimator", [Ridge(), HistGradientBoostingRegressor(max_iter=2)], ids=repr)
def test_texts_and_missing_numbers_are_prepared_for(estimator):
    frame = NUMBERS.assign(town=["a", "b", None, "a"], x=[0.0, np.nan, 2.0, 3.0])
    built = prepared("", estimator, schema(frame), {"x", "town"}).fit(frame, Y)
    new = frame.assign(town="never seen")
    assert np.isfinite(built.predict(new)).all()


def test_an_estimator_that_takes_missing_numbers_gets_them():
    frame = NUMBERS.assign(x=[0.0, np.nan, 2.0, 3.0])
    built = prepared("hist_gradient_boosting", HistGradientBoostingRegressor(), schema(frame), {"x"})
    assert type(built) is HistGradientBoostingRegressor


def test_a_timestamp_is_refused_for_a_name():
    frame = NUMBERS.assign(t=pd.Timestamp("2026-01-01"))
    with pytest.raises(InputError, match=r"'t' holds timestamps, .*take. Name it as .*time_column='t'\), derive num"):
        prepared("ridge", Ridge(), schema(frame), set())


@pytest.mark.parametrize("name", NAMED)
def test_names_that_go_by_the_units_of_features_are_scaled(name):
    task = "regression" if NAMED[name][0] else "classification"
    plain = resolve(name, {}, task, 0)
    built = prepared(name, plain, schema(NUMBERS), set(), task=task)
    steps = [type(step).__name__ for _, step in getattr(built, "steps", [("", built)])]
    assert steps == [*(["StandardScaler"] if name in SCALED else []), type(plain).__name__]


def test_a_column_of_more_than_a_hundred_levels_keeps_the_commonest():
    _, matrix = transformed("ridge", wide(levels=180), {"town": 180, "area": 2})
    assert matrix.shape == (400, 1 + 100 + 2)


def test_few_levels_make_a_dense_matrix_and_many_a_sparse_one_where_the_estimator_takes_it():
    frame = wide().assign(**{f"town{i}": wide(levels=90)["town"] for i in range(4)})
    many = dict.fromkeys([name for name in frame if name != "x"], 90)
    assert isinstance(transformed("lasso", wide(), {"town": 5, "area": 2})[1], np.ndarray)
    assert issparse(transformed("lasso", frame, many)[1])
    assert isinstance(transformed("bayesian_ridge", frame, many)[1], np.ndarray)


def test_histogram_boosting_splits_by_categories_itself():
    frame = wide(levels=300)
    built, matrix = transformed("hist_gradient_boosting", frame, {"town": 300, "area": 2})
    assert matrix.shape[1] == 3
    assert built[-1].is_categorical_.tolist() == [False, True, True]
    assert np.isfinite(built.predict(frame.assign(town="never seen", area=None))).all()
