"""Hashes of rows depend on a row's own values and the seed alone."""

import pandas as pd

from metamodel.tables.row_hashes import row_hashes


def test_columns_of_mixed_objects_are_hashed_by_their_text():
    frame = pd.DataFrame({"x": pd.Series([1, "a", None, (2,), 1], dtype=object)})
    hashes = row_hashes(frame, ["x"], 0)
    assert (hashes[0] == hashes[4], len(set(hashes))) == (True, 4)
