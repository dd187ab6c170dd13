import numpy as np
import pandas as pd
import pytest
from drift_tables import drift_table

from metamodel.evaluation.drift.bins import OTHER
from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.count_rows import count_rows
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.drift_reference import DriftReference

pytestmark = pytest.mark.tableless


def test_a_reference_survives_storing_and_gathering() -> None:
    columns, groups, times = drift_table(5)
    reference = build_reference(columns, groups, 7, times)

    stored = DriftReference.from_arrays(reference.to_meta(), reference.to_arrays())
    some = stored.take(np.array([4, 1]))

    assert (some.counts == reference.counts[[4, 1]]).all()
    assert stored.vocabulary == reference.vocabulary
    assert stored.to_meta() == reference.to_meta()


def test_columns_of_other_rows_stand_beside() -> None:
    columns, groups, times = drift_table(6)
    held = DriftColumns.of({"(error)": np.arange(20.0)})

    whole = build_reference(columns, groups, 7, times).beside(build_reference(held, np.zeros(20, dtype=int), 7))

    assert whole.columns == ("price", "sold", "shop", "(error)")
    assert whole.place.tolist() == [0, 1, 0, 2]
    assert whole.counts[0, 3].sum() == 20
    assert count_rows(whole, held, np.zeros(20, dtype=int))[0, 3].tolist() == whole.counts[0, 3].tolist()


def test_too_many_categories_have_no_vocabulary() -> None:
    many = DriftColumns.of({"x": pd.Series(np.arange(10_001).astype(str), dtype=object)})

    reference = build_reference(many, np.zeros(10_001, dtype=int), 1)

    assert reference.vocabulary == {"x": None}
    strange = count_rows(reference, DriftColumns.of({"x": pd.Series(["never"], dtype=object)}), np.zeros(1, dtype=int))
    assert strange[0, 0, OTHER] == 1
