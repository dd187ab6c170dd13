"""Features: children see the training form in every later table, and a bad value spoils its own row alone."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import InputError, MissingColumns
from metamodel.tables.feature_columns import Feature
from metamodel.tables.features import FeatureSchema


def schema_of(layout="frame", **columns):
    frame = pd.DataFrame(columns)
    return FeatureSchema(FeatureSchema.infer(frame, list(frame)).features, layout)


def numbers(*names):
    return FeatureSchema(tuple(Feature(name, "number", "float64") for name in names), "array")


@given(st.permutations(["x", "y", "z", "extra"]))
def test_column_order_and_further_columns_do_not_matter(order):
    frame = pd.DataFrame({"x": [1.0], "y": [2.0], "z": [3.0], "extra": ["?"]})
    assert numbers("x", "y", "z").table(frame[order]).values.tolist() == [[1.0, 2.0, 3.0]]


@given(st.lists(st.sampled_from([1.0, "bad", None]), max_size=12), st.randoms())
def test_problems_move_with_their_rows(values, random):
    table = numbers("x").table(pd.DataFrame({"x": pd.Series(values, dtype=object)}))
    order = random.sample(range(len(values)), len(values))
    moved = table.take(np.array(order, dtype=np.int64))
    assert sorted(moved.problems) == [i for i, row in enumerate(order) if values[row] == "bad"]


@pytest.mark.parametrize("layout", ["array", "frame"])
def test_slices_share_memory_with_the_table(layout):
    schema = FeatureSchema(numbers("x", "y").features, layout)
    table = schema.table(pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0]}))
    assert np.shares_memory(np.asarray(table.values), np.asarray(table.slice(1, 2)))


@pytest.mark.parametrize("layout", ["array", "frame"])
def test_a_table_without_rows_has_the_training_form(layout):
    schema = FeatureSchema(numbers("x", "y").features, layout)
    assert schema.table(pd.DataFrame({"x": [], "y": []})).values.shape == (0, 2)


def test_a_missing_feature_is_named():
    with pytest.raises(MissingColumns, match=r"lacks feature columns 'y', 'z' \(it has 1: x\). Add the column"):
        numbers("x", "y", "z").table(pd.DataFrame({"x": [1.0]}))


def test_a_model_needs_a_feature():
    with pytest.raises(InputError, match=r"There is no feature column left besides .* Name some in features"):
        FeatureSchema.infer(pd.DataFrame({"y": [1]}), [])


@pytest.mark.parametrize("values", [[[1], [2]], [{}, {}], [1, "a"], [b"a", b"b"]], ids=repr)
def test_a_feature_of_no_usable_kind_is_refused(values):
    with pytest.raises(InputError, match=r"Feature column 'x' holds values of no usable kind \(.*\). Convert it"):
        FeatureSchema.infer(pd.DataFrame({"x": pd.Series(values, dtype=object)}), ["x"])


@pytest.mark.parametrize("values", [["a", "b"], pd.to_datetime(["2026-01-01", "2026-01-02"])])
def test_a_whole_column_of_the_wrong_kind_is_refused(values):
    with pytest.raises(
        InputError, match=r"'x' holds (string|timestamp)s, but the model was trained on float64. Convert"
    ):
        numbers("x").check_kinds(pd.DataFrame({"x": values}))


def test_a_column_of_the_right_kind_passes_the_check():
    assert numbers("x").check_kinds(pd.DataFrame({"x": [1, 2]})) is None


def test_a_schema_survives_json():
    schema = schema_of("frame", x=[1.5], s=["a"], t=pd.to_datetime(["2026-01-01"]))
    assert FeatureSchema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema
