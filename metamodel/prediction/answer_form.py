"""What one call to predict is asked for, and what its answers look like: columns, kinds, statuses."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self, get_args

import numpy as np
import pandas as pd

from metamodel.common.arrays import FEW_ROWS, AnyArray
from metamodel.common.choices import PredictMethod, UnknownPolicy
from metamodel.common.messages import count, did_you_mean
from metamodel.common.validation import one_of
from metamodel.exceptions import ChildFailed, InputError
from metamodel.prediction.answer_frames import TEXT, as_texts
from metamodel.prediction.child import predictions
from metamodel.prediction.further_answers import further_answers, further_columns

__all__ = [
    "CONTROL",
    "CONTROL_FAILED",
    "DETAIL_COLUMNS",
    "INTERVAL",
    "OTHER",
    "ROLLOUT_VARIANTS",
    "STACKED_METHODS",
    "TREATED",
    "VARIANT",
    "VARIANTS",
    "AnswerForm",
    "PredictOptions",
    "plain_numbers",
]

DETAIL_COLUMNS = ("key", "level", "child_version", "error")

INTERVAL = ("lower", "upper")

# Of a roll-out, behind the columns of `detail`: who answered, and whether that is who should have.
VARIANT = "variant"

ROLLOUT_VARIANTS = ("champion", "challenger", "challenger_failed")

# Of a model with a control group, in every answer: the child, a parent, or the child because no parent could.
TREATED, CONTROL, CONTROL_FAILED = "treated", "control", "control_failed"

VARIANTS = (*ROLLOUT_VARIANTS, TREATED, CONTROL, CONTROL_FAILED)

OTHER = "prediction_other"

_PARAMS = ("detail", "predict_method", "unknown")

# What stacks know.
STACKED_METHODS = ("predict", "predict_proba")

_NUMPY_KINDS = {"integer": "iu", "boolean": "b", "number": "fiu", "string": "U"}

_PANDAS_DTYPES = {"integer": "Int64", "boolean": "boolean", "number": "float64", "string": TEXT}

_PLAIN_KINDS: dict[str, Callable[[Any], Any]] = {
    "integer": int,
    "boolean": bool,
    "number": lambda value: float(value) if math.isfinite(value) else None,
    "string": str,
}

# Of rows that the pooled model answers.
_POOLED = "pooled"

_REFUSALS = ("unknown_group", "invalid_key", "failed")


@dataclass(frozen=True)
class PredictOptions:
    """The choices of one call to predict.

    Parameters
    ----------
    detail
        Add who answered each row: key, level, version of the child, and error.
    predict_method
        "predict"; or what to add to it: "predict_proba" (a probability for every class), "decision_function" (a score,
        of more than two classes one for each), "score_samples", or "transform" (as many columns as it gives).
    unknown
        What to do with a group without a child: "null", "error" or "fallback".
    """

    detail: bool = False
    predict_method: PredictMethod = "predict"
    unknown: UnknownPolicy = "null"

    @classmethod
    def complete(cls, given: Mapping[str, Any], unknown: str) -> Self:
        """Read a call's params; what is not given is usual, and `unknown` the model's own policy.

        Raises
        ------
        InputError
            A param is unknown, or has a value it cannot have.
        """
        if odd := sorted(map(str, set(given) - set(_PARAMS))):
            raise InputError(
                f"Unknown predict params: {', '.join(odd)}. There are: {', '.join(_PARAMS)}."
                f"{did_you_mean(odd, _PARAMS)}"
            )
        return cls(
            detail=given.get("detail", False),
            predict_method=given.get("predict_method") or "predict",
            unknown=given.get("unknown") or unknown,  # type: ignore[arg-type]  # checked below
        )

    def __post_init__(self) -> None:
        one_of("predict_method", self.predict_method, get_args(PredictMethod))
        one_of("unknown", self.unknown, get_args(UnknownPolicy))
        if not isinstance(self.detail, bool):
            raise InputError(f"detail={self.detail!r} is neither true nor false.")

    @property
    def proba(self) -> bool:
        """Whether probabilities are asked for."""
        return self.predict_method == "predict_proba"

    @property
    def of_stacks(self) -> bool:
        """Whether stacks can answer."""
        return self.predict_method in STACKED_METHODS


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
    transformed
        How many columns children's `transform` gives.
    tells_variant
        Whether answers say whose they are.

    Attributes
    ----------
    statuses
        Words of the column `status`, by their codes.
    further
        Names of the columns that the call's `predict_method` adds.
    """

    task: str
    label_kind: str | None
    classes: tuple[Any, ...]
    depth: int
    options: PredictOptions
    intervals: bool = False
    transformed: int = 0
    tells_variant: bool = False
    statuses: tuple[str, ...] = field(init=False)
    further: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        parents = [f"parent:{level}" for level in range(1, self.depth)]
        # Position = level of the child that answered, then the pooled model, then the reasons why nobody did.
        object.__setattr__(self, "statuses", ("global", *parents, "child", _POOLED, *_REFUSALS))
        further = further_columns(self.options.predict_method, self.classes, self.transformed)
        object.__setattr__(self, "further", further)

    @cached_property
    def status_texts(self) -> Any:
        """Statuses as pandas holds texts, to take each row's from."""
        return as_texts(list(self.statuses))

    @property
    def pooled(self) -> int:
        """Position of the status of rows that the pooled model answers."""
        return self.depth + 1

    def ask(self, child: Any, x: Any) -> tuple[AnyArray, AnyArray | None]:
        """Call the child once or twice and check the shapes of what it returns."""
        rows = len(x)
        labels = predictions(child, x)
        if labels.shape not in ((rows,), (rows, 1)):
            raise ChildFailed(f"predict returned shape {labels.shape} for {count(rows, 'row')}")
        labels = labels.reshape(rows)
        regression = self.task == "regression"
        labels = labels.astype(np.float64, copy=False) if regression else self._of_label_kind(labels)
        if not self.further:
            return labels, None
        return labels, further_answers(child, x, self.options.predict_method, self.classes, len(self.further))

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
