"""A log that counted its features gives the findings of one that logged them."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from monitored import START, changed, weeks

import metamodel
from metamodel.bundle.monitored.stored_reference import read_drift
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.exceptions import InputError
from metamodel.prediction_log.answered_rows import AnsweredRows, LoggedModel
from metamodel.prediction_log.log_settings import LogSettings
from metamodel.prediction_log.log_writer import PredictionLog

TABLES = ("groups", "columns", "cells", "slices", "incidents", "retrain")


def _log(model: metamodel.MetaModel, table: pd.DataFrame, folder: Path, features: Any, *drop: str) -> Path:
    """Log a table's rows in calls of a few rows, at the times of the table."""
    folder.mkdir(exist_ok=True)
    log = PredictionLog(LogSettings(folder, features=features, drop=drop), seconds=3600)
    stored = read_drift(model.bundle, bins_only=True)
    assert stored is not None
    target, schema = model.manifest.target, model.manifest.features
    reference = ModelReference(tuple(stored[0]), stored[1])
    logged = LoggedModel("sales", "3", target.task, target.label_kind, tuple(schema.features), reference)
    for week, rows in table.groupby("week"):
        for start in range(0, len(rows), 40):
            part = rows.iloc[start : start + 40].reset_index(drop=True)
            read = model.route.read(part)
            sent = {"row_id": part["row_id"].tolist()}
            moment = pd.Timestamp(str(week)).value // 1000
            log.put(AnsweredRows(logged, *read, model.answer(read), moment, 0.001, sent))
    log.close(60)
    assert log.counts.dropped == 0
    return folder


def _monitored(model: metamodel.MetaModel, table: pd.DataFrame, folder: Path, **options: Any) -> Any:
    labels = table[["row_id", "sales"]].astype({"row_id": str})
    return metamodel.monitor(model, folder, labels, **options)


@pytest.mark.parametrize("window", [None, "1w"])
def test_counts_and_rows_together_find_what_logged_features_find(
    model: metamodel.MetaModel, tmp_path: Path, window: str | None
) -> None:
    table = changed(START, 4)
    table.loc[table["shop"] == 5, "price"] += 4
    table.loc[table.index[:40], "kind"] = "never seen"

    of_counts = _monitored(model, table, _log(model, table, tmp_path / "counts", "counts"), window=window)
    of_features = _monitored(model, table, _log(model, table, tmp_path / "all", "all"), window=window)

    groups = of_counts.groups.set_index("key")
    assert groups.loc['["DE",3]', "status"] == "performance"
    assert "price" in groups.loc['["IT",5]', "columns"].split("; ")
    assert of_counts.facts["window"] == of_features.facts["window"] == START
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(of_counts, name), getattr(of_features, name))


def test_a_feature_that_the_log_was_told_to_leave_out_is_no_incident_and_one_line_says_so(
    model: metamodel.MetaModel, good: pd.DataFrame, tmp_path: Path
) -> None:
    result = _monitored(model, good, _log(model, good, tmp_path / "log", "all", "price"))
    assert "price" not in set(result.incidents["column"])
    line = "the log was told to leave out price (--log-drop): nothing is said of it"
    assert [note for note in result.notes if "price" in note] == [line]
    assert result.columns.set_index("column").loc["price", "rows"] == 0


def test_each_week_gets_the_counts_of_its_own_days(model: metamodel.MetaModel, tmp_path: Path) -> None:
    table = weeks(2, 4)
    table.loc[(table["shop"] == 5) & (table["week"] == table["week"].max()), "price"] += 4
    folder = _log(model, table, tmp_path / "log", "counts")
    metamodel.compact_log(folder)

    result = _monitored(model, table, folder, window="1w", output=tmp_path / "monitor")

    assert "price" in result.groups.set_index("key").loc['["IT",5]', "columns"].split("; ")
    assert result.columns.set_index("column").loc["price", "rows"] == 360
    first = pd.read_parquet(tmp_path / "monitor" / "windows" / START / "counts.parquet")
    assert {sum(slots) for slots in first["counts:price"]} == {30}


def test_counts_in_other_bins_are_left_out(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path
) -> None:
    table = weeks(1, 4)
    folder = _log(model, table, tmp_path / "log", "counts")
    assert _monitored(model, table, folder).columns.set_index("column").loc["price", "rows"] == 360
    result = metamodel.monitor(model, folder, baseline=reference)
    assert any("no feature is in the table" in note for note in result.notes)


def test_a_window_that_cuts_days_is_refused(model: metamodel.MetaModel, tmp_path: Path) -> None:
    folder = _log(model, weeks(1, 4), tmp_path / "log", "counts")
    with pytest.raises(InputError, match=r"window='6h' cuts days, and this log has its features as counts"):
        metamodel.monitor(model, folder, window="6h")
