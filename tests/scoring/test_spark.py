"""Scoring on Spark: the answers of the model on this machine, beside the caller's own columns, with real nulls."""

import os
import shlex
import tempfile
from pathlib import Path
from typing import Any

import forked_programs
import mlflow
import numpy as np
import pandas as pd
import pytest
import rolled_out
from click.testing import CliRunner
from java import SHORT_LIVED
from sklearn.linear_model import LogisticRegression, Ridge
from spark_children import PassedOver
from spark_tables import FEATURES, KEYS, TARGET, entries, in_cells

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.cli import main
from metamodel.evaluation.drift.window_counts import ROWS
from metamodel.exceptions import InputError, MissingColumns
from metamodel.prediction_log.log_counts import read_log_counts
from metamodel.scoring import score_file

pytestmark = pytest.mark.spark


def trained(frame: pd.DataFrame, *args: Any, **options: Any) -> Path:
    return metamodel.train(frame, *args, n_jobs=1, **{"holdout": 0, **options}).bundle_path


def test_answers_equal_the_local_ones_and_the_callers_columns_stay(spark: Any, housing: pd.DataFrame) -> None:
    cells = in_cells(housing).dropna().assign(row=lambda frame: np.arange(len(frame)))
    bundle = trained(cells.iloc[5000:], KEYS, TARGET, features=FEATURES)
    sent = spark.createDataFrame(cells)

    answers = metamodel.score(sent, bundle, engine="spark")

    assert answers.columns == [*sent.columns, "prediction", "status"]
    assert [field.dataType.simpleString() for field in answers.schema.fields[-2:]] == ["double", "string"]
    expected = MetaModel(bundle).predict(cells)
    found = answers.toPandas().sort_values("row")
    assert set(found["status"]) == {"child", "unknown_group"} & set(expected["status"])
    np.testing.assert_allclose(found["prediction"], expected["prediction"], rtol=1e-9)
    pd.testing.assert_frame_equal(found[list(cells)].reset_index(drop=True), cells.reset_index(drop=True))


@pytest.mark.parametrize(
    ("labels", "kind"), [(["cheap", "dear"], "string"), ([3, 8], "bigint"), ([False, True], "boolean")]
)
def test_unanswered_labels_of_every_kind_are_null(spark: Any, labels: list[Any], kind: str) -> None:
    x = np.linspace(-4, 4, 40)
    data = pd.DataFrame({"shop": [7, 8] * 20, "x": x, "y": [labels[int(value > 0)] for value in x]})
    bundle = trained(data, "shop", "y", LogisticRegression())
    sent = spark.createDataFrame(
        [(7, -3.0, 0), (99, -3.0, 1), (None, 3.0, 2), (8, 3.0, 3)], "shop int, x double, r int"
    )

    answers = metamodel.score(sent, bundle, engine="spark", params={"detail": True, "predict_method": "predict_proba"})

    assert answers.schema["prediction"].dataType.simpleString() == kind
    rows = sorted(answers.collect(), key=lambda row: row["r"])
    assert [row["prediction"] for row in rows] == [labels[0], None, None, labels[1]]
    assert [row["status"] for row in rows] == ["child", "unknown_group", "invalid_key", "child"]
    assert [row[f"probability_{labels[1]}"] is None for row in rows] == [False, True, True, False]
    assert rows[0]["key"] == "[7]"


def test_workers_that_train_and_score_pass_over_what_was_imported(spark: Any) -> None:
    rows = spark.createDataFrame(pd.DataFrame({"shop": [1, 2] * 20, "x": np.arange(40.0), "y": np.arange(40.0)}))
    result = metamodel.train(rows, "shop", "y", PassedOver(), holdout=0, engine="spark")
    scored = metamodel.score(rows, result.bundle_path, engine="spark").toPandas()
    assert scored["prediction"].min() > 50_000  # scikit-learn and pandas are more


def test_wrong_tables_are_refused_before_anything_runs(spark: Any, tmp_path: Path) -> None:
    data = pd.DataFrame({"shop": ["a", "b"] * 20, "x": np.arange(40.0), "y": np.arange(40.0)})
    bundle = trained(data, "shop", "y")
    with pytest.raises(MissingColumns, match="lacks feature column 'x'"):
        metamodel.score(spark.createDataFrame(data[["shop"]]), bundle, engine="spark")
    with pytest.raises(InputError, match="'x' holds strings"):
        metamodel.score(spark.createDataFrame(data.astype({"x": str})), bundle, engine="spark")
    with pytest.raises(InputError, match="already has the column 'status'"):
        metamodel.score(spark.createDataFrame(data.assign(status=1)), bundle, engine="spark")
    with pytest.raises(InputError, match='Score with engine="spark"'):
        metamodel.score(spark.createDataFrame(data), bundle)


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_commands_train_and_score_files_on_spark(spark: Any, tmp_path: Path, ending: str) -> None:
    data = pd.DataFrame({"shop": ["a", "NA"] * 20, "x": np.arange(40.0), "y": np.arange(40.0)})
    source, output = tmp_path / f"table{ending}", tmp_path / f"scored{ending}"
    data.to_csv(source, index=False) if ending == ".csv" else data.to_parquet(source, index=False)
    name = f"on-spark-{ending[1:]}"
    roles = ["--group-by", "shop", "--target", "y", "--engine", "spark", "--register", name, "--alias", "new"]
    run = CliRunner().invoke(main, ["train", "--data", str(source), *roles])
    assert run.exit_code == 0, run.output
    arguments = ["score", "--data", str(source), "--model", f"models:/{name}@new", "--engine", "spark"]

    run = CliRunner().invoke(main, [*arguments, "--output", str(output), "--json"])
    again = CliRunner().invoke(main, [*arguments, "--output", str(output)])

    assert run.exit_code == 0, run.output
    assert '"child": 40' in run.output
    scored = spark.read.csv(str(output), header=True) if ending == ".csv" else spark.read.parquet(str(output))
    assert scored.count() == 40
    assert again.exit_code == 2
    assert "exists already" in again.output


def test_the_command_scores_in_a_process_of_its_own_where_no_session_is(tmp_path: Path) -> None:
    data = pd.DataFrame({"shop": [7, 8] * 5, "x": np.arange(10.0), "y": np.arange(10.0)})
    data.to_parquet(tmp_path / "rows.parquet")
    bundle, output = trained(data, "shop", "y"), tmp_path / "answers.parquet"
    place = ["--data", tmp_path / "rows.parquet", "--model", bundle, "--output", output]
    # One task at a time, so that one worker is started and imports MLflow, and no pages of progress. With a folder of
    # settings Java would have another class path, and leave the archive of Spark's classes aside.
    settings = {"master": "local[1]", "ui.enabled": "false", "driver.extraJavaOptions": " ".join(SHORT_LIVED)}
    settings["sql.codegen.factoryMode"] = "NO_CODEGEN"
    asked = [part for name, value in settings.items() for part in ("--conf", f"spark.{name}={value}")]
    env = {**os.environ, "PYSPARK_SUBMIT_ARGS": shlex.join([*asked, "pyspark-shell"])}
    done = forked_programs.run("metamodel", "score", "--engine", "spark", *map(str, place), env=env, timeout=240)

    assert done.returncode == 0, done.stderr
    assert "10 rows written to" in done.stdout
    assert pd.read_parquet(output)["status"].eq("child").all()


def test_policy_error_names_the_group_and_writes_nothing(spark: Any, tmp_path: Path) -> None:
    from metamodel.exceptions import UnknownGroup

    data = pd.DataFrame({"shop": ["a", "b"] * 20, "x": np.arange(40.0), "y": np.arange(40.0)})
    bundle = trained(data, "shop", "y")
    source = tmp_path / "table.parquet"
    data.assign(shop="c").to_parquet(source)

    with pytest.raises(UnknownGroup, match=r"No child model for group \('c',\)"):
        score_file(str(source), bundle, str(tmp_path / "out.parquet"), engine="spark", params={"unknown": "error"})


def test_what_is_counted_while_spark_writes_is_what_is_counted_here(spark: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"shop": ["a", "b"] * 50, "x": rng.normal(size=100)})
    data["y"] = data["x"] + rng.normal(size=100)
    bundle = trained(data, "shop", "y")
    data = data.assign(shop=np.where(data.index < 7, "c", data["shop"]), status="open")
    data.loc[50:52, "y"] = np.nan
    data.to_parquet(tmp_path / "rows.parquet")

    place = (str(tmp_path / "rows.parquet"), bundle)
    there = score_file(*place, str(tmp_path / "there.parquet"), engine="spark", prefix="model_")
    here = score_file(*place, str(tmp_path / "here.parquet"), prefix="model_")

    assert there.statuses == here.statuses == {"child": 93, "unknown_group": 7}
    assert there.metrics == pytest.approx(here.metrics)
    assert there.judged_rows == here.judged_rows == 90
    ((status, text, rows),) = there.commonest()
    assert (status, rows) == ("unknown_group", 7)
    assert "No child model for group" in text
    written = spark.read.parquet(str(tmp_path / "there.parquet"))
    assert written.columns == [*data.columns, "model_prediction", "model_status"]
    assert {row["status"] for row in written.collect()} == {"open"}


@pytest.mark.slow
def test_plain_udf_leaves_nothing_behind_after_a_thousand_batches(spark: Any, tmp_path: Path) -> None:
    from pyspark.sql import functions

    rows = 10_000
    data = pd.DataFrame({"shop": ["a", "b"] * (rows // 2), "x": np.arange(float(rows)), "y": np.arange(float(rows))})
    uri = metamodel.log_model(metamodel.train(data.head(100), "shop", "y", Ridge(), n_jobs=1), report=False).model_uri
    table = spark.createDataFrame(data).repartition(8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path))  # of the driver; workers have one of their own
        udf = mlflow.pyfunc.spark_udf(spark, uri, env_manager="local")
        before = entries(spark), os.listdir(tmp_path)
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "10")
        try:
            answers = table.select(udf(functions.struct("shop", "x")).alias("answer"))
            assert answers.where("answer.status = 'child'").count() == rows
        finally:
            spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")

    assert (entries(spark), os.listdir(tmp_path)) == before


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_ids_of_19_digits_beside_a_null_are_routed_as_on_this_machine(spark: Any, tmp_path: Path, ending: str) -> None:
    ids = pd.array([2**60 + 1, None, 2**62 + 1, 2**60 + 2] * 10, dtype="Int64")
    data = pd.DataFrame({"id": ids, "x": np.arange(40.0), "y": np.arange(40.0) ** 2})
    bundle = trained(data.dropna(), "id", "y")
    path = tmp_path / f"ids{ending}"
    data.to_csv(path, index=False) if ending == ".csv" else data.to_parquet(path, index=False)

    there = metamodel.score(path, bundle, engine="spark").toPandas().sort_values("x")

    here = metamodel.score(path, bundle)
    assert here["status"].tolist() == ["child", "invalid_key", "child", "child"] * 10
    assert there["status"].tolist() == here["status"].tolist()
    np.testing.assert_allclose(there["prediction"], here["prediction"], rtol=1e-9)


def test_every_row_is_in_the_log_once_however_often_the_answers_are_used(
    spark: Any, housing: pd.DataFrame, tmp_path: Path
) -> None:
    cells = in_cells(housing).dropna().assign(row_id=lambda frame: np.arange(len(frame)))
    bundle = trained(cells.iloc[5000:], KEYS, TARGET, features=FEATURES)

    answers = metamodel.score(spark.createDataFrame(cells), bundle, engine="spark", log=tmp_path / "log")
    found = [answers.toPandas().set_index("row_id").sort_index() for _ in range(2)]

    rows = pd.concat(metamodel.read_log(tmp_path / "log")).astype({"row_id": int}).set_index("row_id").sort_index()
    assert rows.index.tolist() == found[0].index.tolist() == list(range(len(cells)))
    np.testing.assert_array_equal(rows["prediction"], found[1]["prediction"])
    assert set(rows["status"]) == set(found[0]["status"])
    assert rows["version"].nunique() == 1
    counted = [counts.totals[:, ROWS].sum() for _, counts in read_log_counts(tmp_path / "log")]
    assert sum(counted) == len(cells)


def test_the_control_group_is_that_of_this_machine(spark: Any, tmp_path: Path) -> None:
    """Whatever the partitions; null entities and unknown groups are in none."""
    model = rolled_out.trained(tmp_path / "model", rolled_out.panel(), unknown="fallback", pooled=False)
    frame = rolled_out.visitors().assign(row=lambda frame: np.arange(len(frame)))
    frame.to_parquet(tmp_path / "rows.parquet")
    expected = metamodel.score(frame, model, explore=0.3, explore_entity="customer")
    assert set(expected["variant"]) == {"control", "treated"}

    sent = spark.createDataFrame(frame).repartition(3)
    answers = metamodel.score(sent, model, engine="spark", explore=0.3, explore_entity="customer")
    arguments = ["--data", str(tmp_path / "rows.parquet"), "--model", str(model.path), "--engine", "spark"]
    asked = ["--explore", "0.3", "--explore-entity", "customer", "--output", str(tmp_path / "scored.parquet")]
    run = CliRunner().invoke(main, ["score", *arguments, *asked])

    assert run.exit_code == 0, run.output
    for found in (answers.toPandas(), pd.read_parquet(tmp_path / "scored.parquet")):
        found = found.sort_values("row", ignore_index=True)
        assert found["variant"].tolist() == expected["variant"].tolist()
        assert found["status"].tolist() == expected["status"].tolist()
        np.testing.assert_allclose(found["prediction"], expected["prediction"], rtol=1e-9)
    assert "variant" not in metamodel.score(sent, model, engine="spark").columns
