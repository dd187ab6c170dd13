"""What a table's columns and values decide: features, their layout, the task, the target's form."""

import numpy as np
import pandas as pd
import pytest
from plans import FRAME, plan
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from metamodel.exceptions import InputError


def test_every_column_without_another_role_is_a_feature():
    assert plan(features=None, time_column="week").features.names == ["price", "town"]


def test_features_may_be_named_in_any_order_and_twice():
    assert plan(features=["town", "price", "town"]).features.names == ["town", "price"]


@pytest.mark.parametrize(
    ("estimator", "features", "layout"),
    [
        ("ridge", ["price"], "array"),
        ("ridge", ["price", "town"], "frame"),
        (make_pipeline(FunctionTransformer(), Ridge()), ["price"], "frame"),
        ({"a": Ridge(), "b": make_pipeline(FunctionTransformer(), Ridge())}, ["price"], "frame"),
    ],
)
def test_children_get_one_matrix_where_they_surely_can(estimator, features, layout):
    assert plan(estimator=estimator, features=features).features.layout == layout


@pytest.mark.parametrize(
    ("labels", "kind", "classes"),
    [
        (list("babbab"), "string", ("a", "b")),
        ([2, 0, 2, 2, 0, 2], "integer", (0, 2)),
        ([2.0, 0.0, 2.0, np.nan, 0.0, 2.0], "integer", (0, 2)),
        ([True, False, True, True, False, True], "boolean", (False, True)),
        (pd.Categorical(list("babbab"), categories=["b", "c", "a"]), "string", ("a", "b")),
        (pd.array([2, 0, None, 2, 0, 2], dtype="Int64"), "integer", (0, 2)),
        (["b", None, "b", "b", "a", "b"], "string", ("a", "b")),
    ],
    ids=repr,
)
def test_class_labels_keep_their_kind(labels, kind, classes):
    made = plan(FRAME.assign(units=labels), estimator=LogisticRegression(), features=["price"])
    assert (made.spec.task, made.target.label_kind, made.target.classes) == ("classification", kind, classes)
    assert [type(label) for label in made.target.classes] == [type(label) for label in classes]


def test_a_target_of_mixed_labels_is_refused():
    frame = FRAME.assign(units=pd.Series([1, "a", 2, "b", 1, "a"], dtype=object))
    with pytest.raises(InputError, match=r"'units' holds mixed-integer values, which are no class labels. Convert it"):
        plan(frame, estimator=LogisticRegression(), features=["price"])
