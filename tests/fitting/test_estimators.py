"""Estimators: names, paths, classes and objects lead to one unfitted estimator, or to one clear line."""

import numpy as np
import pandas as pd
import pytest
from children import Duck, NeedsScale
from scipy.sparse import issparse
from sklearn.ensemble import BaggingRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metamodel.exceptions import InputError, UnknownEstimator
from metamodel.fitting.estimators import NAMED, resolve, task_of
from metamodel.fitting.preprocessing import with_preprocessing
from metamodel.tables.features import FeatureSchema

NUMBERS = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "z": [1.0, 0.0, 1.0, 0.0]})
Y = np.array([0.0, 1.0, 2.0, 3.0])


def schema(frame):
    return FeatureSchema.infer(frame, list(frame))


@pytest.mark.parametrize("name", NAMED)
def test_every_name_stands_for_an_estimator_of_its_task(name):
    for task, path in zip(("regression", "classification"), NAMED[name], strict=True):
        if path is not None:
            built = resolve(name, None, task, random_state=0)
            assert (f"{path.rsplit('.', 1)[1]}", task_of(built, target_is_numeric=True)) == (type(built).__name__, task)


@pytest.mark.parametrize(
    ("estimator", "numeric", "task"),
    [
        ("random_forest", True, "regression"),
        ("random_forest", False, "classification"),
        ("ridge", False, "regression"),
        ("logistic_regression", True, "classification"),
        ("sklearn.linear_model.Lasso", False, "regression"),
        (LogisticRegression, True, "classification"),
        (make_pipeline(StandardScaler(), LogisticRegression()), True, "classification"),
        (GridSearchCV(Ridge(), {}), False, "regression"),
        pytest.param(Duck(), True, "regression", id="Duck()"),
        (Duck, False, "classification"),
    ],
    ids=repr,
)
def test_the_task_is_the_estimators_own_or_the_targets(estimator, numeric, task):
    assert task_of(estimator, target_is_numeric=numeric) == task


@pytest.mark.parametrize("estimator", ["children.NeedsScale", NeedsScale])
def test_a_class_is_built_with_its_parameters(estimator):
    params = {"scale": 2.0}
    assert task_of(estimator, True, params) == "regression"
    assert resolve(estimator, params, "regression", None).scale == 2.0


def test_an_object_is_cloned_and_never_changed():
    mine = make_pipeline(StandardScaler(), Ridge())
    built = resolve(mine, {"ridge__alpha": 7.0}, "regression", 0)
    assert (mine[-1].alpha, built[-1].alpha, built is mine) == (1.0, 7.0, False)


def test_every_unset_seed_is_set_and_no_other():
    built = resolve(BaggingRegressor(RandomForestRegressor(random_state=5)), None, "regression", random_state=3)
    assert (built.random_state, built.estimator.random_state) == (3, 5)


def test_without_a_seed_nothing_is_seeded():
    assert resolve("random_forest", None, "regression", None).random_state is None


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        ("rigde", r"There is no estimator named 'rigde'. Known names: .*ridge.* Or give a dotted path"),
        ("sklearn.linear_model.Rigde", r"'sklearn.linear_model.Rigde' cannot be imported \(.*Known names"),
        ("no.such.module.Model", r"'no.such.module.Model' cannot be imported \(No module named 'no'\)"),
        ("children.not_a_class", r"'children.not_a_class' is a int, not a class. Known names"),
        ("fractions.Fraction", r"fractions.Fraction has no method 'fit', so it is no estimator. Give"),
        (StandardScaler(), r"StandardScaler has no method 'predict', so it is no estimator. Give a scikit-learn style"),
        (42, r"A int is no estimator: scikit-learn cannot clone it. Give a name, a dotted path, or an object"),
        (None, r"A NoneType is no estimator"),
    ],
    ids=repr,
)
def test_what_is_no_estimator_is_refused(estimator, message):
    with pytest.raises(UnknownEstimator, match=message):
        resolve(estimator, None, "regression", 0)


def test_a_name_of_the_other_task_is_refused():
    with pytest.raises(
        InputError, match=r"'ridge' does not do classification. Choose another one, or convert the target"
    ):
        resolve("ridge", None, "classification", 0)


@pytest.mark.parametrize("estimator", ["ridge", Ridge(), Ridge, "sklearn.linear_model.Ridge"], ids=repr)
def test_a_parameter_that_does_not_exist_is_refused(estimator):
    with pytest.raises(InputError, match=r"Ridge (cannot be built with|does not take these parameters).*alhpa"):
        resolve(estimator, {"alhpa": 1}, "regression", 0)


# --- what a name is put behind


def prepared(name, estimator, features, missing, levels=None, task="regression"):
    return with_preprocessing(name, estimator, features, missing, levels or {}, task)


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


SCALED = ["elastic_net", "huber", "lasso", "logistic_regression", "nearest_neighbors", "poisson", "svm"]


@pytest.mark.parametrize("name", NAMED)
def test_names_that_go_by_the_units_of_features_are_scaled(name):
    task = "regression" if NAMED[name][0] else "classification"
    plain = resolve(name, {}, task, 0)
    built = prepared(name, plain, schema(NUMBERS), set(), task=task)
    steps = [type(step).__name__ for _, step in getattr(built, "steps", [("", built)])]
    assert steps == [*(["StandardScaler"] if name in SCALED else []), type(plain).__name__]


def wide(rows=400, levels=5):
    rng = np.random.default_rng(0)
    towns = [f"t{i:04}" for i in range(levels)]
    towns = rng.choice(towns, rows).astype(object)
    return pd.DataFrame({"x": rng.normal(size=rows) * 1000, "town": towns, "area": rng.choice(["a", "b"], rows)})


def transformed(name, frame, levels, task="regression", y=None):
    plain = resolve(name, {}, task, 0)
    built = prepared(name, plain, schema(frame), set(), levels, task)
    y = np.arange(len(frame)) % 7.0 if y is None else y
    return built.fit(frame, y), built[:-1].transform(frame)


def test_a_column_of_more_than_a_hundred_levels_keeps_the_commonest():
    _, matrix = transformed("ridge", wide(levels=180), {"town": 180, "area": 2})
    assert matrix.shape == (400, 1 + 100 + 2)


def test_few_levels_make_a_dense_matrix_and_many_a_sparse_one_where_the_estimator_takes_it():
    frame = wide().assign(**{f"town{i}": wide(levels=90)["town"] for i in range(4)})
    many = dict.fromkeys([name for name in frame if name != "x"], 90)
    assert isinstance(transformed("lasso", wide(), {"town": 5, "area": 2})[1], np.ndarray)
    assert issparse(transformed("lasso", frame, many)[1])
    assert isinstance(transformed("bayesian_ridge", frame, many)[1], np.ndarray)


@pytest.mark.parametrize("rows", [3, 400])
@pytest.mark.parametrize(("name", "task"), [("ridge", "regression"), ("logistic_regression", "classification")])
def test_very_many_levels_are_encoded_by_the_target_in_small_groups_too(name, task, rows):
    y = (np.arange(rows) % 2).astype(float if task == "regression" else int)
    built, matrix = transformed(name, wide(rows), {"town": 5000, "area": 2}, task, y)
    assert matrix.shape[1] <= 1 + 1 + 2
    assert np.isfinite(built.predict(wide(rows).assign(town="never seen"))).all()


def test_whole_numbers_as_a_target_are_no_classes_to_the_encoder():
    _, matrix = transformed("ridge", wide(), {"town": 5000, "area": 2}, y=np.arange(400) % 5.0)
    assert matrix.shape[1] == 1 + 2 + 1


def test_histogram_boosting_splits_by_categories_itself():
    frame = wide(levels=300)
    built, matrix = transformed("hist_gradient_boosting", frame, {"town": 300, "area": 2})
    assert matrix.shape[1] == 3
    assert built[-1].is_categorical_.tolist() == [False, True, True]
    assert np.isfinite(built.predict(frame.assign(town="never seen", area=None))).all()


# --- arrays or frames


# --- what the ledger says
