"""From scores to answers as scikit-learn does it: labels, ties, probabilities, and classes that a child has not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from metamodel.prediction.stacks.link_functions import finish, is_close_call

pytestmark = pytest.mark.tableless

ABC = ("a", "b", "c")
SCORES = st.lists(st.tuples(*[st.floats(-700, 700)] * 3), min_size=1, max_size=8)


def columns(rows):
    return np.array(rows, dtype=np.float64).T.copy()


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=8))
def test_numbers_are_scores_or_their_exponentials(scores):
    assert finish("identity", np.array([scores]), None, (), False)[0].tolist() == scores
    assert finish("log", np.array([scores]), None, (), False)[0].tolist() == np.exp(scores).tolist()


@given(SCORES)
def test_classes_share_by_softmax_and_the_largest_score_wins(rows):
    labels, probabilities = finish("classes", columns(rows), None, ABC, True)
    np.testing.assert_allclose(probabilities, softmax(rows, axis=1), rtol=1e-12, atol=1e-300)
    assert labels.tolist() == [ABC[int(np.argmax(row))] for row in rows]


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=8))
def test_a_single_score_is_that_of_the_second_class(scores):
    labels, probabilities = finish("classes", np.array([scores]), None, ("no", "yes"), True)
    assert labels.tolist() == ["yes" if score > 0 else "no" for score in scores]
    np.testing.assert_allclose(probabilities, np.stack([1 - expit(scores), expit(scores)], axis=1), rtol=1e-15)


@pytest.mark.parametrize(("link", "winner"), [("classes", "a"), ("classes_up", "c"), ("labels", "a"), ("ovr", "a")])
def test_of_equal_scores_the_first_class_wins_or_the_last_where_the_link_says_so(link, winner):
    assert finish(link, columns([[2.0, 1.0, 2.0]]), None, ABC, False)[0].tolist() == [winner]
    binary = finish(link, np.array([[0.0]]), None, ("a", "c"), False)[0].tolist()
    assert binary == ["c" if link == "classes_up" else "a"]


@given(SCORES)
def test_one_against_the_rest_brings_sigmoids_to_sum_one(rows):
    _, probabilities = finish("ovr", columns(rows), None, ABC, True)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
    sigmoids = expit(rows)
    some = sigmoids.sum(axis=1) > 0
    expected = sigmoids[some] / sigmoids[some].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities[some], expected, rtol=1e-12)


def test_where_every_sigmoid_is_zero_all_classes_are_alike():
    _, probabilities = finish("ovr", columns([[-1e6] * 3]), None, ABC, True)
    assert probabilities.tolist() == [[1 / 3] * 3]


@pytest.mark.parametrize("link", ["classes", "classes_up", "ovr", "shares"])
def test_a_class_that_a_child_has_not_gets_nothing(link):
    known = np.array([[True, True], [True, False], [False, True]])
    labels, probabilities = finish(link, columns([[0.25, 0.75, 9.0], [0.25, 9.0, 0.75]]), known, ABC, True)
    assert labels.tolist() == ["b", "c"]
    assert [probabilities[0, 2], probabilities[1, 1]] == [0, 0]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)


def test_shares_are_probabilities_as_they_are():
    labels, probabilities = finish("shares", columns([[0.1, 0.7, 0.2]]), None, ABC, True)
    assert (labels.tolist(), probabilities.tolist()) == (["b"], [[0.1, 0.7, 0.2]])
    labels, probabilities = finish("shares", np.array([[1.0, 1.0]]), None, ("only",), True)
    assert (labels.tolist(), probabilities.tolist()) == (["only"] * 2, [[1.0], [1.0]])


def test_probabilities_of_32_bit_numbers_are_such_numbers():
    scores = np.array([[0.25, -3.0]], dtype=np.float32)
    _, probabilities = finish("classes_single", scores, None, ("no", "yes"), True)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities[:, 1], expit([0.25, -3.0]), rtol=1e-6)


def test_probabilities_are_not_made_where_nobody_asks_for_them():
    assert finish("classes", columns([[1.0, 2.0, 3.0]]), None, ABC, False)[1] is None


def test_labels_keep_their_own_type():
    labels, _ = finish("labels", columns([[1.0, 2.0, 0.0]]), None, (3, 5, 7), False)
    assert (labels.tolist(), type(labels[0])) == ([5], int)


@pytest.mark.parametrize(
    ("scores", "close"),
    [
        ([[1e-6, -1e-6, 1e-3, -5.0]], [True, True, False, False]),
        ([[1.0, 1.0], [1.0 + 1e-6, 2.0], [0.0, 0.0]], [True, False]),
        ([[0.0], [3.0], [3.0 - 1e-6]], [True]),
    ],
)
def test_a_call_is_close_where_rounding_may_turn_it(scores, close):
    assert is_close_call(np.array(scores)).tolist() == close
