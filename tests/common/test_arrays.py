"""Rows that a child may write into are copies, in the layout that was asked for."""

import numpy as np
import pandas as pd
import pytest

from metamodel.common.arrays import as_objects, unshared


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_matrix_comes_back_in_the_layout_that_was_asked_for(order: str) -> None:
    rows = np.arange(6.0).reshape(3, 2)
    copy = unshared(rows, order)  # type: ignore[arg-type]
    assert copy.flags[f"{order}_CONTIGUOUS"]
    assert copy.tolist() == rows.tolist()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (3, 2)])
def test_a_matrix_is_never_shared_even_where_its_layout_is_right_already(shape: tuple[int, int], order: str) -> None:
    rows = np.zeros(shape)
    unshared(rows, order)[:] = 1.0  # type: ignore[arg-type]
    assert not rows.any()


def test_a_slice_of_a_frame_is_not_shared() -> None:
    table = pd.DataFrame({"x": [1.0, 2.0, 3.0], "t": ["a", "b", "c"]})
    copy = unshared(table.iloc[1:3])
    copy.loc[:, "x"] = 0.0
    copy["new"] = 1
    assert table.to_dict("list") == {"x": [1.0, 2.0, 3.0], "t": ["a", "b", "c"]}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Series([1, 2]), [1, 2]),
        (pd.Series([1.5, np.nan]), [1.5, None]),
        (pd.Series([1, None], dtype="Int64"), [1, None]),
        (pd.Series([True, None], dtype="boolean"), [True, None]),
        (pd.Series(["a", None, float("nan"), pd.NA], dtype=object), ["a", None, None, None]),
        (pd.Series(["a", None], dtype="string"), ["a", None]),
        (pd.Series(["a", None], dtype="string[pyarrow]"), ["a", None]),
        (pd.Series(["a", None, "a"], dtype="category"), ["a", None, "a"]),
        (pd.Series([1, None], dtype="category"), [1, None]),
        (pd.Series(pd.to_datetime(["2026-11-30", None])), [pd.Timestamp("2026-11-30"), None]),
        (pd.Series([], dtype=object), []),
    ],
)
def test_values_of_any_dtype_are_objects_of_python_with_one_null(values: pd.Series, expected: list) -> None:
    before = values.copy()
    found = as_objects(values, None)
    assert found.dtype == object
    assert found.tolist() == expected
    assert [type(value) for value in found] == [type(value) for value in expected]
    pd.testing.assert_series_equal(values, before)
