"""Rows that do not fit the form of training are asked apart, in a form that depends on each of them alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.tables.features import FeatureSchema


def schema_of(**columns):
    frame = pd.DataFrame(columns)
    return FeatureSchema(FeatureSchema.infer(frame, list(frame)).features, "frame")


@pytest.mark.parametrize(("dtype", "sent"), [("int64", 1.5), ("int8", 300.0), ("bool", 2.0), ("uint8", -1.0)])
def test_a_number_that_would_change_in_the_training_dtype_is_kept_apart(dtype, sent):
    trained = schema_of(x=np.array([1, 0], dtype=dtype), y=np.array([5, 6]), t=["a", "b"])
    table = trained.table(pd.DataFrame({"x": [1.0, sent, 0.0], "y": [7.0] * 3, "t": ["a"] * 3}))
    (fits, alike), (odd, apart) = table.alike(0, 3)
    assert (fits.tolist(), str(alike.values["x"].dtype)) == ([0, 2], dtype)
    assert (odd.tolist(), apart.values[["x", "y"]].to_numpy().tolist()) == ([1], [[sent, 7.0]])
    assert apart.values[["x", "y"]].dtypes.eq("float64").all()


def test_a_new_category_goes_behind_the_known_ones_with_rows_of_the_same_one():
    schema = schema_of(c=pd.Categorical(["b", "a"]))
    parts = schema.table(pd.DataFrame({"c": ["aa", "b", None, "zz", "aa"]})).alike(0, 5)
    codes = {tuple(rows.tolist()): part.values["c"].cat.codes.tolist() for rows, part in parts}
    assert codes == {(1, 2): [1, -1], (0, 4): [2, 2], (3,): [2]}
    assert [part.values["c"].tolist() for _, part in parts][1:] == [["aa", "aa"], ["zz"]]


def test_a_large_integer_is_not_rounded_on_its_way():
    ids = [2**63 + 1, 2**53 + 1, 2**64 - 1]
    schema = schema_of(id=np.array(ids, dtype="uint64"))
    for sent in (pd.Series(ids, dtype="uint64"), pd.Series(ids, dtype=object), pd.Series(ids, dtype="uint64[pyarrow]")):
        assert schema.table(pd.DataFrame({"id": sent})).values["id"].tolist() == ids


ROWS = st.lists(
    st.tuples(
        st.sampled_from([0, 7, 7.0, 1.5, 300, -1, None, "no number"]),
        st.sampled_from([True, False, 1.0, None, 2]),
        st.sampled_from([3, "3", 5.0, 9, "11", None, "north", True]),
    ),
    min_size=1,
    max_size=8,
)


def seen(schema, rows):
    """What children see of each row: the problem, or its values with their dtypes and the categories' codes."""
    table = schema.table(pd.DataFrame(rows, columns=["n", "b", "c"], dtype=object))
    answers = dict(table.problems)
    for positions, part in table.alike(0, len(rows)):
        codes, dtypes = part.values["c"].cat.codes.tolist(), [str(dtype) for dtype in part.values.dtypes]
        for i, row in enumerate(positions.tolist()):
            levels = part.values["c"].cat.categories.tolist()
            answers.setdefault(row, repr((part.values.iloc[i].tolist(), codes[i], levels, dtypes)))
    return [answers[row] for row in range(len(rows))]


@given(ROWS)
def test_what_a_child_sees_of_a_row_does_not_depend_on_its_neighbours(rows):
    schema = schema_of(n=np.array([1, 2], dtype="int8"), b=[True, False], c=pd.Categorical([3, 5]))
    assert seen(schema, rows) == [seen(schema, [row])[0] for row in rows]
