"""Two versions before a gate: the rows that both answer, and what each of them answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.ledger_queries import keys_of, rows_of_groups
from metamodel.bundle.model import MetaModel
from metamodel.common.arrays import AnyArray, IntArray
from metamodel.common.group_status import ANSWERED
from metamodel.evaluation.metrics import log_losses
from metamodel.evaluation.slice_regression import time_blocks
from metamodel.evaluation.splits import known_times
from metamodel.prediction.further_answers import probability_column
from metamodel.tables.grouping import Grouping, group_rows
from metamodel.tables.keys import GroupKey
from metamodel.tables.weights import row_weights

__all__ = ["GateCheck", "GateRows", "Side", "gives_probabilities", "predicted", "probability_names", "slice_codes"]


@dataclass(frozen=True)
class GateCheck:
    """What came of one rule.

    Attributes
    ----------
    rule, check
        The rule's section, and what of it was looked at.
    passed
        Whether it holds.
    words
        What was found, in a sentence; of a rule that does not hold, why.
    value, bound
        The figure, and its limit; None where there is none.
    rows
        Rows that it was measured on.
    details
        The worst slices, groups or rows, for the page and the file.
    """

    rule: str
    check: str
    passed: bool
    words: str
    value: float | None = None
    bound: float | None = None
    rows: int = 0
    details: tuple[dict[str, Any], ...] = ()

    @classmethod
    def without_champion(cls, rule: str, check: str, bound: float | None = None) -> "GateCheck":
        """Let a rule pass that has nothing to compare with."""
        return cls(rule, check, True, "no champion", bound=bound)

    @classmethod
    def missing(cls, rule: str, check: str, why: str, bound: float | None = None, rows: int = 0) -> "GateCheck":
        """Let a rule fail whose figure is not there."""
        return cls(rule, check, False, f"not measured: {why}", bound=bound, rows=rows)


@dataclass(frozen=True)
class GateRows:
    """The rows that a gate looks at, as the candidate groups them."""

    frame: pd.DataFrame
    model: MetaModel = field(repr=False)

    @cached_property
    def grouping(self) -> Grouping:
        """Group of each row, by the candidate's group columns."""
        return group_rows(self.frame, self.model.manifest.keys)

    @cached_property
    def actual(self) -> pd.Series | None:
        """The target, missing where it is not known; None where the table has no such column."""
        target = self.model.manifest.target
        if target.name not in self.frame:
            return None
        values = self.frame[target.name]
        if target.task != "regression":
            return values.astype(object)
        return pd.to_numeric(values, errors="coerce").astype(np.float64)

    @property
    def no_target(self) -> str:
        """Say why nothing can be measured against the target; "" where it can."""
        if self.actual is None:
            return f"the table has no column {self.model.manifest.target.name!r}, the target"
        return "" if self.actual.notna().any() else f"every target in {self.model.manifest.target.name!r} is missing"

    @cached_property
    def weights(self) -> AnyArray | None:
        """Weights of the rows, where the model was trained with some and the table has them."""
        name = self.model.manifest.options.get("sample_weight")
        return row_weights(self.frame[name]) if name in self.frame else None

    @cached_property
    def clusters(self) -> list[IntArray]:
        """Rows whose errors depend on one another: what follows in time, one group's, one moment's."""
        codes, name = self.grouping.codes, self.model.manifest.options.get("time_column")
        if name not in self.frame:
            return [time_blocks(codes, None), codes]
        moments, _ = pd.factorize(known_times(self.frame[name], str(name)), sort=True)
        return [time_blocks(codes, moments), codes, moments + 1]


@dataclass(frozen=True)
class Side:
    """One version, and its answers.

    Attributes
    ----------
    name
        As people know it.
    model
        The opened model.
    answers
        `prediction`, `status`, `lower` and `upper` where there are intervals, probabilities where they were asked for;
        a row of the table each, numbered from 0.
    """

    name: str
    model: MetaModel = field(repr=False)
    answers: pd.DataFrame = field(repr=False)

    @classmethod
    def of(cls, name: str, model: MetaModel, frame: pd.DataFrame, *, proba: bool) -> "Side":
        """Answer all rows."""
        return cls(name, model, predicted(model, frame, proba=proba))

    @cached_property
    def answered(self) -> AnyArray:
        """Which rows have a prediction, shape (n_rows,); an infinite one is none."""
        values = self.answers["prediction"]
        if self.model.manifest.target.task == "regression":
            return np.isfinite(values.to_numpy(dtype=np.float64, na_value=np.nan))
        answered: AnyArray = values.notna().to_numpy()
        return answered

    @cached_property
    def groups(self) -> dict[GroupKey, str]:
        """Key of every group of full depth → its status."""
        manifest = self.model.manifest
        ledger = self.model.bundle.read_ledger([*manifest.keys.names, "level", "status"])
        children = rows_of_groups(ledger, len(manifest.keys.columns))
        return dict(zip(keys_of(children, manifest.keys), children["status"].tolist(), strict=True))

    @property
    def served_groups(self) -> set[GroupKey]:
        """Keys of the groups that a child answers, or the pooled model because it is better for them."""
        return {key for key, status in self.groups.items() if status in ANSWERED}

    def losses(self, metric: str, actual: pd.Series) -> AnyArray:
        """Loss of each row under a metric of `SLICE_METRICS`, shape (n_rows,); NaN without a prediction or a target."""
        known = self.answered & actual.notna().to_numpy()
        losses = np.full(len(actual), np.nan)
        predicted_values, truth = self.answers["prediction"][known], actual[known].to_numpy()
        if metric == "log_loss":
            classes = np.array(self.model.manifest.target.classes)
            probabilities = self.answers.loc[known, probability_names(self.model)].to_numpy(dtype=np.float64)
            losses[known] = log_losses(truth.astype(classes.dtype), probabilities, classes)
        elif metric == "accuracy":
            losses[known] = predicted_values.to_numpy(object) != truth
        else:
            error = predicted_values.to_numpy(dtype=np.float64) - truth
            losses[known] = np.abs(error) if metric == "mae" else error**2
        return losses


def gives_probabilities(model: MetaModel) -> bool:
    """Whether a classifier's answers can hold probabilities."""
    return model.manifest.target.task == "classification" and "predict_proba" in model.route.methods


def probability_names(model: MetaModel) -> list[str]:
    """Name the columns of the probabilities, in the order of the classes."""
    return [probability_column(label) for label in model.manifest.target.classes]


def predicted(model: MetaModel, frame: pd.DataFrame, *, proba: bool = False) -> pd.DataFrame:
    """Answer rows, a missing group with null whatever the model's policy says; a row of the table each, from 0 on."""
    params: dict[str, Any] = {"predict_method": "predict_proba" if proba else "predict", "detail": False}
    if model.manifest.unknown == "error":
        params["unknown"] = "null"
    return model.predict(frame, params).reset_index(drop=True)


def slice_codes(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[IntArray, list[str]]:
    """Give the rows of a table numbers by the values of some columns; a missing value makes a slice of its own.

    Returns
    -------
    codes, names : array of shape (n_rows,), list of str
        Slice of each row, and what each slice is called.
    """
    grouped = frame.groupby(list(columns), dropna=False, observed=True, sort=True)
    codes: IntArray = grouped.ngroup().to_numpy().astype(np.int64)
    first = np.unique(codes, return_index=True)[1]
    values = frame[list(columns)].iloc[first].itertuples(index=False, name=None)
    return codes, [", ".join(map(str, row)) for row in values]
