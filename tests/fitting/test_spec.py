"""What is asked for, as frozen values: a fresh copy of an estimator for every group, and what single groups do else."""

import pickle

import numpy as np
import pytest
from children import Duck
from sklearn.base import clone
from sklearn.ensemble import BaggingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from metamodel.fitting.spec import Candidate, FitSpec

X = np.random.default_rng(0).normal(size=(20, 2))
Y = X @ [3.0, -1.0]


def candidate(name, estimator):
    return Candidate(name, estimator, type(estimator).__name__, "{}")


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(Ridge(alpha=3.0), id="plain"),
        pytest.param(make_pipeline(StandardScaler(), BaggingRegressor(Ridge(alpha=3.0), random_state=0)), id="nested"),
        pytest.param(make_pipeline(FunctionTransformer(lambda x: x + 1), Ridge()), id="lambda"),
        pytest.param(Duck(shift=2.0), id="foreign"),
    ],
)
def test_every_group_gets_an_unfitted_copy_of_its_own_with_the_same_parameters(estimator):
    asked = candidate("it", estimator)
    first = asked.unfitted().fit(X, Y)
    second = asked.unfitted()
    assert first is not second is not estimator
    assert not any(name.endswith("_") for name in vars(second))
    assert (
        first.predict(X).tolist()
        == second.fit(X, Y).predict(X).tolist()
        == clone(estimator).fit(X, Y).predict(X).tolist()
    )


def test_what_an_override_says_rules_its_own_group_alone():
    own = FitSpec("regression", (candidate("a", Ridge(2.0)),), min_rows=9)
    spec = FitSpec("regression", (candidate("b", Ridge()),), overrides={("FR", 1): own})
    assert (spec.of(("FR", 1)), spec.of(("FR", 2)), spec.of(())) == (own, spec, spec)


def test_candidates_of_overrides_stand_behind_those_of_all_groups():
    own = FitSpec("regression", (candidate("a", Ridge()), candidate("c", Ridge())))
    spec = FitSpec("regression", (candidate("b", Ridge()),), overrides={("FR", 1): own})
    assert [one.name for one in spec.every_candidate] == ["b", "a", "c"]


def test_a_spec_travels_to_other_processes():
    asked = candidate("it", Ridge(alpha=3.0))
    asked.unfitted()
    (arrived,) = pickle.loads(pickle.dumps(FitSpec("regression", (asked,)))).candidates
    assert arrived.unfitted().alpha == 3.0
