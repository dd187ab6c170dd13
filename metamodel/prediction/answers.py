"""The output table of one call: prediction, what else was asked for, status and detail of every row.

Statuses are small codes until the table is handed out: a million strings cost more than a million predictions of a
linear model.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, BoolArray, IntArray
from metamodel.prediction.answer_form import (
    DETAIL_COLUMNS,
    INTERVAL,
    OTHER,
    VARIANT,
    VARIANTS,
    AnswerForm,
    plain_numbers,
)
from metamodel.prediction.answer_frames import answer_frame, as_texts
from metamodel.prediction.pooled_model import POOLED

__all__ = ["Answers", "ShadowAnswer"]


# One for all rows, one a row, or a call that tells one a row.
_Version = str | AnyArray | Callable[[], Any]


class ShadowAnswer:
    """What a challenger in the shadow answers for the rows of one call, as soon as it has.

    Attributes
    ----------
    prediction
        Of each row; None before, and where it failed as a whole.
    status
        Of each row, as in answers; empty without predictions.
    error
        Why there are none.
    done
        Whether it has answered, or failed.
    """

    __slots__ = ("done", "error", "prediction", "status")

    def __init__(self) -> None:
        # Looked at by the log's thread, which comes again: whoever answers must not pay for a lock.
        self.done = False
        self.prediction: AnyArray | None = None
        self.status: list[str] = []
        self.error = ""

    def fill(self, prediction: AnyArray, status: list[str]) -> None:
        """Take the challenger's answers in."""
        self.prediction, self.status = prediction, status
        self.done = True

    def fail(self, error: str) -> None:
        """Take in why there will be none."""
        self.error = error
        self.done = True


class Answers:
    """The output columns of some rows; nobody has answered any of them at first.

    Parameters
    ----------
    n_rows
        Number of rows.
    form
        What the answers look like.

    Attributes
    ----------
    radius
        Half the width of each row's interval, NaN where it has none; None where the model has no intervals.
    variant
        Of a roll-out, or with a control group: position in `VARIANTS` of who answered each row; else None.
    other
        Of an interleaved roll-out: what the other model predicts for each row; else None.
    shadow
        Of a roll-out in the shadow whose answers somebody logs: what the challenger will have answered; else None.
    """

    def __init__(self, n_rows: int, form: AnswerForm) -> None:
        self._form = form
        regression = form.task == "regression"
        self.prediction = np.full(n_rows, np.nan) if regression else np.full(n_rows, None, dtype=object)
        self.status = np.full(n_rows, form.statuses.index("unknown_group"), dtype=np.int16)
        self.further = np.full((n_rows, len(form.further)), np.nan) if form.further else None
        self.radius = np.full(n_rows, np.nan) if form.intervals else None
        self.variant: AnyArray | None = None
        self.other: AnyArray | None = None
        self.shadow: ShadowAnswer | None = None
        self._asked: list[tuple[slice | IntArray, _Version]] = []
        self._detail: tuple[AnyArray, ...] = ()
        if form.options.detail:
            self._detail = (
                np.full(n_rows, "", dtype=object),
                np.full(n_rows, -1, dtype=np.int64),
                np.full(n_rows, "", dtype=object),
                np.full(n_rows, "", dtype=object),
            )

    def accept(
        self, where: slice | IntArray, level: int, version: Any, labels: AnyArray, further: AnyArray | None
    ) -> None:
        """Record what a child of one level answered; `version` is one for all rows, one a row, or a call that tells it.

        Of the pooled model, `level` is POOLED.
        """
        self._asked.append((where, version))
        self.prediction[where] = labels
        self.status[where] = self._form.pooled if level == POOLED else level
        if self.further is not None and further is not None:
            self.further[where] = further
        if self._detail:
            self._detail[1][where] = max(level, 0)  # the pooled model is one for all groups
            self._detail[2][where] = version() if callable(version) else version

    def name(self, where: slice | IntArray, key: Any) -> None:
        """Record the rows' own encoded key, if it is asked for."""
        if self._detail:
            self._detail[0][where] = key

    def refuse(self, where: slice | IntArray, status: str, error: str) -> None:
        """Record that nobody answered, and why."""
        self.status[where] = self._form.statuses.index(status)
        if self._detail:
            self._detail[3][where] = error

    def withdraw(self, where: IntArray, errors: AnyArray | str) -> None:
        """Take back what was accepted for some rows: it turned out to be no answer, and why."""
        self._asked.append((where, ""))
        self.prediction[where] = np.nan if self._form.task == "regression" else None
        self.status[where] = self._form.statuses.index("failed")
        if self._detail:
            self._detail[1][where] = -1
            self._detail[2][where] = ""
            self._detail[3][where] = errors

    @property
    def explains(self) -> bool:
        """Whether it is recorded why a row has no answer."""
        return bool(self._detail)

    def error_of(self, row: int) -> str:
        """Say why a row has no answer, where that is recorded."""
        return str(self._detail[3][row])

    def scatter(self, order: IntArray, part: "Answers") -> None:
        """Take over the answers of other rows: `order` says where each of them belongs."""
        self._asked += [(order[where], version) for where, version in part._asked]
        for mine, its in zip(self._columns(), part._columns(), strict=True):
            mine[order] = its

    def take_over(self, rows: IntArray, other: "Answers") -> None:
        """Take over another model's answers of some of the same rows, intervals and all."""
        self._asked.append((rows, np.array(other.child_versions, dtype=object)[rows]))
        for mine, its in zip(self._columns(), other._columns(), strict=True):
            mine[rows] = its[rows]
        if self.radius is not None and other.radius is not None:
            self.radius[rows] = other.radius[rows]

    @property
    def failed(self) -> IntArray:
        """Positions of the rows whose child could not answer."""
        return np.flatnonzero(self.status == self._form.statuses.index("failed"))

    @property
    def answered(self) -> BoolArray:
        """Whether somebody answered each row, shape (n_rows,)."""
        return np.asarray(self.status <= self._form.pooled)

    @property
    def statuses(self) -> list[str]:
        """Status of each row."""
        return [self._form.statuses[code] for code in self.status.tolist()]

    @property
    def child_versions(self) -> list[str]:
        """Version of the child that answered each row, "" where none did; found out when it is asked for."""
        if len(self._asked) == 1 and isinstance(self._asked[0][0], slice) and self._asked[0][0] == slice(None):
            version = self._asked[0][1]  # as of most calls of servers
            told = version() if callable(version) else version
            return [told] * len(self.status) if isinstance(told, str) else list(told)
        versions = np.full(len(self.status), "", dtype=object)
        for where, version in self._asked:
            versions[where] = version() if callable(version) else version
        return versions.tolist()

    def plain(self, labels: AnyArray) -> list[Any]:
        """Give predictions of this model's kind as plain values, None where there is none."""
        return self._form.plain_labels(labels)

    def _columns(self) -> Sequence[AnyArray]:
        further = () if self.further is None else (self.further,)
        return (self.prediction, self.status, *further, *self._detail)

    def _interval(self) -> dict[str, AnyArray]:
        if self.radius is None:
            return {}
        with np.errstate(over="ignore"):
            return dict(zip(INTERVAL, (self.prediction - self.radius, self.prediction + self.radius), strict=True))

    def tally(self, rows: IntArray | None = None) -> dict[str, int]:
        """Rows by status; of some rows alone, None for all of them."""
        counts = np.bincount(self.status if rows is None else self.status[rows]).tolist()
        return {self._form.statuses[code]: number for code, number in enumerate(counts) if number}

    def records(self) -> list[dict[str, Any]]:
        """Put the columns into one dict a row, ready for JSON: what has no value, or no finite one, is None.

        Examples
        --------
        >>> from metamodel.prediction.answer_form import PredictOptions
        >>> answers = Answers(2, AnswerForm("regression", None, (), 1, PredictOptions()))
        >>> answers.accept(slice(0, 1), 1, "", np.array([0.5]), None)
        >>> answers.records()
        [{'prediction': 0.5, 'status': 'child'}, {'prediction': None, 'status': 'unknown_group'}]
        """
        return next(self.record_pieces(max(len(self.status), 1)), [])

    def record_pieces(self, rows: int) -> Iterator[list[dict[str, Any]]]:
        """Yield `records` in pieces of so many rows; none where there are no rows."""
        columns = self._plain_columns()
        names = tuple(columns)
        of_rows = zip(*columns.values(), strict=True)
        while piece := [dict(zip(names, row, strict=True)) for row in itertools.islice(of_rows, rows)]:
            yield piece

    def _plain_columns(self) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {"prediction": self._form.plain_labels(self.prediction)}
        if self.other is not None:
            columns[OTHER] = self._form.plain_labels(self.other)
        columns |= {name: plain_numbers(limits) for name, limits in self._interval().items()}
        if self.further is not None:
            columns |= {name: plain_numbers(self.further[:, i]) for i, name in enumerate(self._form.further)}
        columns["status"] = self.statuses
        columns |= {
            name: values.tolist() for name, values in zip(DETAIL_COLUMNS, self._detail, strict=bool(self._detail))
        }
        if self.variant is not None and self._form.tells_variant:
            columns[VARIANT] = [VARIANTS[code] for code in self.variant.tolist()]
        return columns

    def frame(self, index: pd.Index) -> pd.DataFrame:
        """Put the columns into one table."""
        columns: dict[str, Any] = {"prediction": self._form.labels(self.prediction)}
        if self.other is not None:
            columns[OTHER] = self._form.labels(self.other)
        columns |= self._interval()
        if self.further is not None:
            columns |= {name: self.further[:, i] for i, name in enumerate(self._form.further)}
        columns["status"] = self._form.status_texts.take(self.status)
        for name, values in zip(DETAIL_COLUMNS, self._detail, strict=bool(self._detail)):
            columns[name] = as_texts(values) if values.dtype == object else values
        if self.variant is not None and self._form.tells_variant:
            columns[VARIANT] = as_texts(np.array(VARIANTS, dtype=object)[self.variant])
        return answer_frame(columns, index)
