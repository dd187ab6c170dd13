"""Training on Spark against the engine of this machine: the same children, the same ledger, whatever the groups are."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from children import KillsParent, KillsWorker, RaisesOnMark
from sklearn.linear_model import LogisticRegression, Ridge
from spark_tables import FEATURES, KEYS, TARGET, assert_same_ledger, in_cells, odd_groups, stored

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.exceptions import InputError, InvalidKey, TrainingError
from metamodel.tables.spark import reason

pytestmark = pytest.mark.spark


def both(data: Any, spark_data: Any, *args: Any, **options: Any) -> tuple[Any, Any]:
    """Train on this machine and on Spark."""
    local = metamodel.train(data, *args, n_jobs=1, **options)
    return local, metamodel.train(spark_data, *args, engine="spark", n_jobs=1, **options)


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


def test_times_of_rows_that_are_left_out_need_not_be_times(spark: Any) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"store": list("aabb") * 10, "day": pd.date_range("2024-01-01", periods=40).astype(str)})
    frame = frame.assign(x=rng.normal(size=40), y=rng.normal(size=40))
    frame.loc[[3, 4], ["store", "day"]] = [[None, "never"], [None, None]]
    options = {"null_keys": "drop", "time_column": "day"}
    local, on_spark = both(frame, spark.createDataFrame(frame), "store", "y", **options)
    assert_same_ledger(local.ledger, on_spark.ledger)
    assert local.summary["rows_dropped"] == on_spark.summary["rows_dropped"] == 2


def test_null_keys_refuse_the_table_by_default(spark: Any) -> None:
    with pytest.raises(InvalidKey, match=r"3 rows of 20,061 belong to no group\..*null_keys"):
        metamodel.train(spark.createDataFrame(odd_groups()), "store", "y", engine="spark")


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


def test_classes_times_and_dates_are_as_on_this_machine(spark: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 200, 400), unit="D")
    frame = pd.DataFrame(
        {
            "shop": np.array(["a", "b"])[rng.integers(0, 2, 400)],
            "opened": np.array([d.date() for d in days[:4]], dtype=object)[rng.integers(0, 4, 400)],
            "x": x,
            "day": days.astype("datetime64[us]"),
            "y": np.where(x > 0, "dear", np.where(x > -1, "fair", None)),
        }
    )
    path = stored(frame, tmp_path)
    for time_column, data in (("day", path), ("day", stored(frame.astype({"day": str}), tmp_path))):
        local, on_spark = both(
            data, data, ["shop", "opened"], "y", LogisticRegression(), features=["x"], time_column=time_column
        )
        assert_same_ledger(local.ledger, on_spark.ledger)
        assert on_spark.manifest.target == local.manifest.target


def test_csv_is_read_as_on_this_machine(spark: Any, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [f'{c},{i % 3 or ""},"say ""hi"", {c}",{i / 8},{"NA" if i % 5 else i},{i % 2 == 0},{i}' for i in range(60)
            for c in ("NA", "FR")]  # fmt: skip
    path.write_text("country,shop,note,price,gap,open,y\n" + "\n".join(rows) + "\n")
    local, on_spark = both(str(path), str(path), ["country", "shop"], "y", null_keys="group", min_rows=5)

    assert_same_ledger(local.ledger, on_spark.ledger)
    assert local.manifest.features == on_spark.manifest.features
    assert local.manifest.keys == on_spark.manifest.keys


def test_candidates_are_chosen_as_on_this_machine(spark: Any) -> None:
    frame = odd_groups().dropna()
    candidates = {"stiff": Ridge(1e6), "soft": Ridge(1e-6)}
    local, on_spark = both(frame, spark.createDataFrame(frame), "store", "y", candidates)

    assert_same_ledger(local.ledger, on_spark.ledger)


def test_tables_of_the_catalogue_are_read_by_name(spark: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame({"shop": ["a", "b"] * 20, "x": np.arange(40.0), "y": np.arange(40.0)})
    spark.createDataFrame(frame).createOrReplaceTempView("sales_of_shops")

    assert metamodel.train("sales_of_shops", "shop", "y", engine="spark").summary["groups_fitted"] == 2
    with pytest.raises(InputError, match="no file, folder, table or sample named 'nowhere'"):
        metamodel.train("nowhere", "shop", "y", engine="spark")


def test_delta_without_its_jars_says_what_is_missing(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "table" / "_delta_log").mkdir(parents=True)

    with pytest.raises(InputError, match=r"Spark has no Delta Lake here\. Install delta-spark"):
        metamodel.train(str(tmp_path / "table"), "shop", "y", engine="spark")


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


def test_group_that_kills_its_process_is_recorded_as_on_this_machine_and_no_other_suffers(spark: Any) -> None:
    frame = odd_groups().dropna()

    question = ("store", "y", KillsWorker(), None, ["x"])
    local = metamodel.train(frame, *question, n_jobs=2).ledger  # one process would be this one
    ours = metamodel.train(spark.createDataFrame(frame), *question, engine="spark").ledger

    assert (ours["reason"] == "worker_died").sum() == 1
    assert_same_ledger(local, ours)


def test_group_that_kills_its_process_once_is_fitted_at_the_second_attempt(spark: Any, tmp_path: Path) -> None:
    frame = odd_groups().dropna()
    estimator = KillsWorker(once=str(tmp_path / "killed"))

    ledger = metamodel.train(
        spark.createDataFrame(frame), "store", "y", estimator, features=["x"], engine="spark"
    ).ledger

    assert (tmp_path / "killed").is_file()
    assert "failed" not in set(ledger["status"])


def test_workers_of_spark_that_die_fail_the_training_and_it_says_so(spark: Any) -> None:
    """Spark repeats a task a few times (once in local mode) and then gives up; nothing half-written stays."""
    frame = odd_groups().dropna()
    with pytest.raises(TrainingError, match="Spark could not finish the training"):
        metamodel.train(spark.createDataFrame(frame), "store", "y", KillsParent(), features=["x"], engine="spark")

    assert spark.sparkContext._jsc.getPersistentRDDs().isEmpty()


def test_errors_of_java_are_told_by_their_cause_and_not_by_the_bridges_object(spark: Any) -> None:
    java = spark._jvm.java  # no DataFrame fails like this on purpose; the real one comes from reading results back
    with pytest.raises(Exception, match="An error occurred while calling") as plain:
        java.util.Optional.empty().get()
    assert reason(plain.value) == "java.util.NoSuchElementException: No value present"
    failing = java.util.concurrent.CompletableFuture.failedFuture(java.io.IOException("No space left on device"))
    with pytest.raises(Exception, match="An error occurred while calling") as caused:
        failing.get()
    assert reason(caused.value) == "java.io.IOException: No space left on device"


def test_settings_of_the_session_are_as_before_and_nothing_stays_cached(spark: Any) -> None:
    name = "spark.sql.adaptive.coalescePartitions.enabled"
    before = spark.conf.get(name)
    metamodel.train(spark.createDataFrame(odd_groups().dropna()), "store", "y", engine="spark")

    assert spark.conf.get(name) == before
    assert spark.sparkContext._jsc.getPersistentRDDs().isEmpty()


def test_spark_frames_need_the_spark_engine(spark: Any) -> None:
    frame = spark.createDataFrame(pd.DataFrame({"shop": ["a"], "x": [1.0], "y": [1.0]}))
    with pytest.raises(InputError, match='Train with engine="spark"'):
        metamodel.train(frame, "shop", "y")
    with pytest.raises(InputError, match="lacks feature column 'z'"):
        metamodel.train(frame, "shop", "y", features=["z"], engine="spark")
    with pytest.raises(InputError, match="no rows"):
        metamodel.train(frame.limit(0), "shop", "y", engine="spark")
