"""Answers as records for JSON are the answers as a table, value by value."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.prediction.answer_form import AnswerForm, PredictOptions
from metamodel.prediction.answers import Answers

LABELS = {
    "integer": st.integers(-(2**53), 2**53),
    "boolean": st.booleans(),
    "number": st.floats() | st.integers(-9, 9),
    "string": st.text(max_size=3),
}


def _plain(value):
    value = value.item() if isinstance(value, np.generic) else value
    return None if pd.isna(value) or value in (math.inf, -math.inf) else value


def _assert_same(answers):
    table = answers.frame(pd.RangeIndex(len(answers.status))).astype(object)
    expected = [{name: _plain(value) for name, value in row.items()} for row in table.to_dict("records")]
    assert repr(answers.records()) == repr(expected)
    json.dumps(answers.records(), allow_nan=False)


@pytest.mark.parametrize("kind", LABELS)
@given(data=st.data(), detail=st.booleans())
def test_records_of_a_classifier_are_its_table(kind, data, detail):
    given_labels = data.draw(st.lists(st.none() | LABELS[kind], max_size=5))
    form = AnswerForm("classification", kind, (), 1, PredictOptions(detail=detail))
    answers = Answers(len(given_labels) + 1, form)
    for i, label in enumerate(given_labels):
        answers.accept(slice(i, i + 1), 1, "version", np.array([label], dtype=object), None)
    answers.refuse(slice(len(given_labels), None), "failed", "why")
    _assert_same(answers)


@given(st.lists(st.tuples(st.floats(), st.floats(), st.floats()), max_size=5))
def test_records_with_numbers_and_probabilities_are_their_table(rows):
    options = PredictOptions(predict_method="predict_proba")
    numbers = np.array(rows, dtype=np.float64).reshape(len(rows), 3)
    regression = Answers(len(rows), AnswerForm("regression", None, (), 1, PredictOptions()))
    regression.accept(slice(None), 0, "", numbers[:, 0], None)
    _assert_same(regression)
    classes = Answers(len(rows), AnswerForm("classification", "string", ("a", "b"), 1, options))
    classes.accept(slice(None), 0, "", np.array(["a"] * len(rows), dtype=object), numbers[:, 1:])
    _assert_same(classes)
