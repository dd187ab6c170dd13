"""Search spaces: every way to write one, and one clear line for every way to get it wrong."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from named_estimators import NUMBERS, SCALED, prepared, schema
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metamodel.exceptions import InputError
from metamodel.fitting.estimator_info import label_and_params
from metamodel.fitting.estimators import NAMED, resolve
from metamodel.fitting.spec import Candidate
from metamodel.fitting.tuning import BUILT_IN, Dimension, read_space, spaces_of
from metamodel.fitting.tuning.spaces import parameter_path
from metamodel.training.options import TrainingOptions

pytestmark = pytest.mark.tableless

RANGE = {"ridge": {"alpha": {"low": 0.01, "high": 100, "log": True}}}
ALPHA = Dimension("float", 0.01, 100, log=True)


def candidate(name="ridge", estimator=None):
    estimator = Ridge() if estimator is None else estimator
    return Candidate(name, estimator, *label_and_params(estimator))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("space.yaml", "ridge:\n  alpha: {low: 1e-2, high: 100, log: true}\n"),  # 1e-2 is a text in YAML
        ("space.yml", "ridge: {alpha: {low: 0.01, high: 100, log: true}}"),
        ("space.json", json.dumps(RANGE)),
    ],
)
def test_file_says_what_python_says(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    for given_as in (path, str(path)):
        assert spaces_of(read_space(given_as), [candidate()]) == {"ridge": {"alpha": ALPHA}}
    assert spaces_of(read_space({"ridge": {"alpha": (np.float64(0.01), 100, "log")}}), [candidate()]) == {
        "ridge": {"alpha": ALPHA}
    }


def test_whole_ends_make_whole_numbers_and_a_list_makes_a_choice():
    space = read_space({"forest": {"max_depth": (2, 12), "max_features": [0.5, "sqrt", None]}})
    forest = resolve("random_forest", None, "regression", 0)
    assert spaces_of(space, [candidate("forest", forest)])["forest"] == {
        "max_depth": Dimension("int", 2, 12),
        "max_features": Dimension("category", choices=(0.5, "sqrt", None)),
    }


@pytest.mark.parametrize("off", [None, False, ""])
def test_nothing_is_tuned_by_default(off):
    assert read_space(off) is None


def test_auto_tunes_the_candidates_with_a_built_in_space():
    candidates = [candidate(), candidate("linear_regression", LinearRegression())]
    assert list(spaces_of(read_space(True), candidates)) == ["ridge"]
    assert spaces_of(read_space({"ridge": "auto"}), candidates) == spaces_of("auto", candidates)


def test_last_step_of_a_pipeline_needs_no_prefix():
    pipeline = make_pipeline(StandardScaler(), Ridge())
    space = read_space({"scaled": {"alpha": (0.1, 1.0), "standardscaler__with_mean": [True, False]}})
    assert set(spaces_of(space, [candidate("scaled", pipeline)])["scaled"]) == {"alpha", "standardscaler__with_mean"}


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_built_in_space_names_parameters_that_the_estimators_have(name):
    tasks = [task for task, path in zip(("regression", "classification"), NAMED[name], strict=True) if path]
    for task in tasks:
        assert spaces_of("auto", [candidate(name, resolve(name, None, task, 0))])[name]


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        ({"lasso": {"alpha": (1, 2)}}, r"names 'lasso', which is no candidate\. Candidates: 'ridge'"),
        ({"ridge": {"alpa": (1, 2)}}, r"names 'alpa', which is no parameter of Ridge\. Did you mean 'alpha'"),
        ({"ridge": {"depth": (1, 2)}}, r"names 'depth', which is no parameter of Ridge\. It has: alpha, "),
        ({"ridge": {"alpha": (2, 1)}}, r"ridge\.alpha is an empty range .* Give low <= high"),
        ({"ridge": {"alpha": []}}, r"ridge\.alpha=\[\] leaves no value to try"),
        ({"ridge": {"alpha": (0, 1, "log")}}, r"ridge\.alpha cannot be a log range .* above 0"),
        ({"ridge": {"alpha": (1, 2, 3)}}, r"ridge\.alpha=\(1, 2, 3\) is no range"),
        ({"ridge": {"alpha": {"low": 1}}}, r"ridge\.alpha has no number as 'high'"),
        ({"ridge": {"alpha": {"low": "small", "high": 2}}}, r"ridge\.alpha has no number as 'low'"),
        ({"ridge": {"alpha": {"low": 1, "high": 2, "max": 3}}}, r"ridge\.alpha has 'max', which no range has"),
        ({"ridge": {"alpha": {"low": 1, "high": 2, "log": 1}}}, r"ridge\.alpha\.log=1 is neither true nor false"),
        ({"ridge": {"alpha": 3}}, r"ridge\.alpha=3 is neither a range nor a list"),
        (
            {"ridge": {"solver": ["svd", Ridge()]}},
            r"ridge\.solver lists Ridge\(\), which JSON cannot hold\. List numbers",
        ),
        ({"ridge": {}}, r"search space of 'ridge' is \{\}, no mapping"),
        ({}, r"search space 'tune' is \{\}, no mapping"),
        (3, r"search space 'tune' is 3, no mapping"),
        ("grid", r"tune='grid' is neither 'auto' nor a \.yaml, \.yml or \.json file"),
        ("missing.yaml", r"'missing\.yaml' cannot be read .*No such file"),
    ],
)
def test_wrong_space_is_one_clear_line(tune, message):
    with pytest.raises(InputError, match=message) as caught:
        spaces_of(read_space(tune), [candidate()])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"), [("a.yaml", "ridge: {alpha: [1, 2"), ("a.json", "{ridge"), ("b.yaml", "[1]")]
)
def test_malformed_file_is_one_clear_line(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=r"malformed|no mapping") as caught:
        read_space(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_estimator_without_a_built_in_space_asks_for_one():
    linear = candidate("linear_regression", LinearRegression())
    with pytest.raises(InputError, match="no built-in space for 'linear_regression'"):
        spaces_of("auto", [linear])
    with pytest.raises(InputError, match="no built-in search space for 'linear_regression'"):
        spaces_of({"linear_regression": "auto"}, [linear])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tune": "auto", "trials": 0}, "trials=0 is no number of trials"),
        ({"tune": "auto", "trials": 2.5}, "trials=2.5 is no number of trials"),
        ({"tune": "auto", "patience": -1}, "patience=-1 is no number of trials"),
        ({"tune": "auto", "tune_seconds": 0}, "tune_seconds=0 is no time limit"),
        ({"tune": "auto", "budget_seconds": "long"}, "budget_seconds='long' is no time limit"),
        ({"tune": "auto", "budget_seconds": float("nan")}, "budget_seconds=nan is no time limit"),
        ({"budget_seconds": 60}, "budget_seconds=60 limits a search that is not asked for"),
    ],
)
def test_wrong_limit_is_one_clear_line(options, message):
    with pytest.raises(InputError, match=message):
        TrainingOptions.create("g", target="y", **options)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.booleans())
def test_every_range_is_taken_as_written_or_refused(low, high, log):
    space = read_space({"ridge": {"alpha": {"low": low, "high": high, "log": log}}})
    if low > high:
        with pytest.raises(InputError, match="empty range"):
            spaces_of(space, [candidate()])
    else:
        assert spaces_of(space, [candidate()])["ridge"]["alpha"] == Dimension("float", low, high, log=log)


@pytest.mark.parametrize("name", SCALED)
def test_a_space_for_a_name_holds_behind_the_scaler_too(name):
    task = "regression" if NAMED[name][0] else "classification"
    plain = resolve(name, None, task, 0)
    scaled = prepared(name, resolve(name, None, task, 0), schema(NUMBERS), set(), task=task)
    parameter = next(iter(BUILT_IN[name])) if name in BUILT_IN else "tol"
    space = read_space({name: {parameter: [1, 2]}})
    assert spaces_of(space, [candidate(name, scaled)]) == spaces_of(space, [candidate(name, plain)])
    path = parameter_path(scaled, parameter)
    assert path == f"{scaled.steps[-1][0]}__{parameter}"
    assert scaled.set_params(**{path: 2})[-1].get_params()[parameter] == 2
