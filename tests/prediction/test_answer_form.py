"""What answers look like: kinds of labels, probabilities of all classes, options that there are."""

import numpy as np
import pandas as pd
import pytest
from routes import (
    CHILDREN,
    FEATURES,
    KEYS,
    REGRESSION,
    Labels,
    Line,
    Store,
    simple,
)

from metamodel.exceptions import InputError
from metamodel.prediction.answer_form import PredictOptions
from metamodel.prediction.further_answers import probability_column
from metamodel.prediction.routing import Route, output_columns


def predict(frame, children=CHILDREN, route=REGRESSION, **options):
    return route.predict(frame, Store(children), PredictOptions(**options))


CLASSES = {
    "string": (("a", "b", "ü"), [["a", "b"], ["b", "ü"], ["ü"]]),
    "integer": ((-1, 0, 5), [[-1, 0], [0, 5], [5]]),
    "boolean": ((False, True), [[False, True], [False], [True]]),
}


KINDS = pytest.mark.parametrize("kind", CLASSES)


def classifier(kind):
    union, own = CLASSES[kind]
    route = Route(KEYS, FEATURES, "classification", kind, union, ())
    return route, {("FR", i): Labels(classes) for i, classes in enumerate(own)}


@KINDS
def test_labels_keep_their_kind_beside_nulls(kind):
    route, children = classifier(kind)
    answers = predict(simple(("FR", 0), ("XX", 1), ("FR", 2)), children, route)
    union, own = CLASSES[kind]
    assert (answers["prediction"][0], answers["prediction"][2]) == (own[0][-1], own[2][0])
    assert (type(answers["prediction"][0]), answers["prediction"].isna().tolist()) == (
        type(pd.array(union)[0]) if kind != "string" else str,
        [False, True, False],
    )


@KINDS
@pytest.mark.parametrize("groups", [[0], [1], [2], [0, 1], [2, 0], [0, 1, 2]])
def test_probabilities_are_aligned_to_the_union_whatever_groups_are_in_the_batch(kind, groups):
    route, children = classifier(kind)
    answers = predict(simple(*[("FR", i) for i in groups]), children, route, predict_method="predict_proba")
    union, own = CLASSES[kind]
    expected = [[float(label == own[i][-1]) for label in union] for i in groups]
    assert answers[[probability_column(label) for label in union]].to_numpy().tolist() == expected


@KINDS
@pytest.mark.parametrize("rows", [0, 1])
def test_columns_and_dtypes_do_not_depend_on_the_batch(kind, rows):
    route, children = classifier(kind)
    options = {"predict_method": "predict_proba", "detail": True}
    few = predict(simple(("XX", 1)).iloc[:rows], children, route, **options)
    many = predict(simple(("FR", 0), ("FR", 1)), children, route, **options)
    assert few.dtypes.to_dict() == many.dtypes.to_dict()
    assert list(few) == output_columns(route, PredictOptions(**options))


def test_rows_without_a_child_have_null_probabilities():
    route, children = classifier("string")
    answers = predict(simple(("XX", 1)), children, route, predict_method="predict_proba")
    assert answers.filter(like="probability_").isna().all(axis=None)


def test_a_child_without_probabilities_fails_alone():
    route, children = classifier("string")
    answers = predict(
        simple(("FR", 0), ("FR", 1)), children | {("FR", 0): Line(1)}, route, predict_method="predict_proba"
    )
    assert answers["status"].tolist() == ["failed", "child"]


@KINDS
@pytest.mark.parametrize("odd", [np.array([1.5]), np.array(["x"]), np.array([{}]), np.array([9])], ids=repr)
def test_a_label_of_another_kind_fails_its_own_group_alone(kind, odd):
    class Odd:
        def predict(self, x):
            return np.repeat(odd, len(x))

    route, children = classifier(kind)
    answers = predict(simple(("FR", 0), ("FR", 1)), children | {("FR", 0): Odd()}, route)
    fits = {"string": str, "integer": int, "boolean": bool}[kind] is type(odd.tolist()[0])
    assert answers["status"].tolist() == ["child" if fits else "failed", "child"]


@pytest.mark.parametrize(("kind", "label"), [("string", "a"), ("integer", 5), ("boolean", True)])
@pytest.mark.parametrize("null", [None, np.nan])
def test_a_label_that_a_child_leaves_out_stays_null(kind, label, null):
    class Unsure:
        def predict(self, x):
            return np.array([label, null], dtype=object)

    route, _ = classifier(kind)
    answers = predict(simple(("FR", 0), ("FR", 0)), {("FR", 0): Unsure()}, route)
    assert (answers["prediction"][0], answers["prediction"].isna()[1]) == (label, True)
    assert answers["status"].tolist() == ["child", "child"]


def test_probabilities_of_a_class_that_training_never_saw_fail_alone():
    route, children = classifier("string")
    answers = predict(
        simple(("FR", 0), ("FR", 1)),
        children | {("FR", 0): Labels(["a", "new"])},
        route,
        predict_method="predict_proba",
    )
    assert answers["status"].tolist() == ["failed", "child"]


def test_a_regressor_has_no_probabilities():
    with pytest.raises(InputError, match=r"'predict_proba' needs a classifier, but this model does regression"):
        predict(simple(("FR", 7)), predict_method="predict_proba")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"predict_method": "fit"}, r"predict_method='fit' is unknown. Use one of: predict, predict_proba, decision_"),
        ({"unknown": "skip"}, r"unknown='skip' is unknown. Use one of: null, error, fallback"),
        ({"detail": "yes"}, r"detail='yes' is neither true nor false"),
    ],
)
def test_an_option_that_does_not_exist_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        PredictOptions(**options)
