"""A model whose log counts features, and what monitoring counts of the same rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
from logged_rows import MODEL, answered, frame_of
from routes import FEATURES, KEYS

from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.drift_features import drift_features
from metamodel.evaluation.drift.drift_reference import PREDICTION
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.evaluation.drift.window_counts import WindowCounts, count_window
from metamodel.evaluation.drift.window_rows import RowSchema, WindowRows


def reference_of(frame: pd.DataFrame) -> ModelReference:
    """The bins of a table of two stores, with predictions."""
    codes = frame["store"].to_numpy()
    columns, _ = drift_features(frame, FEATURES.features)
    columns.values[PREDICTION] = np.arange(len(frame)) / 4
    return ModelReference(('["FR",0]', '["FR",1]'), build_reference(columns, codes, 2))


COUNTED = replace(MODEL, reference=reference_of(frame_of(40)))


def expected(frame: pd.DataFrame) -> WindowCounts:
    """What monitoring counts of the rows themselves."""
    answers = answered(frame).answers.frame(frame.index)
    rows = WindowRows.of(RowSchema(KEYS, FEATURES.features, "regression"), frame, answers, None)
    assert COUNTED.reference is not None
    return count_window(COUNTED.reference, rows)


def assert_same(counts: WindowCounts, others: WindowCounts) -> None:
    one, two = (WindowCounts.together([part]) for part in (counts, others))
    assert (one.keys, one.columns) == (two.keys, two.columns)
    for name in ("bins", "counts", "totals"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
