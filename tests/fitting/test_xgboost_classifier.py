"""XGBoost by name: labels of any kind, missing values, the same child every time."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.exceptions import UnknownEstimator
from metamodel.fitting.estimator_info import packages, takes_arrays
from metamodel.fitting.estimators import resolve

pytest.importorskip("xgboost", reason="needs the extra xgboost")


def table(rows=120):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(rows, 2)), columns=["a", "b"])
    frame["g"] = np.repeat(["one", "two"], rows // 2)
    frame["y"] = frame["a"] * 2 + rng.normal(size=rows) / 10
    frame["label"] = np.select([frame["y"] < -1, frame["y"] > 1], ["low", "high"], "middle")
    frame.loc[::7, "a"] = np.nan
    return frame


@pytest.mark.parametrize("labels", [["no", "yes"], [3, 7, 9], [False, True]])
def test_labels_of_any_kind_come_back(labels):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, len(labels), 60)
    y = np.array(labels, dtype=object if isinstance(labels[0], str) else None)[codes]
    model = resolve("xgboost", {"n_estimators": 10}, "classification", 0)
    child = clone(model).fit(codes[:, None].astype(float), y)
    assert child.classes_.tolist() == sorted(labels)
    assert child.predict(codes[:, None].astype(float)).tolist() == y.tolist()
    assert child.predict_proba(codes[:, None].astype(float)).shape == (60, len(labels))
    assert child.fit(codes[:, None].astype(float), y).predict([[0.0]])[0] == labels[0]


def test_one_class_is_refused_by_name():
    with pytest.raises(ValueError, match="at least two classes, and there is one: 'a'"):
        resolve("xgboost", None, "classification", 0).fit(np.zeros((3, 1)), ["a"] * 3)


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_named_estimator_takes_arrays_in_one_thread_and_comes_from_xgboost(task):
    model = resolve("xgboost", None, task, 5)
    assert (model.n_jobs, model.random_state) == (1, 5)
    assert packages(model) == ["xgboost"]
    assert takes_arrays(model)


@pytest.mark.parametrize("target", ["y", "label"])
def test_training_takes_missing_values_and_texts_and_repeats_itself(target):
    frame = table().assign(kind=lambda t: np.where(t["b"] > 0, "x", None))
    runs = [
        metamodel.train(frame, "g", target, "xgboost", {"subsample": 0.5}, ["a", "b", "kind"], n_jobs=n) for n in (1, 2)
    ]
    answers = [MetaModel(run.bundle_path).predict(frame)["prediction"] for run in runs]
    assert set(runs[0].ledger["status"]) == {"fitted"}
    assert runs[0].ledger["params"].str.contains('__n_jobs": 1').all()
    assert answers[0].equals(answers[1])
    assert "xgboost" in runs[0].manifest.options["candidates"]["xgboost"]["packages"]


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "xgboost", None)
    monkeypatch.delitem(sys.modules, "metamodel.fitting.xgboost_classifier", raising=False)
    for task in ("regression", "classification"):
        with pytest.raises(UnknownEstimator, match=r"Run: pip install xgboost"):
            resolve("xgboost", None, task, 0)


@pytest.mark.parametrize("target", ["y", "label"])
def test_children_by_name_are_stacked_and_answer_as_without(target):
    pytest.importorskip("numba", reason="needs the extra fast")
    runs = {
        stack: metamodel.train(table(), "g", target, "xgboost", {"n_estimators": 5}, ["a", "b"], n_jobs=1, stack=stack)
        for stack in (True, False)
    }
    models = {stack: MetaModel(run.bundle_path) for stack, run in runs.items()}
    answers = {stack: model.predict(table())["prediction"].tolist() for stack, model in models.items()}
    assert runs[True].ledger["stack"].tolist() == ["", ""]
    assert models[True].stats()["rows_stacked"] == 120
    assert answers[True] == (answers[False] if target == "label" else pytest.approx(answers[False], rel=1e-12))
