"""Stacks answer what they know and can; every other row is left, whichever rows were asked for."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from routes import FEATURES, KEYS

from metamodel.prediction.answer_form import AnswerForm, PredictOptions
from metamodel.prediction.answers import Answers
from metamodel.prediction.stack_dispatch import StackedRows
from metamodel.prediction.tally import Tally
from metamodel.tables.grouping import group_rows

pytestmark = pytest.mark.tableless


class Sums:
    """Knows stores below a number, answers x + z, and leaves rows with a negative x."""

    def __init__(self, stores: int) -> None:
        self.stores = stores

    def takes(self, *, proba: bool) -> bool:
        return not proba

    def positions(self, keys: Any) -> Any:
        known = [key[1] if isinstance(key, tuple) and key[1] < self.stores else -1 for key in keys]
        return np.array(known, dtype=np.int64)

    def versions(self, positions: Any) -> Any:
        return np.array([f"v{position}" for position in positions], dtype=object)

    def answer(self, columns: Any, positions: Any, *, proba: bool) -> Any:
        return columns[0] + columns[1], None, columns[0] >= 0


CELLS = st.tuples(st.integers(0, 5), st.sampled_from([-1.0, 0.5, 2.0, "text"]))


def asked(
    cells: list[tuple[int, Any]], stacks: list[Sums], rows: Any, *, proba: bool = False
) -> tuple[Any, Answers, Tally]:
    columns = {"country": "FR", "store": [store for store, _ in cells], "x": [x for _, x in cells], "z": 1.0}
    frame = pd.DataFrame(columns, index=range(len(cells)))
    answers = Answers(len(cells), AnswerForm("regression", None, (), 2, PredictOptions(detail=True)))
    tally = Tally()
    stacked = StackedRows(group_rows(frame, KEYS), FEATURES.columns(frame), 2, tally, answers)
    return stacked.ask(stacks, rows, proba=proba, detail=True), answers, tally  # type: ignore[arg-type]


@given(st.lists(CELLS, min_size=1, max_size=40), st.booleans(), st.sampled_from([[3], [2, 4], [0]]))
def test_every_row_is_answered_or_left(cells: list[tuple[int, Any]], some: bool, stores: list[int]) -> None:
    rows = np.arange(0, len(cells), 2) if some else None
    rest, answers, tally = asked(cells, [Sums(number) for number in stores], rows)
    wanted = range(len(cells)) if rows is None else rows.tolist()
    usable = {i for i in wanted if cells[i][0] < max(stores) and cells[i][1] in (0.5, 2.0)}
    left = set(range(len(cells))) if rest is None else set(rest.tolist())
    assert set(np.flatnonzero(~np.isnan(answers.prediction)).tolist()) == usable
    assert left == set(wanted) - usable
    assert tally.rows_stacked == len(usable)
    frame = answers.frame(pd.RangeIndex(len(cells)))
    for i in usable:
        store, x = cells[i]
        assert (frame["prediction"][i], frame["key"][i]) == (x + 1.0, f'["FR",{store}]')
        assert (frame["status"][i], frame["level"][i], frame["child_version"][i]) == ("child", 2, f"v{store}")


def test_a_stack_without_probabilities_is_not_asked_for_them() -> None:
    rest, _, tally = asked([(0, 2.0)], [Sums(3)], None, proba=True)
    assert rest is None
    assert tally.rows_stacked == 0
