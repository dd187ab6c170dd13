"""One call to predict: stacks first, children for what they leave, and parents whose answers are blended in."""

from collections.abc import Sequence
from dataclasses import replace

from metamodel.common.arrays import IntArray
from metamodel.prediction.answer_form import AnswerForm
from metamodel.prediction.answers import Answers
from metamodel.prediction.blending import Weights, blend_answers
from metamodel.prediction.dispatch import AskedChildren
from metamodel.prediction.protocols import ChildStore, Stack
from metamodel.prediction.stack_dispatch import StackedRows
from metamodel.prediction.tally import Tally
from metamodel.tables.features import FeatureColumns
from metamodel.tables.grouping import Grouping

__all__ = ["Call"]


class Call:
    """One call to predict, or the part of it that asks the parents of one level.

    Parameters
    ----------
    grouping, columns
        The rows' groups and features.
    form
        What the answers look like.
    levels
        Levels of the fallback chain that exist.
    tally
        Where to count what is done.
    level
        Level of the children that are asked; that of the groups themselves by default.
    """

    def __init__(
        self,
        grouping: Grouping,
        columns: FeatureColumns,
        form: AnswerForm,
        levels: Sequence[int],
        tally: Tally,
        level: int | None = None,
    ) -> None:
        self.tally = tally
        self.answers = Answers(len(grouping.codes), form)
        self._grouping = grouping
        self._columns = columns
        self._form = form
        self._levels = levels
        self._level = form.depth if level is None else level

    def ask(self, store: ChildStore, stacks: Sequence[Stack], rows: IntArray | None = None) -> None:
        """Let stacks, and then children, answer some rows, None for all of them."""
        options = self._form.options
        if stacks and options.of_stacks and self._columns.schema.layout == "array":
            stacked = StackedRows(self._grouping, self._columns, self._level, self.tally, self.answers)
            rows = stacked.ask(stacks, rows, proba=options.proba, detail=options.detail)
        if rows is None or len(rows):
            self._ask_children(rows, store)

    def blend(self, weights: Weights, store: ChildStore, stacks: Sequence[Stack]) -> None:
        """Blend what was answered with what the parents answer for the same rows."""
        form = replace(self._form, options=replace(self._form.options, unknown="null", predict_method="predict"))

        def ask(level: int, rows: IntArray | None) -> Answers:
            grouping, tally = self._grouping.at_level(level), Tally()
            parents = Call(grouping, self._columns, form, self._levels, tally, level)
            parents.ask(store, stacks, rows)
            self.tally.seconds_predicting += tally.seconds_predicting
            return parents.answers

        blend_answers(self.answers, self._grouping, weights, self._level, ask)

    def _ask_children(self, rows: IntArray | None, store: ChildStore) -> None:
        """Let children answer rows, group by group, each a slice of one table in group order."""
        if rows is None and len(self._grouping.keys) == 1:  # in order as they are
            AskedChildren(self._levels, self._columns.table(), self._form, self.tally, self.answers).ask(
                self._grouping, store
            )
            return
        grouping = self._grouping if rows is None else Grouping(self._grouping.keys, self._grouping.codes[rows])
        order = grouping.order if rows is None else rows[grouping.order]
        answers = Answers(len(order), self._form)
        AskedChildren(self._levels, self._columns.table().take(order), self._form, self.tally, answers).ask(
            grouping, store
        )
        self.answers.scatter(order, answers)
