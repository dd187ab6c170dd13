"""Calls become rows of the log: the same values, in the same types, whatever the calls hold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from logged_rows import MODEL, answered, frame_of, settings_in

from metamodel.prediction_log.log_columns import COLUMNS
from metamodel.prediction_log.log_tables import log_table


def test_each_row_says_who_answered_what_when_and_of_which_features(tmp_path: Path):
    calls = [answered(frame_of(2), 1_000_000), answered(frame_of(1, 2).drop(columns="row_id"), 2_000_000)]
    table = log_table(calls, settings_in(tmp_path))
    assert table.column_names == [*COLUMNS, "feature_x", "feature_z"]
    rows = table.to_pandas()
    assert rows["row_id"].tolist()[:2] == ["0", "1"]
    assert rows["row_id"].is_unique
    assert rows["key"].tolist() == ['["FR",0]', '["FR",1]', '["FR",0]']
    assert rows["child_version"].tolist() == ["version of ("] * 3  # twelve characters of a digest
    assert rows["prediction"].tolist() == [1.0, 1.125, 1.0]
    assert rows["feature_x"].tolist() == [0.0, 0.125, 0.25]
    assert rows["time"].tolist() == [pd.Timestamp(i, unit="s", tz="UTC") for i in (1, 1, 2)]
    assert rows[["model", "version", "status", "latency_ms"]].drop_duplicates().values.tolist() == [
        ["sales", "8", "child", 250.0]
    ]
    assert rows[["variant", "lower", "shadow_prediction", "entity_hash"]].isna().all(axis=None)


def test_a_row_without_an_answer_has_nulls_and_its_status(tmp_path: Path):
    odd = frame_of(4).assign(store=[1, None, 9, 1], x=[1.0, 1.0, 1.0, 13.0])
    rows = log_table([answered(odd)], settings_in(tmp_path)).to_pydict()
    assert rows["status"] == ["child", "invalid_key", "unknown_group", "failed"]
    assert [value is None for value in rows["prediction"]] == [False, True, True, True]
    assert rows["key"] == ['["FR",1]', None, '["FR",9]', '["FR",1]']


def test_dropped_columns_are_empty_and_dropped_features_are_not_there(tmp_path: Path):
    table = log_table([answered(frame_of(3))], settings_in(tmp_path, drop=("z", "key", "prediction")))
    assert table.column_names == [*COLUMNS, "feature_x"]
    assert table["key"].null_count == table["prediction"].null_count == 3
    assert "feature_x" not in log_table([answered(frame_of(3))], settings_in(tmp_path, features="none")).column_names


def test_the_same_rows_are_sampled_however_they_come(tmp_path: Path):
    settings, frame = settings_in(tmp_path, sample=0.3), frame_of(400)
    for table in (frame, frame.drop(columns="row_id")):
        together = log_table([answered(table)], settings).to_pandas()["feature_x"].tolist()
        parts = [answered(table.iloc[i : i + 1]) for i in range(400)]
        assert log_table(parts, settings).to_pandas()["feature_x"].tolist() == together
        assert 80 < len(together) < 160


def test_labels_keep_their_type_and_half_characters_fail_no_file(tmp_path: Path):
    call = answered(frame_of(2).assign(row_id=pd.Series(["\ud83d", "ok"], dtype=object)))
    assert log_table([call], settings_in(tmp_path))["row_id"].to_pylist() == ["?", "ok"]
    model = replace(MODEL, task="classification", label_kind="integer")
    call.answers._form = replace(call.answers._form, task="classification", label_kind="integer")
    call.answers.prediction = np.array([7, None], dtype=object)
    table = log_table([replace(call, model=model)], settings_in(tmp_path))
    assert (table.schema.field("prediction").type, table["prediction"].to_pylist()) == (pa.int64(), [7, None])


@pytest.mark.parametrize("values", [["a", None], [1.5, 2], [pd.Timestamp("2026-01-01"), pd.NaT]])
def test_features_of_any_kind_have_one_type_in_every_file(values, tmp_path: Path):
    from metamodel.prediction_log.log_tables import _feature_array
    from metamodel.tables.feature_columns import Feature

    frame = pd.DataFrame({"f": values})
    feature = Feature.infer("f", frame["f"])
    types = {_feature_array(frame["f"].iloc[rows].to_numpy(), feature).type for rows in ([0], [1], [0, 1])}
    assert len(types) == 1
