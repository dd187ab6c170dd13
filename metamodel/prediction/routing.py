"""Send every row of a mixed table to its group's child, and say who answered it.

Rows in = rows out, in the same order and under the same index, whatever the table holds. Children come through the
small `ChildStore` protocol, so that this package knows nothing of files.
"""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd

from metamodel.common.arrays import FEW_ROWS, AnyArray, IntArray
from metamodel.common.messages import count, listing
from metamodel.exceptions import InputError, InvalidKey, UnknownGroup
from metamodel.prediction.blending import Weights, blend_answers
from metamodel.prediction.dispatch import AskedChildren, Load, Rows, Tally
from metamodel.prediction.output import (
    DETAIL_COLUMNS,
    INTERVAL,
    AnswerForm,
    Answers,
    PredictOptions,
    probability_column,
)
from metamodel.tables.features import FeatureColumns, FeatureSchema
from metamodel.tables.grouping import Grouping, group_rows
from metamodel.tables.keys import GroupKey, KeySchema, encode_key
from metamodel.tables.small_tables import read_few_rows

__all__ = ["ChildStore", "Route", "Stack", "output_columns"]


class ChildStore(Protocol):
    """Where children come from: key → (child, version), raising `UnknownGroup` or `CorruptBundle`."""

    def load(self, key: GroupKey, *, keep: bool = True) -> tuple[Any, str]:
        """Load one child."""
        ...

    def should_keep(self, n_groups: int) -> bool:
        """Whether a batch over this many groups should leave its children in the cache."""
        ...

    def ahead(self, keys: Sequence[GroupKey], *, keep: bool) -> AbstractContextManager[Load]:
        """Return `load` for children that will be asked for in this order; those that are far away come early."""
        ...


class Stack(Protocol):
    """Many children evaluated as one array program; what it cannot answer as they would, it leaves to them."""

    def takes(self, *, proba: bool) -> bool:
        """Whether it can answer calls with, or without, probabilities."""
        ...

    def positions(self, keys: Sequence[GroupKey | InvalidKey]) -> IntArray:
        """Where each key's child is in the stack; -1 where it is not."""
        ...

    def versions(self, positions: IntArray) -> AnyArray:
        """Versions of children."""
        ...

    def answer(
        self, columns: Sequence[AnyArray], positions: IntArray, *, proba: bool
    ) -> tuple[AnyArray, AnyArray | None, AnyArray | None]:
        """Predictions, probabilities, and a mask of the rows it can answer (None for all)."""
        ...


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
        Levels of the fallback chain that exist, from the longest prefix to 0 (global).
    has_probabilities
        Whether the children have `predict_proba`.
    intervals
        Whether answers have the columns `lower` and `upper`; what fills them is not in this package.
    """

    keys: KeySchema
    features: FeatureSchema
    task: str
    label_kind: str | None
    classes: tuple[Any, ...]
    levels: tuple[int, ...]
    has_probabilities: bool = True
    intervals: bool = False

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
            One row for every row of `frame`, under its index: `prediction`, the probability columns if asked for,
            `status` ("child", "parent:<level>", "global", "unknown_group", "invalid_key", "failed"), and the detail
            if asked for.

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
    ) -> Answers:
        """Answer rows that are read already, with options that are checked already; else as `predict`."""
        call = _Call(self, options, tally or Tally(), *read)
        call.ask(store, stacks)
        if weights is not None:
            call.blend(weights, store, stacks)
        call.tally.rows.update(call.answers.tally())
        return call.answers

    def check(self, options: PredictOptions) -> None:
        """Raise `InputError` where this model cannot do what the options ask for."""
        if options.proba and self.task != "classification":
            raise InputError("predict_method='predict_proba' needs a classifier, but this model does regression.")
        if options.proba and not self.has_probabilities:
            raise InputError(
                "predict_method='predict_proba' needs children with predict_proba, which these have not. "
                "Train another estimator, or set its parameters so that it has (SVC: probability)."
            )

    def read(self, frame: pd.DataFrame) -> tuple[Grouping, FeatureColumns]:
        """Read a table: the groups of its rows, and its features; raises as `predict` does for columns."""
        read = read_few_rows(frame, self.keys, self.features) if len(frame) <= FEW_ROWS else None
        return read or (group_rows(frame, self.keys), self.features.columns(frame))

    def form(self, options: PredictOptions) -> AnswerForm:
        """Describe the answers of a call with these options."""
        form = self._forms.get(options)
        if form is None:
            depth = len(self.keys.columns)
            form = AnswerForm(self.task, self.label_kind, self.classes, depth, options, self.intervals)
            self._forms[options] = form
        return form

    @cached_property
    def _forms(self) -> dict[PredictOptions, AnswerForm]:
        return {}  # a handful at most: options have few values


class _Call:
    """One call to predict, or the part of it that asks the parents of one level."""

    def __init__(
        self, route: Route, options: PredictOptions, tally: Tally, grouping: Grouping, columns: FeatureColumns
    ) -> None:
        self.tally = tally
        self._level = len(route.keys.columns)
        self._route = route
        self._options = options
        self._grouping = grouping
        self._columns = columns
        self._form = route.form(options)
        self.answers = Answers(len(grouping.codes), self._form)

    def ask(self, store: ChildStore, stacks: Sequence[Stack], rows: IntArray | None = None) -> None:
        """Let stacks, and then children, answer some rows, None for all of them."""
        rest = self._ask_stacks(stacks, rows)
        if rest is None or len(rest):
            self._ask_children(rest, store)

    def blend(self, weights: Weights, store: ChildStore, stacks: Sequence[Stack]) -> None:
        """Blend what was answered with what the parents answer for the same rows."""

        def ask(level: int, rows: IntArray | None) -> Answers:
            tally, options = Tally(), replace(self._options, unknown="null")
            parents = _Call(self._route, options, tally, self._grouping.at_level(level), self._columns)
            parents._level = level
            parents.ask(store, stacks, rows)
            self.tally.seconds_predicting += tally.seconds_predicting
            return parents.answers

        blend_answers(self.answers, self._grouping, weights, self._level, ask)

    def _ask_stacks(self, stacks: Sequence[Stack], rest: IntArray | None) -> IntArray | None:
        """Let the stacks answer what they can; returns the rows that are left, None for all of them."""
        for stack in stacks if self._route.features.layout == "array" else ():
            if stack.takes(proba=self._options.proba) and (rest is None or len(rest)):
                rest = self._ask_stack(stack, rest)
        return rest

    def _ask_stack(self, stack: Stack, rest: IntArray | None) -> IntArray | None:
        of_groups = stack.positions(self._grouping.keys)
        lowest, highest = _extremes(of_groups)
        if highest < 0:
            return rest
        codes = self._grouping.codes
        positions = of_groups.take(codes if rest is None else codes[rest])
        usable = positions >= 0 if lowest < 0 else None
        if self._columns.problems:
            usable = np.ones(len(positions), dtype=bool) if usable is None else usable
            rows = range(len(codes)) if rest is None else rest.tolist()
            usable &= np.array([row not in self._columns.problems for row in rows], dtype=bool)
        if usable is None:
            return self._accept_stacked(stack, rest, positions)
        rows = np.flatnonzero(usable) if rest is None else rest[usable]
        left = self._accept_stacked(stack, rows, positions[usable])
        others = np.flatnonzero(~usable) if rest is None else rest[~usable]
        return others if left is None else np.concatenate([others, left])

    def _accept_stacked(self, stack: Stack, rows: IntArray | None, positions: IntArray) -> IntArray:
        """Ask for rows that the stack knows; returns those it leaves to the children."""
        started = time.perf_counter()
        columns = [values if rows is None else values[rows] for values in self._columns.arrays]
        labels, probabilities, answered = stack.answer(columns, positions, proba=self._options.proba)
        self.tally.seconds_predicting += time.perf_counter() - started
        where: Any = slice(None) if rows is None else rows
        left = np.empty(0, dtype=np.int64)
        if answered is not None and not answered.all():
            left = np.flatnonzero(~answered) if rows is None else rows[~answered]
            where = np.flatnonzero(answered) if rows is None else rows[answered]
            labels, positions = labels[answered], positions[answered]
            probabilities = None if probabilities is None else probabilities[answered]
        self.tally.rows_stacked += len(labels)
        versions = stack.versions(positions) if self._options.detail else ""
        self.answers.accept(where, self._level, versions, labels, probabilities)
        self._name(where)
        return left

    def _name(self, where: Any) -> None:
        if self._options.detail:
            keys = [encode_key(key) if isinstance(key, tuple) else "" for key in self._grouping.keys]
            self.answers.name(where, np.array(keys, dtype=object)[self._grouping.codes[where]])

    def _ask_children(self, rows: IntArray | None, store: ChildStore) -> None:
        """Let children answer rows, group by group, each a slice of one table in group order."""
        if rows is None and len(self._grouping.keys) == 1:  # in order as they are
            grouping, table, answers = self._grouping, self._columns.table(), self.answers
        else:
            grouping = self._grouping if rows is None else Grouping(self._grouping.keys, self._grouping.codes[rows])
            order = grouping.order if rows is None else rows[grouping.order]
            table, answers = self._columns.table().take(order), Answers(len(order), self._form)
        asked = AskedChildren(self._route.levels, table, self._form, self.tally, answers)
        groups = np.flatnonzero(grouping.counts).tolist()
        keys = [key for i in groups if isinstance(key := grouping.keys[i], tuple)]
        unknown: list[str] = []
        bounds = grouping.bounds.tolist()
        with store.ahead(keys, keep=store.should_keep(len(groups))) as load:
            for i in groups:
                try:
                    asked.answer(grouping.keys[i], Rows(bounds[i], bounds[i + 1]), load)
                except UnknownGroup as error:
                    unknown.append(str(error))
            asked.answer_orphans(load)
        asked.collect()
        if unknown:
            raise UnknownGroup(f"{count(len(unknown), 'group')} without a child model. First: {listing(unknown, 1)}")
        if answers is not self.answers:
            self.answers.scatter(order, answers)


def _extremes(positions: IntArray) -> tuple[int, int]:
    """Lowest and highest position; of none, -1."""
    if len(positions) <= FEW_ROWS:  # a reduction of NumPy costs microseconds
        few = positions.tolist()
        return min(few, default=-1), max(few, default=-1)
    return int(positions.min()), int(positions.max())


def output_columns(route: Route, options: PredictOptions) -> list[str]:
    """Names of the columns that a call with these options returns, in order."""
    probabilities = [probability_column(label) for label in route.classes] if options.proba else []
    interval = INTERVAL if route.intervals else ()
    return ["prediction", *interval, *probabilities, "status", *(DETAIL_COLUMNS if options.detail else ())]
