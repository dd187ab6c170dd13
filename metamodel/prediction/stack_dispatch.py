"""Let stacks answer what they can of one call, each as one array program; the other rows are left to the children."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from metamodel.common.arrays import FEW_ROWS, IntArray
from metamodel.prediction.answers import Answers
from metamodel.prediction.protocols import Stack
from metamodel.prediction.tally import Tally
from metamodel.tables.features import FeatureColumns
from metamodel.tables.grouping import Grouping

__all__ = ["StackedRows"]


class StackedRows:
    """Rows of one call as stacks see them.

    Parameters
    ----------
    grouping, columns
        The rows' groups and features.
    level
        Level of the children that are asked.
    tally
        Where to count.
    answers
        Where to put the answers, in the order of the rows.
    """

    def __init__(self, grouping: Grouping, columns: FeatureColumns, level: int, tally: Tally, answers: Answers) -> None:
        self._grouping = grouping
        self._columns = columns
        self._level = level
        self._tally = tally
        self._answers = answers

    def ask(self, stacks: Sequence[Stack], rows: IntArray | None, *, proba: bool, detail: bool) -> IntArray | None:
        """Ask stacks one after the other, each for what those before it left.

        Parameters
        ----------
        stacks
            Whom to ask.
        rows
            Positions of the rows, None for all of them.
        proba, detail
            Whether probabilities, and who answers, are wanted.

        Returns
        -------
        array, or None
            Positions of the rows that are left, None for all of them.
        """
        for stack in stacks:
            if stack.takes(proba=proba) and (rows is None or len(rows)):
                rows = self._ask_one(stack, rows, proba, detail)
        return rows

    def _ask_one(self, stack: Stack, rows: IntArray | None, proba: bool, detail: bool) -> IntArray | None:
        group_positions = stack.positions(self._grouping.keys)
        lowest, highest = _extremes(group_positions)
        if highest < 0:
            return rows
        codes = self._grouping.codes
        positions = group_positions.take(codes if rows is None else codes[rows])
        usable = positions >= 0 if lowest < 0 else None
        if problems := self._columns.problems:
            usable = np.ones(len(positions), dtype=bool) if usable is None else usable
            numbers = range(len(codes)) if rows is None else rows.tolist()
            usable &= np.array([row not in problems for row in numbers], dtype=bool)
        if usable is None:
            return self._accept(stack, rows, positions, proba, detail)
        usable_rows = np.flatnonzero(usable) if rows is None else rows[usable]
        refused = self._accept(stack, usable_rows, positions[usable], proba, detail)
        return np.concatenate([np.flatnonzero(~usable) if rows is None else rows[~usable], refused])

    def _accept(self, stack: Stack, rows: IntArray | None, positions: IntArray, proba: bool, detail: bool) -> IntArray:
        """Ask for rows that the stack knows; returns those it leaves to the children."""
        started = time.perf_counter()
        columns = [values if rows is None else values[rows] for values in self._columns.arrays]
        labels, probabilities, answered = stack.answer(columns, positions, proba=proba)
        self._tally.seconds_predicting += time.perf_counter() - started
        where: Any = slice(None) if rows is None else rows
        refused = np.empty(0, dtype=np.int64)
        if answered is not None and not answered.all():
            refused = np.flatnonzero(~answered) if rows is None else rows[~answered]
            where = np.flatnonzero(answered) if rows is None else rows[answered]
            labels, positions = labels[answered], positions[answered]
            probabilities = None if probabilities is None else probabilities[answered]
        self._tally.rows_stacked += len(labels)
        self._answers.accept(where, self._level, partial(stack.versions, positions), labels, probabilities)
        if detail:
            self._answers.name(where, self._grouping.texts.take(self._grouping.codes[where]))
        return refused


def _extremes(positions: IntArray) -> tuple[int, int]:
    """Lowest and highest position; of none, -1."""
    if len(positions) <= FEW_ROWS:
        few = positions.tolist()
        return min(few, default=-1), max(few, default=-1)
    return int(positions.min()), int(positions.max())
