"""What Optuna is given and gives back."""

import json
import sys

import pytest
from children import FailsAbove
from searches import group_of, searched, spec_of
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from threadpoolctl import threadpool_limits

from metamodel.exceptions import InputError
from metamodel.fitting.fit import fit_group
from metamodel.fitting.tuning import Search, require_optuna

pytestmark = pytest.mark.tableless


@pytest.fixture(autouse=True)
def _one_thread():
    """Several threads wait for one another longer than these small fits take."""
    with threadpool_limits(1):
        yield


def test_choice_of_tuples_stays_one_whatever_its_parents_best_went_through():
    choices = {"feature_range": [(0, 2), (0, 1), (0, 3)]}
    scaled = make_pipeline(MinMaxScaler(), Ridge())
    space = {f"minmaxscaler__{name}": values for name, values in choices.items()}
    first = json.loads(json.dumps({"child": {"minmaxscaler__feature_range": (0, 3)}}))
    outcome = fit_group(group_of(), spec_of(scaled, space, trials=1), Search(first=first))
    assert outcome.reason == ""
    assert outcome.tuning[0]["trials"] - outcome.tuning[0]["failed"] == 1
    spec = spec_of(FailsAbove(level=0.7), {"level": [(0.9,), 0.25]}, trials=1)
    assert searched(group_of(), spec, Search(first={"child": {"level": 0.25}}))[0].params == {"level": 0.25}


def test_missing_optuna_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"Run: pip install optuna pyyaml"):
        require_optuna()
