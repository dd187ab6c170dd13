"""Rows that come in parts give what they give at once: counts, rows that are kept, control groups, names."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from monitored import START, weeks

import metamodel
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.exceptions import InputError
from metamodel.monitoring import logged_rows

LATEST = "2026-03-30"


def files(folder: Path) -> dict[str, pd.DataFrame]:
    return {
        f"{path.parent.name}/{path.name}": pd.read_parquet(path)
        for path in sorted(folder.glob("windows/*/*.parquet"))
        if path.name in ("counts.parquet", "rows.parquet", "control.parquet")
    }


@pytest.mark.parametrize("window", ["1w", None])
def test_a_file_in_parts_is_monitored_as_at_once(
    model: metamodel.MetaModel,
    reference: ModelReference,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    window: str | None,
) -> None:
    table = weeks(5, 3).sample(frac=1, random_state=0)
    table = table.assign(
        prediction=model.predict(table)["prediction"],
        variant=np.where(np.arange(len(table)) % 9, "treated", "control"),
    )
    labels = table[["row_id", "sales"]].iloc[::2].astype({"row_id": str})
    table = table.drop(columns="sales").reset_index(drop=True)
    table.to_parquet(tmp_path / "rows.parquet")
    parts = [table.iloc[start : start + 170] for start in range(0, len(table), 170)]
    at_once = metamodel.monitor(model, table, labels, baseline=reference, window=window, output=tmp_path / "once")
    monkeypatch.setattr(logged_rows, "read_batches", lambda *_: iter(parts))
    in_parts = metamodel.monitor(
        model, tmp_path / "rows.parquet", labels, baseline=reference, window=window, output=tmp_path / "parts"
    )
    assert in_parts.facts["window"] == LATEST
    for name in ("groups", "columns", "cells", "slices", "incidents", "retrain"):
        pd.testing.assert_frame_equal(getattr(in_parts, name), getattr(at_once, name))
    assert in_parts.facts["control"] == pytest.approx(at_once.facts["control"])
    one, other = files(tmp_path / "once"), files(tmp_path / "parts")
    assert one.keys() == other.keys()
    assert len(one) == 3 * (5 if window else 1)
    for name, expected in one.items():
        there = other[name]
        if name.endswith("counts.parquet"):
            expected, there = (frame.sort_values("key", ignore_index=True) for frame in (expected, there))
        if name.endswith("rows.parquet"):
            expected, there = (frame.astype({"(key)": object}) for frame in (expected, there))
        pd.testing.assert_frame_equal(there, expected)


def test_a_table_without_times_has_one_name_however_it_is_cut(
    good: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeless = metamodel.train(good, ["country", "shop"], "sales", features=["price", "stock"], n_jobs=1)
    model, table = metamodel.MetaModel(timeless.bundle_path), weeks(1, 3).drop(columns="week")
    table.to_parquet(tmp_path / "rows.parquet")
    named = metamodel.monitor(model, table, output=tmp_path / "monitor").facts["window"]
    monkeypatch.setattr(
        logged_rows, "read_batches", lambda *_: iter([table.iloc[200:], table.iloc[:0], table.iloc[:200]])
    )
    again = metamodel.monitor(model, tmp_path / "rows.parquet", output=tmp_path / "monitor")
    assert again.facts["window"] == named
    assert again.facts["rows"] == len(table)


def test_a_label_that_fits_rows_of_two_parts_is_refused_and_nothing_is_remembered(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = weeks(1, 3, start=START)
    table.to_parquet(tmp_path / "rows.parquet")
    monkeypatch.setattr(logged_rows, "read_batches", lambda *_: iter([table.iloc[:200], table.iloc[199:]]))
    with pytest.raises(
        InputError, match=r"^data has 1 row whose id \(row_id\) stands there before \(first: 30000199\)"
    ):
        metamodel.monitor(
            model,
            tmp_path / "rows.parquet",
            table[["row_id", "sales"]],
            baseline=reference,
            output=tmp_path / "monitor",
        )
    assert not list((tmp_path / "monitor").rglob("*"))
