"""A prediction log is monitored as the rows that were asked."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from monitored import START, changed, weeks

import metamodel
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.monitoring.logged_rows import as_rows
from metamodel.prediction_log.log_files import new_files, write_new_file
from metamodel.tables.keys import encode_key


def _log(model: metamodel.MetaModel, table: pd.DataFrame, *, features: bool) -> pd.DataFrame:
    """Write what a server logs of these rows."""
    answers = model.predict(table, {"detail": True})
    log = pd.DataFrame(
        {
            "row_id": table["row_id"].astype(str),
            "time": table["week"].dt.tz_localize("UTC"),
            "version": "3",
            "key": [encode_key(key) for key in zip(table["country"], table["shop"].tolist(), strict=True)],
            "status": answers["status"],
            "prediction": answers["prediction"],
            "lower": answers["lower"],
            "upper": answers["upper"],
        }
    )
    values = {f"feature_{name}": table[name] for name in ("price", "stock", "kind")} if features else {}
    return log.assign(**values)


def test_a_log_with_features_gives_the_findings_of_the_rows(
    model: metamodel.MetaModel, reference: ModelReference
) -> None:
    table = changed(START, 4)
    labels = table[["row_id", "sales"]].astype({"row_id": str})

    of_log = metamodel.monitor(model, _log(model, table, features=True), labels, baseline=reference)
    of_rows = metamodel.monitor(model, table, baseline=reference)

    assert of_log.facts["window"] == START
    pd.testing.assert_frame_equal(of_log.groups, of_rows.groups)
    pd.testing.assert_frame_equal(of_log.columns, of_rows.columns)


def test_of_a_log_without_features_predictions_and_errors_are_judged(
    model: metamodel.MetaModel, reference: ModelReference
) -> None:
    table = changed(START, 4)
    labels = table[["row_id", "sales"]].astype({"row_id": str})

    result = metamodel.monitor(model, _log(model, table, features=False), labels, baseline=reference)

    assert result.groups.loc[result.groups["status"] == "performance", "key"].tolist() == ['["DE",3]']
    assert not result.incidents["blocks"].any()
    assert any("no feature is in the table" in note for note in result.notes)


def test_rows_without_a_key_are_left_out_and_other_tables_stay(model: metamodel.MetaModel) -> None:
    table = weeks(1, 3)
    assert as_rows(model, table) is table
    log = _log(model, table, features=True)
    log.loc[:9, "key"] = None
    assert len(as_rows(model, log)) == len(table) - 10


@pytest.mark.parametrize("parts", [1, 3])
def test_a_log_is_a_folder_of_files(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path, parts: int
) -> None:
    log = _log(model, weeks(1, 3), features=True)
    for part in range(parts):
        log.iloc[part::parts].to_parquet(tmp_path / f"{part}.parquet")

    result = metamodel.monitor(model, tmp_path, baseline=reference)

    assert (result.facts["rows"], result.facts["labelled"]) == (360, 0)


def test_a_servers_log_is_read_while_it_is_compacted_each_row_once(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path
) -> None:
    log = _log(model, weeks(1, 3), features=True)
    for part in range(3):
        write_new_file(tmp_path, pa.Table.from_pandas(log.iloc[part::3], preserve_index=False))
    kept = [(path, path.read_bytes()) for path in new_files(tmp_path)]
    metamodel.compact_log(tmp_path)
    for path, content in kept:  # as if the compaction had been killed before it took them away
        path.write_bytes(content)

    result = metamodel.monitor(model, tmp_path, baseline=reference)

    assert result.facts["rows"] == 360
