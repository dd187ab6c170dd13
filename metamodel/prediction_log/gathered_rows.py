"""Rows of many calls by column, as plain values, from which a table is made: a call by itself is a row or two."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from metamodel.common.arrays import AnyArray
from metamodel.prediction.answer_form import VARIANTS
from metamodel.prediction.answers import Answers
from metamodel.prediction_log.answered_rows import AnsweredRows, LoggedModel
from metamodel.prediction_log.log_settings import LogSettings
from metamodel.prediction_log.row_ids import id_text
from metamodel.tables.features import FeatureColumns
from metamodel.tables.grouping import key_texts

__all__ = ["CallColumns", "GatheredRows", "RowColumns", "gathered_size", "has_features"]

# What a call takes besides the values of its rows, and a row besides its features: the objects around them.
_CALL_BYTES = 2000

_ROW_BYTES = 500

_CELL_BYTES = 8

_NOTHING: Mapping[str, Sequence[Any]] = MappingProxyType({})


class RowColumns(NamedTuple):
    """Columns of one value a row."""

    keys: list[str]
    row_ids: list[str | None]
    child_versions: list[str]
    variants: list[str | None]
    statuses: list[str]
    predictions: list[Any]


class CallColumns(NamedTuple):
    """Columns of one value a call.

    `limits` are the predictions with the radii of their intervals, `others` those answers to which a challenger adds
    its own, `features` a matrix where all of them are numbers; each None where there are none.
    """

    sizes: list[int]
    microseconds: list[int]
    seconds: list[float]
    limits: list[tuple[AnyArray, AnyArray] | None]
    others: list[Answers | None]
    sent: list[Mapping[str, Sequence[Any]]]
    features: list[AnyArray | FeatureColumns | None]
    bytes: list[int]


class GatheredRows:
    """What is logged of calls that one model answered, in their order.

    Parameters
    ----------
    model
        Who answered.
    settings
        What is logged.

    Attributes
    ----------
    rows, calls
        The columns.
    """

    def __init__(self, model: LoggedModel, settings: LogSettings) -> None:
        self.model = model
        self.settings = settings
        self.rows = RowColumns([], [], [], [], [], [])
        self.calls = CallColumns([], [], [], [], [], [], [], [])
        self.keeps_features = has_features(model, settings) or settings.sample < 1

    def __len__(self) -> int:
        return len(self.rows.keys)

    @property
    def size(self) -> int:
        """What it takes in memory, in bytes, about."""
        return sum(self.calls.bytes)

    def add(self, call: AnsweredRows) -> None:
        """Read what is logged of a call."""
        answers, n_rows = call.answers, len(call)
        of_rows = (
            _row_keys(call, n_rows),
            _row_ids(call, self.settings.row_id, n_rows),
            answers.child_versions,
            _variants(answers, n_rows),
            answers.statuses,
            answers.plain(answers.prediction),
        )
        of_call = (
            n_rows,
            call.microseconds,
            call.seconds,
            None if answers.radius is None else (answers.prediction, answers.radius),
            None if answers.shadow is None and answers.other is None else answers,
            call.sent if self.settings.entity else _NOTHING,
            _features(call) if self.keeps_features else None,
            gathered_size(call),
        )
        columns: Iterable[tuple[list[Any], Any]] = zip(self.rows, of_rows, strict=True)
        for column, values in columns:
            column.extend(values)
        columns = zip(self.calls, of_call, strict=True)
        for column, value in columns:
            column.append(value)

    def part(self, start: int, stop: int) -> Self:
        """Take some of the calls."""
        part = type(self)(self.model, self.settings)
        first = sum(self.calls.sizes[:start])
        last = first + sum(self.calls.sizes[start:stop])
        part.rows = RowColumns._make(column[first:last] for column in self.rows)
        part.calls = CallColumns._make(column[start:stop] for column in self.calls)
        return part


def gathered_size(call: AnsweredRows) -> int:
    """Say what a call would take in memory, in bytes, about."""
    return _CALL_BYTES + len(call) * (_ROW_BYTES + _CELL_BYTES * len(call.columns.arrays))


def has_features(model: LoggedModel, settings: LogSettings) -> bool:
    """Whether a table of this model's rows has their features: to be written, or to be counted."""
    return settings.features == "all" or (settings.features == "counts" and model.reference is not None)


def _row_keys(call: AnsweredRows, n_rows: int) -> list[str]:
    texts = key_texts(call.grouping.keys)
    return texts if len(texts) == n_rows == 1 else [texts[code] for code in call.grouping.codes.tolist()]


def _row_ids(call: AnsweredRows, column: str, n_rows: int) -> list[str | None]:
    values = call.sent.get(column)
    return [None] * n_rows if values is None else [id_text(value) for value in values]


def _variants(answers: Answers, n_rows: int) -> list[str | None]:
    codes = answers.variant
    return [None] * n_rows if codes is None else [VARIANTS[code] for code in codes.tolist()]


def _features(call: AnsweredRows) -> AnyArray | FeatureColumns:
    columns = call.columns
    return columns if columns.matrix is None or columns.odd is not None else columns.matrix
