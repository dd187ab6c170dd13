"""What came true, joined to the rows that were predicted: by id, in the same call or windows later."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.model import MetaModel
from metamodel.common.messages import count, listing, short
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.evaluation.drift.window_counts import WindowCounts
from metamodel.evaluation.drift.window_rows import WindowRows
from metamodel.exceptions import InputError
from metamodel.monitoring.control_rows import arm_sums, count_apart, in_arm, sum_arms
from metamodel.monitoring.judge_window import MOST_WINDOWS
from metamodel.monitoring.kept_rows import KEY, LABEL, VARIANT_KEPT, kept_answers, kept_parts, rewrite_rows
from metamodel.monitoring.monitor_state import MonitorState
from metamodel.prediction.answer_form import CONTROL
from metamodel.prediction_log.label_rows import LabelRows, LabelSource
from metamodel.prediction_log.row_ids import id_texts
from metamodel.tables.grouping import check_columns

__all__ = ["Labels", "WindowLabels", "late_labels"]


class Labels:
    """Labels of rows.

    Parameters
    ----------
    source
        Table with the columns of the id, and the target.
    on
        The columns of the id.
    target
        What came true; a row without it is no label.

    Attributes
    ----------
    fitted
        Which labels fit a row, so far, shape (n_labels,).

    Raises
    ------
    InputError
        The table lacks the id or the label, or has an id twice.
    """

    def __init__(self, source: LabelSource, on: Sequence[str], target: str) -> None:
        self.on = tuple(on)
        check_columns(pd.DataFrame(columns=source.columns), [*on, target], "column of labels")
        self._rows = LabelRows(source, on, target)
        _refuse_twice(on, *self._rows.doubled(), "labels")
        self._values = self._rows.table[target]
        self.fitted = self._rows.fitted

    def of_window(self) -> "WindowLabels":
        """Join them to the rows of one window, or of all that are at hand, in parts."""
        return WindowLabels(self, self._rows, self._values)


class WindowLabels:
    """Joins labels to rows that come in parts, no label twice."""

    def __init__(self, labels: Labels, rows: LabelRows, values: pd.Series) -> None:
        self._labels = labels
        self._rows = rows
        self._values = values
        self._used = np.zeros(len(values), dtype=bool)

    def joined(self, frame: pd.DataFrame) -> pd.Series:
        """Give each row its label, null where there is none.

        Raises
        ------
        InputError
            The rows lack the id, or a label fits two of them.
        """
        on = self._labels.on
        check_columns(frame, on, "column of the rows' id")
        places = self._rows.places(frame)
        known = np.flatnonzero(places >= 0)
        fitted = places[known]
        again = pd.Series(fitted).duplicated().to_numpy() | self._used[fitted]
        doubled = known[again]
        _refuse_twice(on, len(doubled), frame[list(on)].iloc[doubled[:1]].to_numpy().ravel().tolist(), "data")
        self._used[fitted] = self._labels.fitted[fitted] = True
        # An integer beside a null is one still.
        values = self._values.take(np.maximum(places, 0)) if len(self._values) else pd.Series(np.nan, index=frame.index)
        return values.set_axis(frame.index).where(places >= 0)


def _refuse_twice(on: Sequence[str], twice: int, ids: Sequence[Any], what: str) -> None:
    """Refuse rows, so many, whose id stands there before; `ids` is that of the first of them."""
    if twice:
        raise InputError(
            f"{what} has {count(twice, 'row')} whose id ({listing(on)}) stands there before "
            f"(first: {short(ids[0] if len(ids) == 1 else list(ids))}). "
            "Keep one row an id, or name other columns in on."
        )


def late_labels(
    model: MetaModel,
    reference: ModelReference,
    state: MonitorState,
    window: str,
    labels: Labels,
    at_hand: Sequence[str],
) -> list[str]:
    """Give labels that came late to the windows of their rows, but for those at hand, and count these again.

    Returns
    -------
    list of str
        The windows that changed.
    """
    changed = []
    for name in state.names_before(window)[:MOST_WINDOWS]:
        if name not in at_hand and _fits(state, name, labels):
            again = _CountedAgain(model, reference)
            rewrite_rows(state, name, again.take(_relabelled(state, name, labels)))
            assert again.counts is not None  # a label fits one of its rows
            state.keep_counts(name, state.counts(name).with_labels(again.counts))
            if again.arms is not None:
                state.keep_arms(name, again.arms)
            changed.append(name)
    return changed


def _fits(state: MonitorState, window: str, labels: Labels) -> bool:
    """Whether one of the labels is of a row of a window; looks at all parts, so that none is doubled."""
    of_window = labels.of_window()
    known = [bool(of_window.joined(table).notna().any()) for table in kept_parts(state, window, labels.on)]
    return any(known)


def _relabelled(state: MonitorState, window: str, labels: Labels) -> Iterator[pd.DataFrame]:
    of_window = labels.of_window()
    for table in kept_parts(state, window, labels.on):
        values = of_window.joined(table)
        yield table.assign(**{LABEL: _as_kept(values, table[LABEL]).where(values.notna(), table[LABEL])})


def _as_kept(values: pd.Series, kept: pd.Series) -> pd.Series:
    """Bring labels to the form in which they are kept: numbers of a regression, texts of classes."""
    if pd.api.types.is_float_dtype(kept.dtype):
        return pd.to_numeric(values, errors="coerce").astype(np.float64)
    return pd.Series(id_texts(values), index=values.index, dtype=object)


class _CountedAgain:
    """Counts kept rows while they are written again."""

    def __init__(self, model: MetaModel, reference: ModelReference) -> None:
        self._is_number = model.manifest.target.task == "regression"
        self._reference = reference
        self.counts: WindowCounts | None = None
        self.arms: pd.DataFrame | None = None

    def take(self, parts: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Count each part, and hand it on."""
        for table in parts:
            keys, labels = table[KEY].astype(object), table[LABEL]
            rows = WindowRows.of_kept(keys, kept_answers(table), labels, is_number=self._is_number)
            control = None
            if table[VARIANT_KEPT].notna().any():
                control = in_arm(table[VARIANT_KEPT], CONTROL)
                self.arms = sum_arms([self.arms, arm_sums(rows, table[VARIANT_KEPT])])
            self.counts = count_apart(self._reference, rows, control).plus(self.counts)
            yield table
