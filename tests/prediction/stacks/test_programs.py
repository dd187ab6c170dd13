"""Programs that hold many children: closed when they are large, and built again from what they say of themselves."""

import numpy as np
import pytest
from sklearn import linear_model, tree
from stacked import built
from tree_samples import matrix, table

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.prediction.stacks import load_program


@pytest.fixture(autouse=True)
def _numba():
    pytest.importorskip("numba")


@pytest.mark.parametrize("estimator", [linear_model.Ridge, tree.DecisionTreeRegressor])
def test_a_program_is_built_again_from_its_arrays_and_its_description(estimator):
    samples = [matrix(seed) for seed in range(3)]
    (stack,), _ = built([estimator().fit(x, x[:, 0] * (1 + i)) for i, x in enumerate(samples)], samples)
    program = stack.program
    again = load_program({"family": program.family, **program.describe()}, dict(program.arrays))
    columns, positions = list(np.concatenate(samples).T), np.repeat(np.arange(3), [len(x) for x in samples])
    given, expected = (one.answer(columns, positions, proba=False)[0] for one in (again, program))
    np.testing.assert_array_equal(given, expected)
    assert len(np.unique(expected)) > 3


def test_a_stack_is_closed_when_it_is_large(monkeypatch):
    monkeypatch.setattr("metamodel.prediction.stacks.programs._STACK_BYTES", 1)
    model = metamodel.train(table(), "store", "y", estimator="decision_tree", n_jobs=1)
    assert (len(model.manifest.stacks), set(model.ledger["stack"])) == (3, {""})
    opened = MetaModel(model.bundle_path)
    opened.predict(table())
    assert opened.stats()["rows_stacked"] == 180
