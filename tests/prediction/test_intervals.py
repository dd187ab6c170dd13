"""The radius of each row: of the model that answered it."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import InvalidKey
from metamodel.prediction.intervals import radii_of_rows
from metamodel.tables.grouping import Grouping

KEYS = [("FR", 1), ("FR", 2), ("FR", 3), ("DE", 1), ("DE", 2)]
PARENTS = [("FR",), ("DE",), ()]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=40))
def test_each_row_has_the_radius_of_who_answered_it(rows):
    radii = {key: float(i) for i, key in enumerate([*KEYS, *PARENTS])}
    keys = [*KEYS, InvalidKey("none")]
    codes, status = (np.array([row[i] for row in rows], dtype=np.int64) for i in (0, 1))
    status[codes == 5] = 4  # 3 is the pooled model, which answers as the group's own; nobody answers an invalid key
    found = radii_of_rows(
        Grouping(keys, codes),
        status.astype(np.int16),
        2,
        lambda asked: np.array([radii.get(key, math.nan) for key in asked]),
    )
    expected = [
        radii[keys[code][:level]] if level <= 3 else math.nan
        for code, level in zip(codes.tolist(), status.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(found, expected)
