"""Blended answers are those of a loop over single rows; what a parent cannot answer is never answered by half."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from routes import CHILDREN, KEYS, REGRESSION, ROWS, Line, Store, frame_of, naive, simple

from metamodel.exceptions import CorruptBundle, TrainingFailed, UnknownGroup
from metamodel.prediction.answer_form import PredictOptions
from metamodel.prediction.blending import parents_asked
from metamodel.prediction.tally import Tally


class Gaps(Line):
    """Gives no number for x = 1."""

    def predict(self, x):
        return np.where(x[:, 0] == 1, np.nan, super().predict(x))


class Broken(Line):
    """Never predicts."""

    def predict(self, x):
        raise RuntimeError("no prediction today")


class Table:
    """Weights in a dict."""

    def __init__(self, weights):
        self.weights = weights

    def of(self, keys, columns):
        levels = [int(column.removeprefix("weight_")) for column in columns]
        rows = [self.weights.get(key, ()) for key in keys]
        return np.array(
            [[row[level] if level < len(row) else np.nan for level in levels] for row in rows], dtype=float
        ).reshape(len(keys), len(columns))


def predict(frame, weights, children=CHILDREN, **options):
    table = None if weights is None else Table(weights)
    return REGRESSION.predict(frame, Store(children), PredictOptions(**options), weights=table)


def blended_naively(frame, children, weights, unknown):
    answers = []
    levels = {"child": 2, "parent:1": 1, "global": 0}
    for row, (own, status) in zip(frame.to_dict("records"), naive(frame, children, REGRESSION, unknown), strict=True):
        if status not in levels:
            answers.append((own, status))
            continue
        key = tuple(KEYS.canonical_value(i, row[name]) for i, name in enumerate(KEYS.names))[: levels[status]]
        *shares, share = weights[key]
        total = share * own if share else 0.0
        for level, part in enumerate(shares):
            if np.isnan(total) or not part or np.isnan(part):
                continue
            try:
                said = children[key[:level]].predict(np.array([[row["x"], row["z"]]], dtype=float))[0]
            except (RuntimeError, ValueError, KeyError, AttributeError):
                said = np.nan
            if np.isnan(said):
                total, status = np.nan, "failed"
            else:
                total += part * said
        answers.append((total, status))
    return answers


SHARES = st.sampled_from([0.0, 0.25, 0.5, 1.0, -0.5])
WEIGHTS = st.fixed_dictionaries(
    {key: st.lists(SHARES, min_size=len(key) + 1, max_size=len(key) + 1) for key in CHILDREN}
)
PARENTS = [Line(10), Gaps(20), UnknownGroup("nobody"), TrainingFailed("it failed"), CorruptBundle("damaged")]


def parents_of(kinds):
    return st.fixed_dictionaries({key: st.sampled_from(kinds) for key in [("FR",), ("IT",), ()]})


POLICIES = st.one_of(
    st.tuples(st.just("fallback"), parents_of(PARENTS)), st.tuples(st.just("null"), parents_of([*PARENTS, Broken(1)]))
)


@given(ROWS, WEIGHTS, POLICIES)
def test_answers_equal_those_of_a_loop_over_single_rows(rows, weights, policy):
    unknown, parents = policy
    frame, children = frame_of(rows), CHILDREN | parents
    answers = predict(frame, weights, children, unknown=unknown, detail=True)
    expected = blended_naively(frame, children, weights, unknown)
    assert answers["status"].tolist() == [status for _, status in expected]
    np.testing.assert_allclose(answers["prediction"], [number for number, _ in expected], rtol=1e-12)
    failed = answers[answers["status"] == "failed"]
    assert (failed["error"] != "").all()
    assert (failed["level"] == -1).all()


@given(ROWS, WEIGHTS)
def test_a_row_is_answered_alone_as_in_a_batch(rows, weights):
    frame = frame_of(rows)
    together = predict(frame, weights, unknown="fallback", detail=True)
    for i in range(len(frame)):
        alone = predict(frame.iloc[[i]], weights, unknown="fallback", detail=True)
        assert_frame_equal(alone, together.iloc[[i]])


@given(ROWS)
def test_all_weight_on_the_group_changes_nothing(rows):
    weights = {key: [0.0] * len(key) + [1.0] for key in CHILDREN}
    options = {"unknown": "fallback", "detail": True}
    assert_frame_equal(predict(frame_of(rows), weights, **options), predict(frame_of(rows), None, **options))


FULL = {key: [1 / (len(key) + 1)] * (len(key) + 1) for key in CHILDREN} | {("DE", 7): [0.5, np.nan, 0.5]}


def test_the_blend_is_the_weighted_mean_and_the_detail_is_that_of_who_answered():
    row = predict(simple(("FR", 7), x=2.0), FULL, detail=True).iloc[0]
    assert row["prediction"] == pytest.approx((1 * 2 + 100 * 2 + 1000 * 2) / 3 + 0.5)
    assert (row["status"], row["level"], row["child_version"]) == ("child", 2, "version of ("[:12])


def test_a_parent_that_cannot_answer_fails_the_row_and_no_other_and_is_named():
    answers = predict(simple(("FR", 7), ("DE", 7)), FULL, CHILDREN | {("FR",): Broken(1)}, detail=True)
    assert answers["status"].tolist() == ["failed", "child"]
    assert np.isnan(answers["prediction"].iloc[0])
    reason = 'Parent ["FR"], whose prediction is blended in, gave none. RuntimeError: no prediction today'
    assert answers["error"].tolist() == [reason, ""]
    assert (answers["level"].iloc[0], answers["child_version"].iloc[0]) == (-1, "")


def test_a_parents_missing_number_fails_the_row():
    answers = predict(simple(("FR", 7), ("FR", 8), x=1.0), FULL, CHILDREN | {(): Gaps(1)}, detail=True)
    assert answers["status"].tolist() == ["failed"] * 2
    assert set(answers["error"]) == {"Parent [], whose prediction is blended in, gave none."}


def test_a_childs_own_missing_number_stays_null_and_no_parent_is_asked():
    answers = predict(simple(("FR", 7), x=17.0), FULL, CHILDREN | {("FR",): Broken(1)})
    assert answers["status"].tolist() == ["child"]
    assert answers["prediction"].isna().all()


def test_a_level_without_weight_is_not_asked_and_its_missing_number_does_not_count():
    weights = {("FR", 7): [0.0, 1.0, 0.0]}
    answers = predict(simple(("FR", 7), x=1.0), weights, CHILDREN | {("FR", 7): Gaps(1), (): Broken(1)})
    assert answers.iloc[0].tolist() == [100.5, "child"]


def test_a_group_without_weights_fails():
    answers = predict(simple(("FR", 7), ("FR", 8)), {("FR", 7): [0, 0, 1]}, detail=True)
    assert answers["status"].tolist() == ["child", "failed"]
    assert answers["error"].tolist() == ["", "The bundle has no weights for this group. Restore it."]


def test_parents_are_not_counted_as_rows():
    tally = Tally()
    frame = simple(("FR", 7), ("FR", 8))
    REGRESSION.predict(frame, Store(CHILDREN), PredictOptions(), tally=tally, weights=Table(FULL))
    assert dict(tally.rows) == {"child": 2}


def test_only_parents_with_a_say_are_needed_at_hand():
    weights = {("FR", 7): [0.0, 0.5, 0.5], ("FR", 8): [0.5, np.nan, 0.5], ("DE", 7): [0, 0, 1]}
    assert parents_asked(list(weights), Table(weights), 2) == [("FR",), ()]
    assert parents_asked([("XX", 1)], Table(weights), 2) == []
