"""What one call to predict is asked for, and what its answers look like: columns, kinds, statuses."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
import pandas as pd

from metamodel.common.arrays import FEW_ROWS, AnyArray
from metamodel.common.choices import PredictMethod, UnknownPolicy
from metamodel.common.messages import count
from metamodel.common.validation import one_of
from metamodel.exceptions import ChildFailed, InputError
from metamodel.prediction.child import class_probabilities, predictions

__all__ = [
    "DETAIL_COLUMNS",
    "INTERVAL",
    "TEXT",
    "AnswerForm",
    "PredictOptions",
    "plain_numbers",
    "probability_column",
]

DETAIL_COLUMNS = ("key", "level", "child_version", "error")

INTERVAL = ("lower", "upper")

_NUMPY_KINDS = {"integer": "iu", "boolean": "b", "number": "fiu", "string": "U"}

# pandas' own dtype for text (object, since pandas 3 str), fixed here because pandas guesses from the values otherwise.
TEXT = pd.Series(["text"]).dtype

_PANDAS_DTYPES = {"integer": "Int64", "boolean": "boolean", "number": "float64", "string": TEXT}

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
        labels = predictions(child, x)
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
            return plain_numbers(values)
        kind = _PLAIN_KINDS[self.label_kind or "string"]
        return [None if missing else kind(x) for x, missing in zip(values.tolist(), pd.isna(values), strict=True)]

    def labels(self, values: AnyArray) -> Any:
        """Give predictions the dtype that depends on the model and never on the batch.

        One unknown group must not turn every label into a float.
        """
        if self.task == "regression":
            return values
        return pd.array(values, dtype=_PANDAS_DTYPES[self.label_kind or "string"])


def plain_numbers(numbers: AnyArray) -> list[float | None]:
    """Floats as JSON holds them: what is not finite is None."""
    if len(numbers) <= FEW_ROWS:  # NumPy's calls would cost more than the loop
        return [value if math.isfinite(value) else None for value in numbers.tolist()]
    values: list[float | None] = numbers.tolist()
    if np.isfinite(numbers).all():
        return values
    return [value if finite else None for value, finite in zip(values, np.isfinite(numbers).tolist(), strict=True)]
