"""The output table of one call: prediction, probabilities, status and detail of every row.

Statuses are small codes until the table is handed out: a million strings cost more than a million predictions of a
linear model.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
import pandas as pd

from metamodel.common.arrays import FEW_ROWS, AnyArray, IntArray
from metamodel.common.choices import PredictMethod, UnknownPolicy
from metamodel.common.messages import count
from metamodel.common.validation import one_of
from metamodel.exceptions import ChildFailed, InputError
from metamodel.prediction.child import class_probabilities

__all__ = [
    "DETAIL_COLUMNS",
    "INTERVAL",
    "AnswerForm",
    "Answers",
    "PredictOptions",
    "probability_column",
]

DETAIL_COLUMNS = ("key", "level", "child_version", "error")

INTERVAL = ("lower", "upper")

_NUMPY_KINDS = {"integer": "iu", "boolean": "b", "number": "fiu", "string": "U"}

# pandas' own dtype for text (object, since pandas 3 str), fixed here because pandas guesses from the values otherwise.
_TEXT = pd.Series(["text"]).dtype

_PANDAS_DTYPES = {"integer": "Int64", "boolean": "boolean", "number": "float64", "string": _TEXT}

_PLAIN_KINDS: dict[str, Callable[[Any], Any]] = {
    "integer": int,
    "boolean": bool,
    "number": lambda value: float(value) if math.isfinite(value) else None,
    "string": str,
}

_REFUSALS = ("unknown_group", "invalid_key", "failed")


@dataclass(frozen=True)
class PredictOptions:
    """The choices of one call to predict.

    Parameters
    ----------
    detail
        Add who answered each row: key, level, version of the child, and error.
    predict_method
        "predict", or "predict_proba" to add one probability column for every class.
    unknown
        What to do with a group without a child: "null", "error" or "fallback".
    """

    detail: bool = False
    predict_method: PredictMethod = "predict"
    unknown: UnknownPolicy = "null"

    def __post_init__(self) -> None:
        one_of("predict_method", self.predict_method, get_args(PredictMethod))
        one_of("unknown", self.unknown, get_args(UnknownPolicy))
        if not isinstance(self.detail, bool):
            raise InputError(f"detail={self.detail!r} is neither true nor false.")

    @property
    def proba(self) -> bool:
        """Whether probabilities are asked for."""
        return self.predict_method == "predict_proba"


def probability_column(label: object) -> str:
    """Name of a class's probability column.

    Examples
    --------
    >>> probability_column("NEAR BAY"), probability_column(np.int64(1))
    ('probability_NEAR BAY', 'probability_1')
    """
    return f"probability_{label}"


@dataclass(frozen=True)
class AnswerForm:
    """What the answers of one call look like.

    Parameters
    ----------
    task, label_kind, classes
        As in `Route`.
    depth
        Number of group columns.
    options
        The call's choices.
    intervals
        Whether each prediction has an interval around it.
    """

    task: str
    label_kind: str | None
    classes: tuple[Any, ...]
    depth: int
    options: PredictOptions
    intervals: bool = False
    statuses: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        parents = [f"parent:{level}" for level in range(1, self.depth)]
        # Position = level of the child that answered, then the reasons why nobody did.
        object.__setattr__(self, "statuses", ("global", *parents, "child", *_REFUSALS))

    def ask(self, child: Any, x: Any) -> tuple[AnyArray, AnyArray | None]:
        """Call the child once or twice and check the shapes of what it returns."""
        rows = len(x)
        labels = np.asarray(child.predict(x))
        if labels.shape not in ((rows,), (rows, 1)):
            raise ChildFailed(f"predict returned shape {labels.shape} for {count(rows, 'row')}")
        if self.task == "regression":
            return labels.reshape(rows).astype(np.float64, copy=False), None
        probabilities = self._aligned(child, x) if self.options.proba else None
        return self._of_label_kind(labels.reshape(rows)), probabilities

    def _of_label_kind(self, labels: AnyArray) -> AnyArray:
        # One child's odd label must not fail when all answers are put into one column.
        kind = self.label_kind or "string"
        if labels.dtype.kind in _NUMPY_KINDS[kind]:
            return labels
        try:
            fits = kind != "string" or pd.api.types.infer_dtype(labels, skipna=True) in ("string", "empty")
            converted = pd.array(labels, dtype=_PANDAS_DTYPES[kind])
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise ChildFailed(f"predict returned {labels.dtype} labels, but the classes are {kind}s")
        return np.asarray(converted, dtype=object)

    def _aligned(self, child: Any, x: Any) -> AnyArray:
        given = class_probabilities(child, x)
        if given.shape != (len(x), len(child.classes_)):
            raise ChildFailed(f"predict_proba returned shape {given.shape} for {count(len(x), 'row')}")
        # A class that this group has never seen has probability 0 here.
        aligned = np.zeros((len(x), len(self.classes)))
        aligned[:, [self.classes.index(label) for label in child.classes_.tolist()]] = given
        return aligned

    def plain_labels(self, values: AnyArray) -> list[Any]:
        """Predictions as JSON holds them, of the same kinds as those of `labels`."""
        if self.task == "regression":
            return _plain(values)
        kind = _PLAIN_KINDS[self.label_kind or "string"]
        return [None if missing else kind(x) for x, missing in zip(values.tolist(), pd.isna(values), strict=True)]

    def labels(self, values: AnyArray) -> Any:
        """Give predictions the dtype that depends on the model and never on the batch.

        One unknown group must not turn every label into a float.
        """
        if self.task == "regression":
            return values
        return pd.array(values, dtype=_PANDAS_DTYPES[self.label_kind or "string"])


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
    """

    def __init__(self, n_rows: int, form: AnswerForm) -> None:
        self._form = form
        regression = form.task == "regression"
        self.prediction = np.full(n_rows, np.nan) if regression else np.full(n_rows, None, dtype=object)
        self.status = np.full(n_rows, form.statuses.index("unknown_group"), dtype=np.int16)
        self.probabilities = np.full((n_rows, len(form.classes)), np.nan) if form.options.proba else None
        self.radius = np.full(n_rows, np.nan) if form.intervals else None
        self._detail: tuple[AnyArray, ...] = ()
        if form.options.detail:
            self._detail = (
                np.full(n_rows, "", dtype=object),
                np.full(n_rows, -1, dtype=np.int64),
                np.full(n_rows, "", dtype=object),
                np.full(n_rows, "", dtype=object),
            )

    def accept(
        self, where: slice | IntArray, level: int, version: Any, labels: AnyArray, probabilities: AnyArray | None
    ) -> None:
        """Record what a child of one level answered; `version` is one for all rows, or one a row."""
        self.prediction[where] = labels
        self.status[where] = level
        if self.probabilities is not None and probabilities is not None:
            self.probabilities[where] = probabilities
        if self._detail:
            self._detail[1][where] = level
            self._detail[2][where] = version

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
        for mine, its in zip(self._columns(), part._columns(), strict=True):
            mine[order] = its

    def _columns(self) -> Sequence[AnyArray]:
        probabilities = () if self.probabilities is None else (self.probabilities,)
        return (self.prediction, self.status, *probabilities, *self._detail)

    def _interval(self) -> dict[str, AnyArray]:
        if self.radius is None:
            return {}
        with np.errstate(over="ignore"):
            return dict(zip(INTERVAL, (self.prediction - self.radius, self.prediction + self.radius), strict=True))

    def tally(self) -> dict[str, int]:
        """Rows by status."""
        counts = np.bincount(self.status).tolist()
        return {self._form.statuses[code]: number for code, number in enumerate(counts) if number}

    def records(self) -> list[dict[str, Any]]:
        """Put the columns into one dict a row, ready for JSON: what has no value, or no finite one, is None.

        Examples
        --------
        >>> answers = Answers(2, AnswerForm("regression", None, (), 1, PredictOptions()))
        >>> answers.accept(slice(0, 1), 1, "", np.array([0.5]), None)
        >>> answers.records()
        [{'prediction': 0.5, 'status': 'child'}, {'prediction': None, 'status': 'unknown_group'}]
        """
        columns: dict[str, Any] = {"prediction": self._form.plain_labels(self.prediction)}
        columns |= {name: _plain(limits) for name, limits in self._interval().items()}
        if self.probabilities is not None:
            of_classes = self.probabilities.T
            columns |= {probability_column(x): _plain(of_classes[i]) for i, x in enumerate(self._form.classes)}
        columns["status"] = [self._form.statuses[code] for code in self.status.tolist()]
        columns |= {
            name: values.tolist() for name, values in zip(DETAIL_COLUMNS, self._detail, strict=bool(self._detail))
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def frame(self, index: pd.Index) -> pd.DataFrame:
        """Put the columns into one table."""
        columns: dict[str, Any] = {"prediction": self._form.labels(self.prediction), **self._interval()}
        if self.probabilities is not None:
            columns |= {probability_column(x): self.probabilities[:, i] for i, x in enumerate(self._form.classes)}
        columns["status"] = np.array(self._form.statuses, dtype=object).take(self.status)
        columns |= dict(zip(DETAIL_COLUMNS, self._detail, strict=bool(self._detail)))
        if not isinstance(_TEXT, np.dtype):
            columns = {name: pd.array(v, dtype=_TEXT) if v.dtype == object else v for name, v in columns.items()}
        return pd.DataFrame(columns, index=index, copy=False)


def _plain(numbers: AnyArray) -> list[float | None]:
    if len(numbers) <= FEW_ROWS:  # NumPy's calls would cost more than the loop
        return [value if math.isfinite(value) else None for value in numbers.tolist()]
    values: list[float | None] = numbers.tolist()
    if np.isfinite(numbers).all():
        return values
    return [value if finite else None for value, finite in zip(values, np.isfinite(numbers).tolist(), strict=True)]
