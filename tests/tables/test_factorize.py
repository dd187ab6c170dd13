"""Codes of a column's values: the same by every way, and no two types share one."""

import numpy as np
import pandas as pd
import pytest

from metamodel.tables import factorize as factorizing

SHARED = {
    "texts": ["a", "b", "ab", "é", ""],
    "texts and nulls": ["a", None, np.nan, "b", pd.NA],
    "equal values of different types": [1, 1.0, True, "1", np.int64(1)],
    "equal texts that are several objects": ["".join(["s", "tore"]) for _ in range(7)] + ["other"],
}


@pytest.mark.parametrize("case", SHARED)
def test_many_rows_that_share_objects_are_coded_like_few(case, monkeypatch):
    objects = np.array([*SHARED[case], *(f"filler-{i}" for i in range(40))], dtype=object)
    values = pd.Series(objects[np.random.default_rng(0).integers(0, len(objects), 30_000)])
    codes, uniques, _ = factorizing.factorize(values)
    monkeypatch.setattr(factorizing, "_MANY_ROWS", 10**9)
    other_codes, other_uniques, _ = factorizing.factorize(values)
    assert [(type(one), one) for one in uniques] == [(type(one), one) for one in other_uniques]
    assert codes.tolist() == other_codes.tolist()
