"""Rows are counted as monitoring counts them, and no value of a feature gets into a file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from counted_log import COUNTED, assert_same, expected
from logged_rows import DAY, MODEL, answered, frame_of, rows_in, settings_in

from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.drift_reference import PREDICTION
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.evaluation.drift.window_counts import ROWS, count_window
from metamodel.evaluation.drift.window_rows import RowSchema, WindowRows
from metamodel.prediction_log import log_writer
from metamodel.prediction_log.answered_rows import LoggedModel
from metamodel.prediction_log.counted_rows import write_counted
from metamodel.prediction_log.log_counts import count_files, read_log_counts
from metamodel.prediction_log.log_tables import log_table
from metamodel.prediction_log.log_writer import LogCounts, PredictionLog


def test_the_log_counts_what_monitoring_counts_of_the_rows(tmp_path: Path) -> None:
    frame = frame_of(50, start=30)
    frame.loc[3, "x"] = np.nan
    log = PredictionLog(settings_in(tmp_path, features="counts"), seconds=3600)
    for start in range(0, 20, 2):
        log.put(answered(frame.iloc[start : start + 2], model=COUNTED))
    log.put(answered(frame.iloc[20:], model=COUNTED))
    log.close(20)
    assert log.counts == LogCounts(50, 0)
    ((file, counts),) = read_log_counts(tmp_path)
    assert (file.model, file.version, file.day, counts.window) == ("sales", "8", "1970-01-01", "1970-01-01")
    assert_same(counts, expected(frame))


def test_no_value_of_a_feature_is_in_any_file(tmp_path: Path) -> None:
    log = PredictionLog(settings_in(tmp_path, features="counts"), seconds=3600)
    log.put(answered(frame_of(400), model=COUNTED))  # made into a table by whoever answers
    log.put(answered(frame_of(3), model=COUNTED))
    log.close(20)
    rows = rows_in(tmp_path)
    assert len(rows) == 403
    assert not [name for name in rows if name.startswith("feature_")]
    (file,) = count_files(tmp_path)
    table = pq.read_table(file.path)
    assert {str(kind) for kind in table.schema.types} <= {"string", "uint64", "int64"} | {
        "fixed_size_list<element: int64>[12]"
    }
    assert pq.read_table(file.path)["key"].to_pylist() == ['["FR",0]', '["FR",1]']


def test_each_day_has_counts_of_its_own_and_dropped_features_have_none(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, features="counts", drop=("z",))
    calls = [answered(frame_of(6), 0, model=COUNTED), answered(frame_of(4), 5 * DAY, model=COUNTED)]
    write_counted(tmp_path, COUNTED, log_table(calls, settings))
    days = {file.day: counts for file, counts in read_log_counts(tmp_path)}
    assert {day: int(counts.totals[:, ROWS].sum()) for day, counts in days.items()} == {
        "1970-01-01": 6,
        "1970-01-06": 4,
    }
    of_first = days["1970-01-01"]
    sums = dict(zip(of_first.columns, of_first.counts.sum(axis=(0, 2)).tolist(), strict=True))
    assert sums == {"x": 6, "z": 0, PREDICTION: 6}


def test_rows_without_a_group_are_not_counted_and_groups_without_a_reference_are(tmp_path: Path) -> None:
    frame = frame_of(4).assign(store=[1, None, 9, 9])
    write_counted(tmp_path, COUNTED, log_table([answered(frame)], settings_in(tmp_path)))
    ((_, counts),) = read_log_counts(tmp_path)
    assert dict(zip(counts.keys, counts.totals[:, ROWS].tolist(), strict=True)) == {'["FR",1]': 1, '["FR",9]': 2}
    assert counts.bins[counts.keys.index('["FR",9]')] == 0


def test_an_unseen_category_of_children_that_take_frames_is_counted_as_one(tmp_path: Path) -> None:
    import metamodel

    options = {"n_jobs": 1, "output_dir": tmp_path / "bundle", "holdout": 0}
    train = pd.DataFrame({"g": "a", "kind": pd.Categorical(["u", "v"] * 20), "n": range(40), "y": np.arange(40.0)})
    model = metamodel.MetaModel(metamodel.train(train, "g", "y", "decision_tree", **options).bundle_path)
    from metamodel.bundle.monitored.stored_reference import read_drift

    stored = read_drift(model.bundle, bins_only=True)
    assert stored is not None
    target = model.manifest.target
    features = tuple(model.manifest.features.features)
    reference = ModelReference(tuple(stored[0]), stored[1])
    logged = LoggedModel("m", "1", target.task, target.label_kind, features, reference)
    table = pd.DataFrame({"g": "a", "kind": ["u", "w", "w", None], "n": [1, None, 2.5, 3]})
    read = model.route.read(table)
    call = replace(answered(frame_of(4)), model=logged, grouping=read[0], columns=read[1], answers=model.answer(read))
    write_counted(tmp_path, logged, log_table([call], settings_in(tmp_path)))
    ((_, counts),) = read_log_counts(tmp_path)

    rows = WindowRows.of(RowSchema(model.manifest.keys, features, target.task), table, model.predict(table), None)
    assert_same(counts, count_window(reference, rows))


def test_where_counts_cannot_be_written_the_rows_are_and_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log_writer, "write_counted", full)
    log = PredictionLog(settings_in(tmp_path, features="counts"), seconds=3600)
    table = log_table([answered(frame_of(5), model=COUNTED)], log.settings)
    for _ in range(2):
        log._write_rows(COUNTED, table)
    assert log.counts == LogCounts(10, 0)
    assert [record.message.count("Features of 5 rows not counted") for record in caplog.records] == [1]


def test_a_model_without_a_reference_logs_rows_alone(tmp_path: Path) -> None:
    log = PredictionLog(settings_in(tmp_path, features="counts"), seconds=3600)
    log.put(answered(frame_of(5)))
    log.close(20)
    assert len(rows_in(tmp_path)) == 5
    assert list(read_log_counts(tmp_path)) == []


def test_classes_are_counted_by_their_names(tmp_path: Path) -> None:
    model = replace(MODEL, task="classification", label_kind="string")
    columns = DriftColumns.of({"x": np.arange(20.0), PREDICTION: ["a", "b"] * 10})
    model = replace(
        model, reference=ModelReference(('["FR",0]',), build_reference(columns, np.zeros(20, dtype=int), 1))
    )
    call = answered(frame_of(1))
    call.answers._form = replace(call.answers._form, task="classification", label_kind="string")
    call.answers.prediction = np.array(["b"], dtype=object)
    write_counted(tmp_path, model, log_table([replace(call, model=model)], settings_in(tmp_path)))
    ((_, counts),) = read_log_counts(tmp_path)
    assert model.reference is not None
    place = counts.columns.index(PREDICTION)
    assert counts.counts[0, place].sum() == 1
    assert counts.counts[0, place].argmax() in np.flatnonzero(model.reference.cells.counts[0, place])
