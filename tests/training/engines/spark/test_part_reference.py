"""The reference that Spark's workers record, part by part, is that of the local engine, to the last bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from monitored import weeks
from spark_tables import both, stored

import metamodel
from metamodel.bundle.monitored.stored_reference import read_drift
from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.training.engines.spark.part_reference import PartReference, read_part

pytestmark = pytest.mark.spark


def of(result: metamodel.TrainingResult) -> dict[str, Any]:
    """What a bundle holds of each group, whatever their order, and of all."""
    stored = read_drift(metamodel.MetaModel(result.bundle_path).bundle)
    assert stored is not None
    keys, reference = stored
    order = np.argsort(np.array(keys, dtype=object))
    return {"keys": sorted(keys), "meta": reference.to_meta(), **reference.take(order).to_arrays()}


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, expected in one.items():
        if isinstance(expected, np.ndarray):
            assert expected.dtype == other[name].dtype
            np.testing.assert_array_equal(expected, other[name], err_msg=name)
        else:
            assert expected == other[name]


def shops() -> pd.DataFrame:
    """Rows in any order, with gaps, ties, categories, booleans, a function of time, and a group that is too small."""
    table = weeks(8, 1, shops=6, rows=12, start="2026-01-05")
    rng = np.random.default_rng(0)
    table["price"] = table["price"].mask(rng.random(len(table)) < 0.1)
    table["stock"] = table["stock"].round(1).astype("float32")
    table["kind"] = table["kind"].mask(rng.random(len(table)) < 0.05)
    table["count"] = rng.poisson(3, len(table))
    table["open"] = rng.random(len(table)) < 0.8
    table["month"] = table["week"].dt.month.astype("int64")
    table["sales"] = table["sales"].mask(rng.random(len(table)) < 0.02)
    tiny = table[table["shop"] == 5].index[2:]
    return table.drop(index=tiny).sample(frac=1, random_state=1, ignore_index=True)


FEATURES = ["price", "stock", "kind", "count", "open", "month"]


@pytest.mark.parametrize("time_column", ["week", None])
def test_the_reference_of_spark_is_that_of_this_machine(
    spark: Any, tmp_path: Path, time_column: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(shops(), tmp_path)
    batch = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(batch)
    spark.conf.set(batch, "150")  # a part of one group or two
    try:
        local, on_spark = both(
            path, path, ["country", "shop"], "sales", features=FEATURES, time_column=time_column, min_rows=5
        )
    finally:
        spark.conf.set(batch, before)

    expected = of(local)
    assert len(expected["keys"]) == 5
    assert expected["meta"]["of_time"] == (["month"] if time_column else [])
    assert np.isnan(expected["replays"]).all() == (time_column is None)
    assert_same(expected, of(on_spark))


def test_classes_and_numbers_alone_are_recorded_on_spark_too(spark: Any) -> None:
    table = shops().dropna()
    table["sales"] = np.where(table["price"] > 10, 1, 0)
    options: dict[str, Any] = {"features": ["stock", "count"], "unknown": "fallback"}
    local, on_spark = both(
        table, spark.createDataFrame(table), ["country", "shop"], "sales", "logistic_regression", **options
    )

    expected = of(local)
    assert expected["meta"]["kinds"] == ["number", "number", "category", "category", "number"]
    assert_same(expected, of(on_spark))


def test_a_model_of_spark_is_monitored_and_one_without_reference_says_so(spark: Any) -> None:
    table = spark.createDataFrame(weeks(8, 1, start="2026-01-05").drop(columns="row_id"))
    options: dict[str, Any] = {"features": ["price", "stock", "kind"], "engine": "spark", "time_column": "week"}
    result = metamodel.train(table, ["country", "shop"], "sales", "ridge", **options)
    later = weeks(1, 3)
    later["price"] = later["price"].where(later["shop"] != 3, later["price"] + 10)

    found = metamodel.monitor(metamodel.MetaModel(result.bundle_path), later)

    assert found.groups.set_index("key")["status"].loc['["DE",3]'] != "ok"
    one_task: dict[str, Any] = {**options, "pooled": False, "n_jobs": 1}  # what is fitted how is nothing to it
    without = metamodel.train(table, ["country", "shop"], "sales", "ridge", **one_task, reference=False)
    assert read_drift(metamodel.MetaModel(without.bundle_path).bundle) is None


def test_parts_without_a_group_of_their_own_hand_nothing_back() -> None:
    columns = DriftColumns({"price": np.arange(30.0)})
    reference = build_reference(columns, np.repeat(np.arange(3), 10), 3)
    part = PartReference(np.array([4, 6, 9]), reference)

    assert part.to_bytes([5]) is None
    content = part.to_bytes([9, 4])
    assert content is not None
    numbers, back = read_part(content)
    assert numbers == [4, 9]
    np.testing.assert_array_equal(back.edges, reference.edges[[0, 2]])
