"""Levels encoded by the target: in small groups too, the same every time, and no row by its own target."""

import numpy as np
import pytest
from named_estimators import transformed, wide
from sklearn.metrics import r2_score
from sklearn.preprocessing import TargetEncoder

from metamodel.fitting.target_encoder import GroupTargetEncoder


@pytest.mark.parametrize("rows", [3, 400])
@pytest.mark.parametrize(("name", "task"), [("ridge", "regression"), ("logistic_regression", "classification")])
def test_very_many_levels_are_encoded_by_the_target_in_small_groups_too(name, task, rows):
    y = (np.arange(rows) % 2).astype(float if task == "regression" else int)
    built, matrix = transformed(name, wide(rows), {"town": 5000, "area": 2}, task, y)
    assert matrix.shape[1] <= 1 + 1 + 2
    assert np.isfinite(built.predict(wide(rows).assign(town="never seen"))).all()


def test_whole_numbers_as_a_target_are_no_classes_to_the_encoder():
    _, matrix = transformed("ridge", wide(), {"town": 5000, "area": 2}, y=np.arange(400) % 5.0)
    assert matrix.shape[1] == 1 + 2 + 1


def towns(rows, levels=4):
    rng = np.random.default_rng(0)
    return rng.choice([f"t{i}" for i in range(levels)], (rows, 1)).astype(object)


@pytest.mark.parametrize("target_type", ["continuous", "auto"])
def test_the_same_rows_are_encoded_alike_every_time(target_type):
    x, y = towns(40), np.arange(40) % 2
    state = np.random.get_state()[1].tolist()
    once, again = (GroupTargetEncoder(target_type=target_type).fit_transform(x, y) for _ in range(2))
    assert once.tolist() == again.tolist()
    assert np.random.get_state()[1].tolist() == state


def test_no_row_is_encoded_by_its_own_target():
    x, y = towns(40), np.random.default_rng(1).normal(size=40)
    before = GroupTargetEncoder(target_type="continuous").fit_transform(x, y)
    changed = y.copy()
    changed[7] += 1000.0
    after = GroupTargetEncoder(target_type="continuous").fit_transform(x, changed)
    assert after[7] == before[7]
    others = (x[:, 0] == x[7, 0]) & (np.arange(40) != 7)
    assert (after[others] != before[others]).any()


@pytest.mark.parametrize(
    ("target_type", "y"),
    [
        ("continuous", np.random.default_rng(1).normal(size=40)),
        ("auto", np.arange(40) % 2),
        ("auto", np.arange(40) % 3),
    ],
)
def test_levels_of_one_row_tell_nothing_of_their_fold(target_type, y):
    x = np.array([[f"order {i}"] for i in range(40)], dtype=object)
    encoder = GroupTargetEncoder(target_type=target_type)
    encoded = encoder.fit_transform(x, y)
    assert (encoded == encoder.transform([["order 40"]])).all()


def test_a_column_of_order_numbers_leaves_the_answers_for_training_rows_alone():
    rng = np.random.default_rng(0)
    frame = wide(3000).assign(town=[f"order {i}" for i in range(3000)], size=rng.normal(size=3000))
    y = frame["size"].to_numpy() + rng.normal(size=3000)
    built, _ = transformed("ridge", frame, {"town": 5000, "area": 2}, y=y)
    assert r2_score(y, built.predict(frame)) > 0.4


@pytest.mark.parametrize("rows", [1, 4])
def test_fewer_rows_than_folds_are_encoded_as_a_whole(rows):
    x, y = towns(rows), np.arange(float(rows))
    encoder = GroupTargetEncoder(target_type="continuous")
    assert encoder.fit_transform(x, y).tolist() == encoder.transform(x).tolist()


def test_a_rare_class_is_encoded_as_a_whole_too():
    x, y = towns(40), np.array(["no"] * 37 + ["yes"] * 3)
    encoder = GroupTargetEncoder(target_type="auto")
    assert encoder.fit_transform(x, y).tolist() == encoder.transform(x).tolist()


def test_later_rows_are_encoded_as_scikit_learn_does_and_unknown_levels_by_the_mean():
    x, y = towns(40), np.random.default_rng(1).normal(size=40)
    ours, theirs = GroupTargetEncoder(target_type="continuous"), TargetEncoder(target_type="continuous")
    ours.fit_transform(x, y)
    theirs.fit(x, y)
    assert ours.transform(x).tolist() == theirs.transform(x).tolist()
    assert ours.transform([["nowhere"]])[0, 0] == pytest.approx(y.mean())
