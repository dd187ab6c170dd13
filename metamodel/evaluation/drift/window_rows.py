"""The rows of a window as they are counted: group, features, prediction, and what came true."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, BoolArray, IntArray
from metamodel.evaluation.drift.drift_columns import DriftColumns, hash_categories
from metamodel.evaluation.drift.drift_features import drift_features
from metamodel.evaluation.drift.drift_reference import ABSOLUTE_ERROR, ERROR, PREDICTION, TARGET
from metamodel.evaluation.splits import known_times
from metamodel.tables.feature_columns import Feature
from metamodel.tables.grouping import group_rows
from metamodel.tables.keys import KeySchema

__all__ = ["OF_LABELS", "RowSchema", "WindowRows"]

# Columns that only rows with a label have.
OF_LABELS = (TARGET, ERROR, ABSOLUTE_ERROR)

_INTERVAL = ("lower", "upper")


@dataclass(frozen=True)
class RowSchema:
    """What is known of a model's rows.

    Attributes
    ----------
    keys, features
        As they were recorded in training.
    task
        "regression": labels and predictions are numbers. Else they are classes.
    time_column
        Name of the column that orders rows; None without one.
    """

    keys: KeySchema
    features: Sequence[Feature]
    task: str
    time_column: Any = None


@dataclass(frozen=True)
class WindowRows:
    """Rows of one window, or of several.

    Attributes
    ----------
    texts
        Encoded keys of the groups that occur, shape (n_groups,); "" for values that make no key.
    codes
        Group of each row, shape (n_rows,).
    features
        Features and prediction, shape (n_rows,) each.
    judged
        Target and errors; what stands in a row without a label means nothing.
    labelled
        Which rows have a label, shape (n_rows,); None where no label is known.
    outside
        Whether what came true lies outside the prediction's interval: 1 or 0; -1 where there is none or no label.
    times
        When each row is, the same number in all parts of a window, shape (n_rows,), NaN where that is not known; or
        None.
    unreadable
        Feature → values of another kind than the feature's.
    absent
        Features that the table does not have, though it has others.
    """

    texts: AnyArray
    codes: IntArray
    features: DriftColumns
    judged: DriftColumns
    labelled: BoolArray | None
    outside: IntArray
    times: AnyArray | None
    unreadable: dict[str, int]
    absent: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def of(
        cls, schema: RowSchema, frame: pd.DataFrame, answers: pd.DataFrame, labels: pd.Series | None
    ) -> "WindowRows":
        """Read rows.

        Parameters
        ----------
        schema
            Of the model whose groups and features they have.
        frame
            The rows.
        answers
            `prediction`, and `lower` and `upper` where there are intervals, a row of `frame` each; no column where
            nothing could be predicted.
        labels
            What came true, null where it is not known; None where nothing is.
        """
        columns, unreadable = drift_features(frame, schema.features)
        grouping = group_rows(frame, schema.keys)
        is_number = schema.task == "regression"
        if "prediction" in answers:
            _add(columns, PREDICTION, _values(answers["prediction"], is_number))
        judged, labelled = _judged(answers, labels, is_number)
        return cls(
            grouping.texts,
            grouping.codes,
            columns,
            judged,
            labelled,
            _outside(answers, labels),
            _times(frame, schema.time_column),
            unreadable,
            _absent(schema.features, frame),
        )

    @classmethod
    def of_kept(cls, keys: pd.Series, answers: pd.DataFrame, labels: pd.Series, *, is_number: bool) -> "WindowRows":
        """Read rows of which the group, the answer and the label alone are known."""
        codes, texts = pd.factorize(keys)
        judged, labelled = _judged(answers, labels, is_number)
        outside = _outside(answers, labels)
        groups = np.asarray(texts, dtype=object)
        return cls(groups, np.asarray(codes, dtype=np.int64), DriftColumns(), judged, labelled, outside, None, {}, ())


def _judged(answers: pd.DataFrame, labels: pd.Series | None, is_number: bool) -> tuple[DriftColumns, BoolArray | None]:
    judged = DriftColumns()
    if labels is None or "prediction" not in answers:
        return judged, None
    truth, prediction = _values(labels, is_number), _values(answers["prediction"], is_number)
    _judge(judged, truth, prediction)
    return judged, ~_missing(truth) & ~_missing(prediction)


def _absent(features: Sequence[Feature], frame: pd.DataFrame) -> tuple[str, ...]:
    """Name the features that a table lacks; none where it has no feature at all, and is none of features."""
    absent = tuple(feature.name for feature in features if feature.name not in frame)
    return () if len(absent) == len(features) else absent


def _values(values: pd.Series, is_number: bool) -> Any:
    if is_number:
        return pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return hash_categories(values.astype(object))


def _missing(values: Any) -> BoolArray:
    missing: BoolArray = values[0] == 0 if isinstance(values, tuple) else ~np.isfinite(values)
    return missing


def _add(columns: DriftColumns, name: str, values: Any) -> None:
    if isinstance(values, tuple):
        columns.values[name], columns.texts[name] = values
    else:
        columns.values[name] = values


def _judge(judged: DriftColumns, truth: Any, prediction: Any) -> None:
    _add(judged, TARGET, truth)
    if isinstance(truth, tuple):
        judged.values[ABSOLUTE_ERROR] = (truth[0] != prediction[0]).astype(np.float64)
        return
    judged.values[ERROR] = truth - prediction
    judged.values[ABSOLUTE_ERROR] = np.abs(truth - prediction)


def _outside(answers: pd.DataFrame, labels: pd.Series | None) -> IntArray:
    outside = np.full(len(answers), -1, dtype=np.int64)
    if labels is None or not set(_INTERVAL) <= set(answers.columns):
        return outside
    truth = _values(labels, True)
    low, high = (_values(answers[name], True) for name in _INTERVAL)
    known_rows = ~(np.isnan(low) | np.isnan(high) | np.isnan(truth))
    outside[known_rows] = ((truth < low) | (truth > high))[known_rows]
    return outside


def _times(frame: pd.DataFrame, name: Any) -> AnyArray | None:
    if not isinstance(name, str) or name not in frame:
        return None
    return known_times(frame[name], name)
