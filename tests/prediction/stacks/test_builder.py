"""Children are gathered into stacks family by family; what cannot be stacked is said."""

import numpy as np
import pytest
from sklearn import tree
from stacked import built
from tree_samples import matrix, table

import metamodel
from metamodel.prediction.stacks import builder as building
from metamodel.prediction.stacks import trees


@pytest.fixture(autouse=True)
def _numba():
    pytest.importorskip("numba")


def test_without_numba_at_training_the_ledger_says_so(monkeypatch):
    monkeypatch.setattr(building, "kernel_available", lambda: False)
    result = metamodel.train(table(), "store", "y", estimator="decision_tree", n_jobs=1)
    assert (result.manifest.stacks, set(result.ledger["stack"])) == ((), {"numba is not installed, or does not work"})


def test_what_cannot_be_compared_is_left_to_the_children(monkeypatch):
    x = matrix(0)
    monkeypatch.setattr(trees, "finish", lambda *_: np.empty(0)[1])
    stacks, refused = built([tree.DecisionTreeRegressor().fit(x, x[:, 0])], [x])
    assert (stacks, refused['["0"]'].startswith("cannot be compared: IndexError")) == ([], True)
