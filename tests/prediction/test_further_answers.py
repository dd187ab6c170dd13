"""What is asked of children beside their prediction: the model's columns, whoever answers."""

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from metamodel.exceptions import ChildFailed
from metamodel.prediction.further_answers import further_answers, further_columns

pytestmark = pytest.mark.tableless

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))


def labels(*names):
    return np.array(names)[np.arange(60) % len(names)]


def asked(child, method, classes=()):
    width = len(further_columns(method, classes, 3))
    return further_answers(child, X, method, classes, width)


def test_of_two_classes_one_column_is_the_score_of_the_second():
    child = LogisticRegression().fit(X, labels("no", "yes"))
    assert further_columns("decision_function", ("no", "yes"), 0) == ("decision_function",)
    assert asked(child, "decision_function", ("no", "yes"))[:, 0].tolist() == child.decision_function(X).tolist()


def test_each_of_several_classes_has_its_own_score_and_one_that_was_never_seen_none():
    child = SVC().fit(X, labels("ash", "fir", "oak"))
    scores = asked(child, "decision_function", ("ash", "elm", "fir", "oak"))
    assert np.isnan(scores[:, 1]).all()
    assert scores[:, [0, 2, 3]].tolist() == child.decision_function(X).tolist()


def test_a_child_of_two_of_several_classes_scores_both():
    child = LogisticRegression().fit(X, labels("ash", "oak"))
    classes = ("ash", "elm", "oak")
    scores = asked(child, "decision_function", classes)
    assert scores[:, 2].tolist() == child.decision_function(X).tolist()
    assert [classes[i] for i in np.nanargmax(scores, axis=1)] == child.predict(X).tolist()


def test_pairs_of_classes_are_no_score_of_a_class():
    child = SVC(decision_function_shape="ovo").fit(X, labels("a", "b", "c", "d"))
    with pytest.raises(ChildFailed, match=r"decision_function returned shape \(60, 6\) for 60 rows"):
        asked(child, "decision_function", ("a", "b", "c", "d"))


def test_fewer_columns_than_others_give_are_filled_with_nulls_and_more_are_refused():
    distances = asked(KMeans(2, n_init=1, random_state=0).fit(X), "transform")
    assert distances.shape == (60, 3)
    assert np.isnan(distances[:, 2]).all()
    assert np.isfinite(distances[:, :2]).all()
    child = KMeans(4, n_init=1, random_state=0).fit(X)
    with pytest.raises(ChildFailed, match=r"transform returned shape \(60, 4\)"):
        asked(child, "transform")


def test_tables_are_taken_for_their_values():
    child = KMeans(3, n_init=1, random_state=0).fit(X).set_output(transform="pandas")
    assert isinstance(child.transform(X), pd.DataFrame)
    assert asked(child, "transform").tolist() == child.transform(X).to_numpy().tolist()
