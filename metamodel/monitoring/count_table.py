"""A table of rows into counts by window, on this machine."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd

from metamodel.bundle.model import MetaModel
from metamodel.common.arrays import BoolArray
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.evaluation.drift.window_counts import WindowCounts
from metamodel.evaluation.drift.window_rows import WindowRows
from metamodel.monitoring.control_rows import count_apart, in_arm
from metamodel.monitoring.model_rows import model_rows
from metamodel.prediction.answer_form import CONTROL, VARIANT

__all__ = ["CountedRows", "count_table", "predicted_answers"]


@dataclass(frozen=True)
class CountedRows:
    """One window of a table.

    Attributes
    ----------
    counts
        With the window's name.
    frame, answers, rows, labels
        The rows, for whoever keeps some of them.
    """

    counts: WindowCounts
    frame: pd.DataFrame
    answers: pd.DataFrame
    rows: WindowRows
    labels: pd.Series | None


def count_table(
    model: MetaModel,
    reference: ModelReference,
    frame: pd.DataFrame,
    labels: pd.Series | None,
    windows: list[tuple[str, BoolArray]],
) -> Iterator[CountedRows]:
    """Count the rows of a table, window by window.

    Parameters
    ----------
    model, reference
        Whose groups, and in which bins.
    frame
        At least one row; with a column `prediction` (a batch's output, a prediction log) nothing is predicted again.
    labels
        What came true, null where it is not known; None where nothing is.
    windows
        See `windows_of`.
    """
    for name, inside in windows:
        whole = inside.all()
        part = frame if whole else frame[inside]
        of_part = None if labels is None else labels if whole else labels[inside]
        answers = predicted_answers(model, part)
        rows = model_rows(model, part, answers, of_part)
        control = in_arm(part[VARIANT], CONTROL) if VARIANT in part else None
        counts = count_apart(reference, rows, control)
        yield CountedRows(replace(counts, window=name), part, answers, rows, of_part)


def predicted_answers(model: MetaModel, frame: pd.DataFrame) -> pd.DataFrame:
    """Take the predictions that a table has, or predict; nothing where a feature is missing."""
    names = [name for name in ("prediction", "lower", "upper") if name in frame]
    features = model.manifest.features.names
    if "prediction" in names and "prediction" not in features:
        return frame[names]
    if any(name not in frame for name in features):
        return pd.DataFrame(index=frame.index)
    params = {"detail": False, "predict_method": "predict"}
    if model.manifest.unknown == "error":
        params["unknown"] = "null"
    return model.predict(frame, params)
