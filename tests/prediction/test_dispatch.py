"""Asking children: one that raises hides no other, and every row that can be answered is."""

import numpy as np
import pandas as pd
import pytest
from routes import (
    CHILDREN,
    REGRESSION,
    Line,
    Store,
    frame_of,
    simple,
)

from metamodel.prediction.answer_form import PredictOptions


def predict(frame, children=CHILDREN, route=REGRESSION, **options):
    return route.predict(frame, Store(children), PredictOptions(**options))


class Counting(Line):
    """Counts how often it is asked."""

    calls = 0

    def predict(self, x):
        type(self).calls += 1
        return super().predict(x)


def test_one_child_that_raises_hides_no_other():
    class Raises:
        def predict(self, x):
            raise RuntimeError("out of order")

    answers = predict(simple(("FR", 7), ("FR", 8), ("FR", 7)), {("FR", 7): Raises(), ("FR", 8): Line(2)}, detail=True)
    assert answers["status"].tolist() == ["failed", "child", "failed"]
    assert answers["error"].tolist() == ["RuntimeError: out of order", "", "RuntimeError: out of order"]


def test_a_child_that_raises_on_some_rows_answers_the_others():
    frame = pd.concat([simple(("FR", 7), x=float(x)) for x in range(10, 16)], ignore_index=True)
    answers = predict(frame)
    assert answers["status"].tolist() == ["child"] * 3 + ["failed"] + ["child"] * 2
    assert answers["prediction"].dropna().tolist() == [10.5, 11.5, 12.5, 14.5, 15.5]


def test_a_child_that_always_raises_is_not_asked_for_every_row():
    calls = []

    class Raises:
        def predict(self, x):
            calls.append(len(x))
            raise RuntimeError("out of order")

    answers = predict(pd.concat([simple(("FR", 7))] * 5000, ignore_index=True), {("FR", 7): Raises()})
    assert ((answers["status"] == "failed").all(), len(calls) < 1000) == (True, True)


@pytest.mark.parametrize(
    "bad",
    [range(500), [*range(500), 700], range(0, 1000, 20), [0, 999]],
    ids=["block", "two", "spread", "ends"],
)
def test_every_row_that_a_child_can_answer_is_answered_wherever_the_others_stand(bad):
    frame = frame_of([("FR", 7, 13.0 if row in bad else 1.0, 0.0) for row in range(1000)])
    assert np.flatnonzero(predict(frame)["status"] == "failed").tolist() == list(bad)


def test_a_childs_own_nan_stays_null():
    answers = predict(simple(("FR", 7), x=17.0))
    assert (answers["prediction"].isna().tolist(), answers["status"].tolist()) == ([True], ["child"])


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 2), (1, 2)])
def test_an_output_of_another_length_fails_its_own_group_alone(shape):
    class Odd:
        def predict(self, x):
            return np.zeros(shape)

    answers = predict(simple(("FR", 7), ("FR", 7), ("FR", 8)), {("FR", 7): Odd(), ("FR", 8): Line(2)}, detail=True)
    one_each = shape == (1,)  # asked again for a single row, this child answers
    assert answers["status"].tolist() == ["child" if one_each else "failed"] * 2 + ["child"]
    assert one_each or answers["error"][0].startswith(f"ChildFailed: predict returned shape {shape} for 1 row")


def test_a_column_of_predictions_is_as_good_as_a_row():
    class Column(Line):
        def predict(self, x):
            return super().predict(x).reshape(-1, 1)

    assert predict(simple(("FR", 7)), {("FR", 7): Column(1)})["prediction"].tolist() == [1.5]


def test_a_damaged_child_fails_its_own_rows_and_no_parent_steps_in():
    answers = predict(simple(("IT", 7), ("FR", 7)), unknown="fallback", detail=True)
    assert answers["status"].tolist() == ["failed", "child"]
    assert answers["error"][0] == "The child of group ('IT', 7) is damaged."


def test_a_parent_is_loaded_and_asked_once_for_all_its_orphans():
    Counting.calls = 0
    store = Store({**CHILDREN, (): Counting(0.0)})
    rows = [key for i in range(40) for key in (("nowhere", i), *list(CHILDREN)[:1])]
    answers = REGRESSION.predict(simple(*rows), store, PredictOptions(unknown="fallback"))
    assert set(answers["status"]) == {"global", "child"}
    assert Counting.calls == 1
