"""Later values of a feature come in the form of training; one that cannot spoils its own row."""

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from metamodel.tables.feature_columns import Feature
from metamodel.tables.features import FeatureSchema


def schema_of(layout="frame", **columns):
    frame = pd.DataFrame(columns)
    return FeatureSchema(FeatureSchema.infer(frame, list(frame)).features, layout)


def numbers(*names):
    return FeatureSchema(tuple(Feature(name, "number", "float64") for name in names), "array")


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, 2]),
        pd.Series([1.0, 2.0]),
        pd.Series([1, 2], dtype="Int8"),
        pd.Series([1, 2], dtype="float32"),
        pd.Series([1, 2], dtype="int64[pyarrow]"),
        pd.Series([Decimal(1), 2], dtype=object),
        pd.Series([1, 2], dtype="category"),
    ],
    ids=lambda values: str(values.dtype),
)
def test_numbers_arrive_as_one_float_matrix_whatever_their_dtype(values):
    table = numbers("x").table(pd.DataFrame({"x": values}))
    assert (table.values.dtype, table.values.tolist(), table.problems) == (np.float64, [[1.0], [2.0]], {})


def test_a_null_number_arrives_as_nan():
    for values in ([1.0, None], pd.array([1, None], dtype="Int64"), pd.Series([1, pd.NA], dtype=object)):
        assert np.isnan(numbers("x").table(pd.DataFrame({"x": values})).values[1, 0])


@pytest.mark.parametrize("bad", ["text", "1.5", b"1", [1], 1j, dt.date(2026, 1, 1), pd.Timestamp("2026-01-01")])
def test_a_value_that_is_no_number_spoils_its_own_row(bad):
    table = numbers("x").table(pd.DataFrame({"x": pd.Series([1.0, bad, 3.0], dtype=object)}))
    assert (table.problems, table.values[[0, 2], 0].tolist()) == ({1: "Feature 'x' is not a number."}, [1.0, 3.0])


def test_a_value_that_is_no_time_spoils_its_own_row():
    schema = schema_of(t=pd.to_datetime(["2026-01-01"]))
    table = schema.table(pd.DataFrame({"t": ["2026-01-01", "soon", None]}))
    assert table.problems == {1: "Feature 't' is not a timestamp without a time zone."}


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint16", "float32", "bool"])
def test_a_frame_restores_the_training_dtype(dtype):
    trained = schema_of(x=np.array([1, 0], dtype=dtype))
    assert trained.table(pd.DataFrame({"x": [1.0, 0.0]})).values["x"].dtype == dtype


def test_every_null_text_arrives_alike():
    frame = pd.DataFrame({"t": pd.Series(["a", None, pd.NA, np.nan], dtype=object)})
    assert [type(value) for value in schema_of(t=["a"]).table(frame).values["t"]] == [str, float, float, float]


def test_a_category_has_the_codes_of_training_whatever_the_batch_holds():
    colours = pd.Series(pd.Categorical(["red", "blue", "red"], categories=["red", "green", "blue"], ordered=True))
    schema = FeatureSchema.infer(pd.DataFrame({"colour": colours}), ["colour"])
    restored = FeatureSchema.from_dict(json.loads(json.dumps(schema.to_dict())))
    values = restored.table(pd.DataFrame({"colour": ["blue"]})).values["colour"]
    assert values.cat.codes.tolist() == [2]
    assert values.cat.ordered


def test_a_number_is_no_text():
    schema = FeatureSchema.infer(pd.DataFrame({"zip": ["75001", "13002"]}), ["zip"])
    table = schema.table(pd.DataFrame({"zip": [75001, "75001"]}, dtype=object))
    assert table.problems == {0: "Feature 'zip' is not text."}


def test_text_timestamps_are_read_each_for_itself():
    schema = FeatureSchema.infer(pd.DataFrame({"ts": pd.to_datetime(["2026-01-01"])}), ["ts"])
    texts = ["2026-01-01", "2026-01-02T10:00:00", "2026-01-01T00:00:00Z", "soon", 5]
    table = schema.table(pd.DataFrame({"ts": pd.Series(texts, dtype=object)}))
    assert table.values["ts"].tolist()[:2] == [pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-02 10:00")]
    assert sorted(table.problems) == [2, 3, 4]


def test_zoned_timestamps_are_brought_to_the_zone_of_training():
    zoned = pd.to_datetime(["2026-01-01"]).tz_localize("Europe/Paris")
    schema = FeatureSchema.infer(pd.DataFrame({"ts": zoned}), ["ts"])
    table = schema.table(pd.DataFrame({"ts": ["2025-12-31T23:00:00Z", "2026-01-01"]}))
    assert table.values["ts"].iloc[0] == zoned[0]
    assert table.problems == {1: "Feature 'ts' is not a timestamp with a time zone."}


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
