"""Training on Spark against the engine of this machine: the same children, the same ledger, whatever the groups are."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from children import KillsParent, LastRow, RaisesOnMark
from sklearn.linear_model import Ridge
from spark_tables import FEATURES, KEYS, TARGET, assert_same_ledger, both, in_cells, odd_groups, stored

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.exceptions import TrainingError
from metamodel.training.engines import task
from metamodel.training.engines.spark.engine import SparkEngine
from metamodel.training.options import TrainingOptions

pytestmark = pytest.mark.spark


def test_as_many_groups_are_fitted_at_a_time_as_the_session_runs_tasks(spark: Any) -> None:
    rows = spark.createDataFrame([("a", 1.0, 2.0)], "shop string, x double, y double")
    options = TrainingOptions.create("shop", target="y", engine="spark")
    assert SparkEngine(rows, options, "ridge", None, ["x"]).parallelism == 2


def test_housing_cells_give_the_children_and_the_ledger_of_the_local_engine(
    spark: Any, housing: pd.DataFrame, tmp_path: Path
) -> None:
    cells = in_cells(housing)
    local, on_spark = both(cells, spark.createDataFrame(cells), KEYS, TARGET, features=FEATURES, unknown="fallback")

    assert_same_ledger(local.ledger, on_spark.ledger)
    assert local.manifest.spec_digest == on_spark.manifest.spec_digest
    assert local.summary.keys() == on_spark.summary.keys()
    pd.testing.assert_frame_equal(local.holdout, on_spark.holdout, rtol=1e-9)
    pd.testing.assert_frame_equal(local.importance, on_spark.importance, rtol=1e-6)
    answers = [MetaModel(result.bundle_path).predict(cells) for result in (local, on_spark)]
    np.testing.assert_allclose(answers[0]["prediction"], answers[1]["prediction"], rtol=1e-9)
    assert answers[0]["status"].equals(answers[1]["status"])
    # The rows that Spark's workers hand back are enough to stack the same children.
    assert len(on_spark.manifest.stacks) == len(local.manifest.stacks) == 1
    assert on_spark.ledger["stack"].tolist() == local.ledger["stack"].tolist()


def test_texts_and_gaps_give_the_ledger_of_the_local_engine(spark: Any, housing: pd.DataFrame, tmp_path: Path) -> None:
    path = stored(in_cells(housing).head(3000), tmp_path)
    local, on_spark = both(path, path, KEYS, TARGET, features=[*FEATURES, "ocean_proximity"], min_rows=5)

    # Texts that were one object in one process and two in another make other pickles of the same child.
    assert_same_ledger(local.ledger, on_spark.ledger)


@pytest.mark.parametrize("null_keys", ["group", "drop"])
def test_odd_groups_are_as_on_this_machine(spark: Any, null_keys: str) -> None:
    """One raises, one has one row, one is 1,000 times larger, keys are null, and the key is a feature."""
    frame = odd_groups()
    options = {"features": ["x", "store", "flag"], "null_keys": null_keys}
    if null_keys == "group":
        frame["store"] = frame["store"].astype("Int64")
        options["features"] = ["x", "flag"]
    local, on_spark = both(frame, spark.createDataFrame(frame), "store", "y", RaisesOnMark(), **options)

    assert_same_ledger(local.ledger, on_spark.ledger)
    by_store = on_spark.ledger.set_index("store")
    assert by_store.loc[1, "error"] == "ValueError: this group is marked"
    assert by_store.loc[3, "status"] == "skipped"
    assert by_store.loc[4, "rows"] > 1000 * 19
    assert on_spark.summary["rows_dropped"] == local.summary["rows_dropped"]


def test_group_above_the_row_limit_is_skipped_by_name_on_both_engines(spark: Any) -> None:
    frame = odd_groups().dropna()
    local, on_spark = both(frame, spark.createDataFrame(frame), "store", "y", unknown="fallback", max_group_rows=1000)

    assert_same_ledger(local.ledger, on_spark.ledger)
    skipped = on_spark.ledger[on_spark.ledger["reason"].str.startswith("max_group_rows")]
    assert skipped["reason"].tolist() == [
        "max_group_rows: 20,000 rows, 1,000 allowed",
        "max_group_rows: 20,058 rows, 1,000 allowed",
    ]
    assert skipped["level"].tolist() == [1, 0]


def test_candidates_are_chosen_as_on_this_machine(spark: Any) -> None:
    frame = odd_groups().dropna()
    candidates = {"stiff": Ridge(1e6), "soft": Ridge(1e-6)}
    local, on_spark = both(frame, spark.createDataFrame(frame), "store", "y", candidates)

    assert_same_ledger(local.ledger, on_spark.ledger)


def test_staging_directory_holds_results_and_is_empty_afterwards(spark: Any, tmp_path: Path) -> None:
    frame = odd_groups().dropna()
    local = metamodel.train(frame, "store", "y", n_jobs=1)
    spark.conf.set("spark.metamodel.stagingDirectory", str(tmp_path / "staging"))
    try:
        on_spark = metamodel.train(spark.createDataFrame(frame), "store", "y", engine="spark")
    finally:
        spark.conf.unset("spark.metamodel.stagingDirectory")

    assert_same_ledger(local.ledger, on_spark.ledger)
    assert list((tmp_path / "staging").iterdir()) == []


def test_workers_of_spark_that_die_fail_the_training_and_it_says_so(spark: Any) -> None:
    """Spark repeats a task a few times (once in local mode) and then gives up; nothing half-written stays."""
    frame = odd_groups().dropna()
    with pytest.raises(TrainingError, match="Spark could not finish the training"):
        metamodel.train(spark.createDataFrame(frame), "store", "y", KillsParent(), features=["x"], engine="spark")

    assert spark.sparkContext._jsc.getPersistentRDDs().isEmpty()


def test_settings_of_the_session_are_as_before_and_nothing_stays_cached(spark: Any) -> None:
    name = "spark.sql.adaptive.coalescePartitions.enabled"
    before = spark.conf.get(name)
    metamodel.train(spark.createDataFrame(odd_groups().dropna()), "store", "y", engine="spark")

    assert spark.conf.get(name) == before
    assert spark.sparkContext._jsc.getPersistentRDDs().isEmpty()


@pytest.mark.parametrize("kind", ["datetime64[us]", str])
@pytest.mark.parametrize("order", ["newest first", "shuffled"])
def test_children_see_their_rows_in_the_order_of_time_on_both_engines(spark: Any, order: str, kind: Any) -> None:
    days = np.tile(pd.date_range("2026-01-01", periods=30), 2)
    frame = pd.DataFrame({"shop": np.repeat(["a", "b"], 30), "day": days, "x": 0.0, "y": np.arange(60.0) ** 2})
    frame = frame.astype({"day": kind})
    frame = frame[::-1].reset_index(drop=True) if order == "newest first" else frame.sample(frac=1, random_state=0)
    options = {"features": ["x"], "time_column": "day", "unknown": "fallback"}
    for result in both(frame, spark.createDataFrame(frame), "shop", "y", LastRow(), **options):
        model = MetaModel(result.bundle_path)
        assert [model.child(shop).last_ for shop in ("a", "b")] == [29.0**2, 59.0**2]
        assert model.child(()).last_ in (29.0**2, 59.0**2)  # both are of the last day
        assert set(result.holdout["predicted"]) == {23.0**2, 53.0**2}


def test_groups_that_are_fitted_as_arrays_here_are_the_same_children_there(
    spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(3200, 4)), columns=["a", "b", "c", "y"]).assign(g=np.repeat(range(320), 10))
    counted, inner = [], task.fit_as_arrays

    def counting(*arguments: Any) -> Any:
        made = inner(*arguments)
        counted.append(len(made.records))
        return made

    monkeypatch.setattr(task, "fit_as_arrays", counting)
    local, on_spark = both(frame, spark.createDataFrame(frame), "g", "y", Ridge(), features=["a", "b", "c"])
    assert sum(counted) == 320
    assert_same_ledger(local.ledger, on_spark.ledger)
    assert local.ledger["sha256"].tolist() == on_spark.ledger["sha256"].tolist()
