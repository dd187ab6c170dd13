"""Send every row of a mixed table to its group's child, and say who answered it.

Rows in = rows out, in the same order and under the same index, whatever the table holds. Children come through the
small `ChildStore` protocol, so that this package knows nothing of files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from metamodel.common.arrays import IntArray
from metamodel.exceptions import InputError
from metamodel.prediction.answer_form import DETAIL_COLUMNS, INTERVAL, OTHER, VARIANT, AnswerForm, PredictOptions
from metamodel.prediction.answers import Answers
from metamodel.prediction.blending import Weights
from metamodel.prediction.call import Call
from metamodel.prediction.protocols import ChildStore, Stack
from metamodel.prediction.tally import Tally
from metamodel.tables.features import FeatureColumns, FeatureSchema
from metamodel.tables.grouping import Grouping
from metamodel.tables.keys import KeySchema
from metamodel.tables.small_tables import read_any_rows

__all__ = ["Route", "check_probabilities", "output_columns"]


@dataclass(frozen=True)
class Route:
    """Everything about a meta-model that routing needs, besides its children.

    Parameters
    ----------
    keys, features
        The recorded schemas.
    task
        "regression" or "classification".
    label_kind, classes
        For classifiers: kind of the labels, and the sorted union of the classes of all groups.
    levels
        Levels of the fallback chain that exist, from the longest prefix to 0 (global), or to `POOLED`.
    methods
        Which methods beside `predict` all children have.
    intervals
        Whether answers have the columns `lower` and `upper`; what fills them is not in this package.
    transformed
        How many columns children's `transform` gives, at most.
    variants
        Whether answers say who answered: "" for no, "in detail" of a roll-out, "always" with a control group.
    both
        Whether answers show two models' predictions.
    """

    keys: KeySchema
    features: FeatureSchema
    task: str
    label_kind: str | None
    classes: tuple[Any, ...]
    levels: tuple[int, ...]
    methods: tuple[str, ...] = ("predict_proba",)
    intervals: bool = False
    transformed: int = 0
    variants: Literal["", "in detail", "always"] = ""
    both: bool = False

    def predict(
        self,
        frame: pd.DataFrame,
        store: ChildStore,
        options: PredictOptions,
        stacks: Sequence[Stack] = (),
        tally: Tally | None = None,
        weights: Weights | None = None,
    ) -> pd.DataFrame:
        """Answer every row.

        Parameters
        ----------
        frame
            Any table with the group columns and the features; further columns are ignored.
        store
            Where children come from.
        options
            The call's choices.
        stacks
            Children that need not be asked one by one.
        tally
            Where to count what was done.
        weights
            How each group's prediction is blended with its parents'; None for no blending.

        Returns
        -------
        DataFrame
            One row for every row of `frame`, under its index: `prediction`, what `predict_method` adds,
            `status` ("child", "parent:<level>", "global", "pooled", "unknown_group", "invalid_key", "failed"), and the
            detail if asked for.

        Raises
        ------
        MissingColumns
            A group column or a feature is not in the table.
        UnknownGroup
            Under the policy "error", when a group has no child.
        """
        self.check(options)
        return self.answer(self.read(frame), store, options, stacks, tally, weights).frame(frame.index)

    def answer(
        self,
        read: tuple[Grouping, FeatureColumns],
        store: ChildStore,
        options: PredictOptions,
        stacks: Sequence[Stack] = (),
        tally: Tally | None = None,
        weights: Weights | None = None,
        rows: IntArray | None = None,
    ) -> Answers:
        """Answer rows that are read already, with options that are checked already; else as `predict`.

        Of `rows` alone, if they are given; the others stay without an answer.
        """
        call = Call(*read, self.form(options), self.levels, tally or Tally())
        call.ask(store, stacks, rows)
        if weights is not None:
            call.blend(weights, store, stacks)
        call.tally.rows.update(call.answers.tally(rows))
        return call.answers

    def check(self, options: PredictOptions) -> None:
        """Raise `InputError` where this model cannot do what the options ask for."""
        if options.proba:
            check_probabilities(self.task)
        method = options.predict_method
        if method == "predict" or method in self.methods:
            return
        remedy = (
            "or set its parameters so that it has (SVC: probability)" if options.proba else "or ask for another one"
        )
        raise InputError(
            f"predict_method={method!r} needs children with {method}, which these have not. "
            f"Train another estimator, {remedy}."
        )

    def read(self, frame: pd.DataFrame) -> tuple[Grouping, FeatureColumns]:
        """Read a table: the groups of its rows, and its features; raises as `predict` does for columns."""
        return read_any_rows(frame, self.keys, self.features)

    def form(self, options: PredictOptions) -> AnswerForm:
        """Describe the answers of a call with these options."""
        form = self._forms.get(options)
        if form is None:
            depth = len(self.keys.columns)
            described = self.task, self.label_kind, self.classes, depth, options, self.intervals, self.transformed
            form = AnswerForm(*described, tells_variant=self.tells_variant(options))
            self._forms[options] = form
        return form

    def tells_variant(self, options: PredictOptions) -> bool:
        """Whether the answers of a call with these options say who answered."""
        return self.variants == "always" or (self.variants == "in detail" and options.detail)

    @cached_property
    def _forms(self) -> dict[PredictOptions, AnswerForm]:
        return {}  # a handful at most: options have few values


def output_columns(route: Route, options: PredictOptions) -> list[str]:
    """Names of the columns that a call with these options returns, in order."""
    interval = INTERVAL if route.intervals else ()
    further = route.form(options).further
    other = (OTHER,) if route.both else ()
    detail = DETAIL_COLUMNS if options.detail else ()
    variant = (VARIANT,) if route.tells_variant(options) else ()
    return ["prediction", *other, *interval, *further, "status", *detail, *variant]


def check_probabilities(task: str) -> None:
    """Raise `InputError` where models of this kind have no probabilities."""
    if task != "classification":
        raise InputError("predict_method='predict_proba' needs a classifier, but this model does regression.")
