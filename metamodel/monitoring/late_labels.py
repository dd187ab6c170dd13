"""What came true, joined to the rows that were predicted: by id, in the same call or windows later.

Rows that have ids are kept with their window: id, group, prediction, interval and, once it is known, the label. No
feature is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from metamodel.bundle.model import MetaModel
from metamodel.common.messages import count, listing, short
from metamodel.common.whole_files import whole_file
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.evaluation.drift.window_counts import count_window
from metamodel.evaluation.drift.window_rows import WindowRows
from metamodel.exceptions import InputError
from metamodel.monitoring.judge_window import MOST_WINDOWS
from metamodel.monitoring.monitor_state import MonitorState
from metamodel.tables.grouping import check_columns

__all__ = ["Labels", "keep_rows", "late_labels"]

_ROWS = "rows.parquet"

_KEY = "(key)"

_LABEL = "(label)"

_ANSWERS = ("prediction", "lower", "upper")


@dataclass(frozen=True)
class Labels:
    """Labels of rows.

    Attributes
    ----------
    table
        Index: the id; what came true.
    on
        The columns of the id.
    fitted
        Rows of the table that fit a row, so far.
    """

    table: pd.Series
    on: tuple[str, ...]
    fitted: int = 0

    @classmethod
    def of(cls, labels: pd.DataFrame, on: Sequence[str], target: str) -> "Labels":
        """Read a table of labels.

        Raises
        ------
        InputError
            It lacks the id or the label, or has an id twice.
        """
        check_columns(labels, [*on, target], "column of labels")
        labels = labels[labels[target].notna()]
        _check_once(labels, on, "labels")
        return cls(labels.set_index(list(on))[target], tuple(on))

    def joined(self, frame: pd.DataFrame) -> tuple[pd.Series, "Labels"]:
        """Give each row its label, null where there is none.

        Raises
        ------
        InputError
            The rows lack the id, or have one twice.
        """
        check_columns(frame, self.on, "column of the rows' id")
        _check_once(frame, self.on, "data")
        values = frame[list(self.on)].join(self.table.rename(_LABEL), on=list(self.on))[_LABEL]
        values.index = frame.index
        return values, replace(self, fitted=self.fitted + int(values.notna().sum()))


def _check_once(frame: pd.DataFrame, on: Sequence[str], what: str) -> None:
    twice = frame.duplicated(list(on))
    if twice.any():
        ids = frame.loc[twice, list(on)].iloc[0].tolist()
        raise InputError(
            f"{what} has {count(int(twice.sum()), 'row')} whose id ({listing(on)}) stands there before "
            f"(first: {short(ids[0] if len(ids) == 1 else ids)}). "
            "Keep one row an id, or name other columns in on."
        )


def keep_rows(
    state: MonitorState, window: str, frame: pd.DataFrame, answers: pd.DataFrame, rows: WindowRows, labels: Any
) -> None:
    """Keep what a later label needs of a window's rows.

    Parameters
    ----------
    state, window
        Where.
    frame
        The columns of the id alone.
    answers
        `prediction`, `lower`, `upper`.
    rows
        The same rows, for their groups.
    labels
        What is known already; None for nothing.
    """
    table = frame.reset_index(drop=True)
    for name in _ANSWERS:
        if name in answers:
            table[f"({name})"] = answers[name].to_numpy()
    table[_KEY] = pd.Categorical.from_codes(rows.codes, categories=pd.Index(rows.texts.tolist()))
    if labels is not None:
        table[_LABEL] = labels.to_numpy()
    folder = state.folder(window)
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / _ROWS) as unfinished:
        table.to_parquet(unfinished, compression="zstd", index=False)


def late_labels(
    model: MetaModel,
    reference: ModelReference,
    state: MonitorState,
    window: str,
    labels: Labels,
    at_hand: Sequence[str],
) -> tuple[Labels, list[str]]:
    """Give labels that came late to the windows of their rows, but for those at hand, and count these again.

    Returns
    -------
    labels, windows
        With the rows that they fit counted, and the windows that changed.
    """
    changed = []
    for name in state.names_before(window)[:MOST_WINDOWS]:
        if name in at_hand:
            continue
        path = state.folder(name) / _ROWS
        if not path.is_file() or not set(labels.on) <= set(pq.read_schema(path).names):
            continue
        table = pd.read_parquet(path)
        values, labels = labels.joined(table)
        if not values.notna().any():
            continue
        table[_LABEL] = values if _LABEL not in table else values.where(values.notna(), table[_LABEL])
        _count_again(model, reference, state, name, table)
        with whole_file(path) as unfinished:
            table.to_parquet(unfinished, compression="zstd", index=False)
        changed.append(name)
    return labels, changed


def _count_again(
    model: MetaModel, reference: ModelReference, state: MonitorState, window: str, table: pd.DataFrame
) -> None:
    answers = pd.DataFrame({name: table[f"({name})"] for name in _ANSWERS if f"({name})" in table})
    is_number = model.manifest.target.task == "regression"
    rows = WindowRows.of_kept(table[_KEY].astype(object), answers, table[_LABEL], is_number=is_number)
    state.keep_counts(window, state.counts(window).with_labels(count_window(reference, rows)))
