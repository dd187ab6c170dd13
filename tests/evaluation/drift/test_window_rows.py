"""The rows of a window: groups, features, errors and intervals, as they are counted."""

import numpy as np
import pandas as pd
from routes import FEATURES, KEYS

from metamodel.evaluation.drift.drift_reference import ABSOLUTE_ERROR, ERROR
from metamodel.evaluation.drift.window_rows import RowSchema, WindowRows

FRAME = pd.DataFrame({"country": "FR", "store": [1, 2, None, 1], "x": ["?", 2.0, 3.0, 4.0], "week": [9, 7, 7, 8]})

ANSWERS = pd.DataFrame({"prediction": [1.0, 2.0, np.nan, 4.0], "lower": [0.0, 0, 0, 0], "upper": [5.0, 5, 5, 5]})


def test_rows_are_read_by_the_schema_of_their_model() -> None:
    schema = RowSchema(KEYS, FEATURES.features, "regression", "week")
    rows = WindowRows.of(schema, FRAME, ANSWERS, pd.Series([2.0, np.nan, 3.0, 9.0]))
    assert [rows.texts[code] for code in rows.codes] == ['["FR",1]', '["FR",2]', "", '["FR",1]']
    assert (rows.unreadable, rows.absent) == ({"x": 1}, ("z",))
    assert rows.labelled is not None
    assert rows.labelled.tolist() == [True, False, False, True]
    assert rows.judged.values[ERROR][rows.labelled].tolist() == [1, 5]
    assert rows.outside.tolist() == [0, -1, 0, 1]
    assert rows.times is not None
    assert rows.times.tolist() == [9, 7, 7, 8]


def test_of_classes_the_error_is_a_wrong_label() -> None:
    answers = pd.DataFrame({"prediction": ["a", "b", None, "a"]})
    schema = RowSchema(KEYS, FEATURES.features, "classification")
    rows = WindowRows.of(schema, FRAME, answers, pd.Series(["a", "a", "b", None]))
    assert rows.labelled is not None
    assert rows.labelled.tolist() == [True, True, False, False]
    assert rows.judged.values[ABSOLUTE_ERROR][:2].tolist() == [0, 1]
    assert ERROR not in rows.judged.values
