"""A filled template is the pickle of the child with these numbers, to the byte."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metamodel.bundle.canonical_pickle import dumps
from metamodel.bundle.pickle_template import PickleTemplate

pytestmark = pytest.mark.tableless


def _holders(child):
    scaler, model = child[0], child[-1]
    of_scaler = {name: (scaler, name) for name in ("mean_", "var_", "scale_", "n_samples_seen_")}
    return of_scaler | {name: (model, name) for name in ("coef_", "intercept_")}


def _fitted(seed, rows):
    rng = np.random.default_rng(seed)
    return make_pipeline(StandardScaler(), Ridge()).fit(rng.normal(size=(rows, 3)), rng.normal(size=rows))


def test_children_of_scikit_learn_are_written_to_the_byte():
    children = [_fitted(seed, 10 + seed) for seed in range(4)]
    numbers = {
        name: np.array([getattr(*_holders(child)[name]) for child in children]) for name in _holders(children[0])
    }
    example = _fitted(9, 12)
    assert PickleTemplate(example, _holders(example)).fill(numbers) == [dumps(child) for child in children]


def test_numbers_that_stand_twice_in_a_pickle_are_refused():

    class Twice:
        coef_ = np.zeros(2)

        def __reduce__(self):
            return dict, (), None, None, iter({"one": self.coef_.copy(), "two": self.coef_.copy()}.items())

    one = Twice()
    with pytest.raises(ValueError, match="coef_ stands 2 times in the pickle"):
        PickleTemplate(one, {"coef_": (one, "coef_")})


def test_numbers_are_read_from_pickles_that_differ_in_nothing_else():
    children = [_fitted(seed, 10 + seed) for seed in range(4)]
    children[2][-1].alpha = 2.0
    example = _fitted(9, 12)
    template = PickleTemplate(example, _holders(example))
    alike, numbers = template.read([dumps(child) for child in children])
    assert alike.tolist() == [True, True, False, True]
    for name, values in numbers.items():
        expected = [getattr(*_holders(child)[name]) for child in (children[0], children[1], children[3])]
        assert np.array_equal(values, np.array(expected)), name
    alike, numbers = template.read([dumps(child) + b"." for child in children])
    assert (alike.any(), numbers) == (np.False_, {})
