"""Children that are read many at a time have the forms and the answers that they have alone."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metamodel.bundle.codecs import get_codec
from metamodel.bundle.shards import ShardRow
from metamodel.prediction.child import predictions
from metamodel.prediction.stacks.linear_reader import linear_form
from metamodel.training import alike_children
from metamodel.training.alike_children import answers_of_alike

pytestmark = pytest.mark.tableless

CODEC = get_codec("cloudpickle")


class OtherRidge(Ridge):
    """Answers otherwise."""

    def predict(self, X):
        return super().predict(X) + 1


def _children(estimator, number=30):
    rng = np.random.default_rng(0)
    children, samples = {}, {}
    for i in range(number):
        x = rng.normal(size=(3 + i % 9, 3))
        children[f"[{i}]"] = (
            make_pipeline(*estimator).fit(x, rng.normal(size=len(x)))
            if isinstance(estimator, tuple)
            else type(estimator)(**estimator.get_params()).fit(x, rng.normal(size=len(x)))
        )
        samples[f"[{i}]"] = np.vstack([x, [[np.nan, 0, 0]]])
    return children, samples


def _rows(children, codec=CODEC):
    return [ShardRow.of_child(key, 1, "", codec.dumps(child), 1) for key, child in children.items()]


@pytest.mark.parametrize(
    "estimator",
    [
        Ridge(),
        Ridge(fit_intercept=False),
        LinearRegression(),
        (StandardScaler(), Ridge()),
        (StandardScaler(), LinearRegression()),
    ],
    ids=repr,
)
def test_forms_and_answers_are_those_of_each_child(estimator):
    children, samples = _children(estimator)
    answered = answers_of_alike(_rows(children), samples, CODEC)
    assert len(answered) >= 16
    for key, one in answered.items():
        form = linear_form(children[key], 3)
        assert one.x.tobytes() == samples[key][:-1].tobytes()
        assert one.predicted.tobytes() == predictions(children[key], one.x).tobytes()
        assert (one.form.signature, one.form.classes) == (form.signature, form.classes)
        for name in ("slope", "intercept", "centre"):
            assert np.array_equal(getattr(one.form, name), getattr(form, name))
            if name != "centre" or form.centre is not None:
                assert getattr(one.form, name).dtype == np.float64


def test_a_child_that_is_not_alike_is_left_to_be_loaded():
    children, samples = _children(Ridge())
    children["[3]"].alpha = 2.0
    children["[7]"].coef_ = np.zeros(4)
    assert set(answers_of_alike(_rows(children), samples, CODEC)) == set(children) - {"[3]", "[7]"}


def test_other_classes_few_children_and_other_codecs_are_left_to_be_loaded():
    children, samples = _children(OtherRidge())
    assert answers_of_alike(_rows(children), samples, CODEC) == {}
    children, samples = _children(Ridge(), 5)
    assert answers_of_alike(_rows(children), samples, CODEC) == {}
    children, samples = _children(Ridge())
    joblib = get_codec("joblib")
    assert answers_of_alike(_rows(children, joblib), samples, joblib) == {}


def test_a_child_that_answers_otherwise_leaves_all_to_be_loaded(monkeypatch):
    children, samples = _children(Ridge())
    monkeypatch.setattr(alike_children, "predictions", lambda child, x: np.nextafter(predictions(child, x), np.inf))
    assert answers_of_alike(_rows(children), samples, CODEC) == {}


def test_children_without_a_complete_row_are_left_out():
    children, samples = _children(Ridge())
    samples["[2]"] = np.full((2, 3), np.nan)
    assert set(answers_of_alike(_rows(children), samples, CODEC)) == set(children) - {"[2]"}
