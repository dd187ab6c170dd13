"""A table of a few answers is what pandas' public constructor makes of the same arrays."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.common.arrays import FEW_ROWS
from metamodel.prediction import answer_frames
from metamodel.prediction.answer_frames import answer_frame, as_texts

ARRAYS: dict[str, Any] = {
    "numbers": lambda rows: np.linspace(0.0, 1.0, rows),
    "part of a matrix": lambda rows: np.zeros((rows, 3))[:, 1],
    "levels": lambda rows: np.arange(rows),
    "texts": lambda rows: as_texts(["", "é"] * rows)[:rows],
    "texts with nulls": lambda rows: pd.array([None, "a"] * rows, dtype=answer_frames.TEXT)[:rows],
    "integers with nulls": lambda rows: pd.array([None, 7] * rows, dtype="Int64")[:rows],
    "booleans with nulls": lambda rows: pd.array([None, True] * rows, dtype="boolean")[:rows],
}


@given(
    kinds=st.lists(st.sampled_from(list(ARRAYS)), min_size=1, max_size=6, unique=True),
    rows=st.sampled_from([0, 1, 2, FEW_ROWS, FEW_ROWS + 1]),
    label=st.sampled_from([int, str, lambda i: 0]),
)
def test_a_table_is_what_the_public_constructor_makes(kinds: list[str], rows: int, label: Any) -> None:
    index = pd.Index([label(i) for i in range(rows)], name="row")
    columns = {kind: ARRAYS[kind](rows) for kind in kinds}
    pd.testing.assert_frame_equal(answer_frame(columns, index), pd.DataFrame(columns, index=index))


def test_whoever_names_the_columns_of_one_answer_names_no_others() -> None:
    columns = {"prediction": np.array([0.5])}
    first = answer_frame(columns, pd.RangeIndex(1))
    first.columns.name = "mine"
    first["more"] = 1
    assert answer_frame(columns, pd.RangeIndex(1)).columns.name is None
    assert list(answer_frame(columns, pd.RangeIndex(1))) == ["prediction"]


def test_this_pandas_builds_a_few_answers_the_short_way() -> None:
    assert answer_frames._TRUSTS_ARRAYS


@pytest.mark.parametrize("error", [AttributeError, TypeError])
def test_another_pandas_is_asked_in_public(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise error("not here")

    monkeypatch.setattr(pd.DataFrame, "_from_arrays", refuse)
    assert not answer_frames._trusts_arrays()
    monkeypatch.setattr(answer_frames, "_TRUSTS_ARRAYS", False)
    table = answer_frame({"prediction": np.array([0.5])}, pd.Index(["a"]))
    pd.testing.assert_frame_equal(table, pd.DataFrame({"prediction": [0.5]}, index=["a"]))
