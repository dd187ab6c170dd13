"""Estimators: names, paths, classes and objects lead to one unfitted estimator, or to one clear line."""

import pytest
from children import Duck, NeedsScale
from sklearn.ensemble import BaggingRegressor, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metamodel.exceptions import InputError, UnknownEstimator
from metamodel.fitting.estimators import NAMED, resolve, task_of


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
