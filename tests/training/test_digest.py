"""The spec digest: all that decides what a group becomes is in it, the same in every process, and nothing else."""

import os
import subprocess
import sys

import numpy as np
import pytest
from places import IMPORTS
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor
from sklearn.linear_model import Lasso, Ridge, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from metamodel.fitting.spec import Candidate, FitSpec
from metamodel.training.digest import spec_digest
from metamodel.training.options import TrainingOptions


def options(**changes):
    return TrainingOptions.create(**({"group_by": ["store"], "target": "units"} | changes))


def digest(estimator=None, **changes):
    estimator = Ridge() if estimator is None else estimator
    spec = FitSpec("regression", (Candidate("a", estimator, "label", "{}"),))
    return spec_digest(options(**changes), spec, {"features": []})


@pytest.mark.parametrize("changes", [{"n_jobs": 2}, {"engine": "spark"}, {"unknown": "fallback"}], ids=repr)
def test_where_and_how_fast_the_work_is_done_does_not_change_the_digest(changes):
    assert digest(**changes) == digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"holdout": 0.3},
        {"min_rows": 3},
        {"target": "price"},
        {"random_state": 1},
        {"codec": "skops"},
        {"time_column": "t"},
        {"warm_start": True},
    ],
    ids=repr,
)
def test_every_decisive_option_changes_the_digest(changes):
    assert digest(**changes) != digest()


ESTIMATORS = [
    Ridge(),
    Ridge(alpha=2.0),
    Lasso(),
    RidgeCV(alphas=np.array([1.0, 2.0])),
    RidgeCV(alphas=np.array([1.0, 3.0])),
    BaggingRegressor(Ridge()),
    BaggingRegressor(Lasso()),
    make_pipeline(StandardScaler(), Ridge()),
    make_pipeline(MinMaxScaler(), Ridge()),
    make_pipeline(FunctionTransformer(np.log1p), Ridge()),
    make_pipeline(FunctionTransformer(np.sqrt), Ridge()),
    make_pipeline(FunctionTransformer(lambda x: x + 1), Ridge()),
    make_pipeline(FunctionTransformer(lambda x: x + 2), Ridge()),
    make_pipeline(FunctionTransformer(kw_args={"a": 1}), Ridge()),
    TransformedTargetRegressor(Ridge()),
    TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
    TransformedTargetRegressor(Ridge(), transformer=StandardScaler()),
]


def test_every_parameter_of_an_estimator_changes_the_digest():
    digests = [digest(estimator) for estimator in ESTIMATORS]
    assert len(set(digests)) == len(ESTIMATORS)


def test_the_digest_is_the_same_in_every_process():
    program = "import tests.training.test_digest as t; print(*[t.digest(estimator) for estimator in t.ESTIMATORS])"
    env = {**os.environ, "PYTHONPATH": IMPORTS}
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env, timeout=240
    )
    assert run.stdout.split() == [digest(estimator) for estimator in ESTIMATORS]


def _scaling(factor, *, by_default=1):
    return FunctionTransformer(lambda x: x * factor + by_default)


def test_the_digest_sees_what_a_function_encloses():
    assert digest(_scaling(2)) != digest(_scaling(3))
    assert digest(_scaling(2)) == digest(_scaling(2))
