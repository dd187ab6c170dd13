"""Tables of polars and Arrow: read as their Parquet files are, and given back as they came."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

import metamodel
from metamodel.exceptions import InputError
from metamodel.tables.dataframes import as_pandas, widened
from metamodel.tables.files import read_table

EVERY_KIND = pl.DataFrame(
    {
        "text": ["007", None],
        "whole": [2**60 + 1, None],
        "number": [1.5, None],
        "flag": [True, None],
        "time": [dt.datetime(2024, 2, 29, 1, 2, 3, 4), None],
        "span": [dt.timedelta(hours=5), None],
    }
).with_columns(pl.col("text").cast(pl.Categorical).alias("level"), small=pl.Series([1, 2], dtype=pl.UInt8))

FORMS: dict[str, Any] = {
    "polars": lambda table: table,
    "lazy": lambda table: table.lazy(),
    "arrow": lambda table: table.to_arrow(),
    "reader": lambda table: table.to_arrow().to_reader(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_table_is_read_as_its_parquet_file(form: str, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    EVERY_KIND.write_parquet(path)
    assert_frame_equal(as_pandas(FORMS[form](EVERY_KIND)), read_table(path), check_categorical=False)


def test_a_pandas_frame_is_taken_as_it_is() -> None:
    frame = pd.DataFrame({"a": [1]}, index=[7])
    assert as_pandas(frame) is frame


@pytest.mark.parametrize(
    "data",
    [None, 7, "sales", {"a": [1]}, [1], np.ones((2, 2)), pl.Series([1]), pd.Series([1]), pa.array([1])],
    ids=lambda data: type(data).__name__,
)
def test_what_is_no_table_is_none(data: Any) -> None:
    assert as_pandas(data) is None


@pytest.mark.parametrize(("form", "kind"), [("polars", pl.DataFrame), ("lazy", pl.DataFrame), ("arrow", pa.Table)])
def test_columns_are_added_in_the_callers_library(form: str, kind: type) -> None:
    added = pd.DataFrame({"prediction": [0.5, np.nan], "label": [None, None]}, index=[9, 9])
    wider = widened(FORMS[form](EVERY_KIND), added)
    assert type(wider) is kind
    rows: Any = pl.from_arrow(wider) if kind is pa.Table else wider
    assert rows.drop("prediction", "label").equals(EVERY_KIND)
    assert rows["prediction"].to_list() == [0.5, None]
    assert rows["label"].dtype == pl.String


@pytest.fixture(scope="module")
def rents() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "town": np.repeat(["Ulm", "Köln"], 60),
            "floor": rng.integers(0, 9, 120),
            "area": rng.uniform(20, 200, 120),
            "heating": rng.choice(["gas", "oil"], 120),
        }
    )
    return frame.assign(rent=frame["area"] * 9 + frame["floor"] * 4 + (frame["heating"] == "oil") * 50)


@pytest.mark.parametrize("form", FORMS)
def test_a_training_on_any_table_equals_the_one_on_pandas(rents: pd.DataFrame, form: str) -> None:
    expected, found = (
        metamodel.train(table, "town", "rent", "decision_tree", n_jobs=1).ledger.drop(columns=["seconds", "trained_at"])
        for table in (rents, FORMS[form](pl.from_pandas(rents)))
    )
    assert_frame_equal(found, expected)


def test_predictions_of_any_table_are_those_of_pandas_and_scores_keep_the_library(rents: pd.DataFrame) -> None:
    model = metamodel.MetaModel(metamodel.train(rents, "town", "rent", n_jobs=1).bundle_path)
    asked = rents.head(3).assign(town=["Ulm", "Rom", "Köln"])
    expected = model.predict(asked)
    for form in FORMS.values():
        assert_frame_equal(model.predict(form(pl.from_pandas(asked))), expected)
    scored = metamodel.score(pl.from_pandas(asked), model, prefix="model_")
    assert scored.drop("model_prediction", "model_status").equals(pl.from_pandas(asked))
    assert scored["model_prediction"].is_null().to_list() == [False, True, False]
    assert scored["model_status"].to_list() == ["child", "unknown_group", "child"]


def test_a_polars_table_with_a_column_of_an_answers_name_is_refused(rents: pd.DataFrame) -> None:
    model = metamodel.MetaModel(metamodel.train(rents, "town", "rent", n_jobs=1).bundle_path)
    with pytest.raises(InputError, match=r'already has the column \'status\'.*prefix="model_"'):
        metamodel.score(pl.from_pandas(rents.assign(status="let")), model)


@pytest.mark.parametrize("kind", [pd.Index, np.array, tuple, list], ids=lambda kind: kind.__name__)
def test_group_columns_may_be_names_of_any_kind(rents: pd.DataFrame, kind: Any) -> None:
    names = kind(["town", "heating"])
    result = metamodel.train(rents, names, "rent", features=pd.Index(["area", "floor"]), n_jobs=1, holdout=0)
    assert result.ledger[["town", "heating"]].drop_duplicates().shape == (4, 2)
    assert result.config["group_by"] == ["town", "heating"]
    assert result.config["features"] == ["area", "floor"]
