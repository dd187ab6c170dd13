"""Rows that do not fit the form of training are asked apart, in a form that depends on each of them alone."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from metamodel.tables.features import FeatureSchema


def schema_of(**columns):
    frame = pd.DataFrame(columns)
    return FeatureSchema(FeatureSchema.infer(frame, list(frame)).features, "frame")


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
