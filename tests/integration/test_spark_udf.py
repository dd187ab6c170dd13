"""A logged model as a Spark UDF in a real local session: scikit-learn's answers, whatever Spark makes of the types."""

import datetime as dt
import gc
import os
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import spark_children
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from spark_children import FussyRidge, PassedOver, RecordingRidge

import metamodel
from metamodel.tables.keys import encode_key

pytestmark = pytest.mark.spark

FEATURES = ["housing_median_age", "total_rooms", "population", "median_income"]
TARGET = "median_house_value"
EXACT_INTEGERS = "spark.sql.execution.pythonUDF.pandas.preferIntExtensionDtype"


def logged(data: pd.DataFrame, group_by: list[str], target: str, estimator: Any, **options: Any) -> str:
    """Train and log; returns the model's URI."""
    recorded = {name: options.pop(name) for name in ("detail", "predict_method") if name in options}
    result = metamodel.train(data, group_by, target, estimator, n_jobs=1, **{"holdout": 0, **options})
    return str(metamodel.log_model(result, code_paths=spark_children.__file__, **recorded, report=False).model_uri)


def as_udf(spark: Any, uri: str, result_type: str | None = None) -> Any:
    return mlflow.pyfunc.spark_udf(spark, uri, result_type=result_type, env_manager="local")


def scored(spark: Any, frame: pd.DataFrame, uri: str, partitions: int = 2, schema: str | None = None) -> pd.DataFrame:
    """Score through Spark with the struct result; the rows come back in order, with the answers' columns behind theirs.

    An SQL NULL comes back as None, so that it differs from NaN.
    """
    from pyspark.sql import functions

    columns = list(frame.columns)
    table = spark.createDataFrame(frame.assign(row=range(len(frame))), schema=schema and f"{schema}, row long")
    answers = table.repartition(partitions).withColumn("answer", as_udf(spark, uri)(functions.struct(*columns)))
    rows = sorted(answers.select("row", "answer.*").collect(), key=lambda row: row["row"])
    assert [row["row"] for row in rows] == list(range(len(frame)))
    return pd.DataFrame([row.asDict() for row in rows], dtype=object).drop(columns="row")


def by_hand(data: pd.DataFrame, group_by: list[str], features: list[str], target: str, estimator: Any) -> pd.Series:
    """What scikit-learn predicts when one estimator is fitted to each group."""
    parts = []
    for _, group in data.groupby(group_by):
        child = estimator().fit(group[features].to_numpy(), group[target].to_numpy())
        parts.append(pd.Series(child.predict(group[features].to_numpy()), index=group.index))
    return pd.concat(parts).reindex(data.index)


def in_cells(housing: pd.DataFrame) -> pd.DataFrame:
    cells = {f"{name}_cell": np.floor(housing[name]).astype("int64") for name in ("latitude", "longitude")}
    return housing.assign(**cells)


@pytest.fixture(scope="module")
def by_proximity(_housing: pd.DataFrame, tracking_uri: str) -> str:
    return logged(_housing, ["ocean_proximity"], TARGET, Ridge(), features=FEATURES)


def test_struct_result_equals_children_fitted_by_hand(spark: Any, housing: pd.DataFrame, by_proximity: str) -> None:
    answers = scored(spark, housing[["ocean_proximity", *FEATURES]], by_proximity, partitions=3)

    expected = by_hand(housing, ["ocean_proximity"], FEATURES, TARGET, Ridge)
    assert list(answers.columns) == ["prediction", "status"]
    assert set(answers["status"]) == {"child"}
    np.testing.assert_allclose(answers["prediction"].astype(float), expected, rtol=1e-9)


def test_cells_of_two_integer_columns_equal_children_fitted_by_hand(spark: Any, housing: pd.DataFrame) -> None:
    cells = in_cells(housing)
    keys = ["latitude_cell", "longitude_cell"]
    # Unscaled features leave tiny cells ill-conditioned, and then the last digits depend on the solver's threads.
    uri = logged(cells, keys, TARGET, make_pipeline(StandardScaler(), Ridge()), features=FEATURES, min_rows=1)

    answers = scored(spark, cells[[*keys, *FEATURES]], uri, partitions=3)

    expected = by_hand(cells, keys, FEATURES, TARGET, lambda: make_pipeline(StandardScaler(), Ridge()))
    assert cells[keys].drop_duplicates().shape[0] > 50
    assert set(answers["status"]) == {"child"}
    np.testing.assert_allclose(answers["prediction"].astype(float), expected, rtol=1e-9)


@pytest.mark.parametrize("call", ["struct", "columns"])
def test_double_result_is_the_prediction_alone_and_null_where_nobody_answers(
    spark: Any, housing: pd.DataFrame, by_proximity: str, call: str
) -> None:
    from pyspark.sql import functions

    rows = housing.groupby("ocean_proximity").head(4).reset_index(drop=True)
    sent = rows.assign(ocean_proximity=rows["ocean_proximity"].where(rows.index != 2, "ON MARS"))
    table = spark.createDataFrame(sent.assign(row=range(len(sent)))).repartition(2)
    columns = ["ocean_proximity", *FEATURES]  # the signature's order: group columns, then features
    arguments = [functions.struct(*columns)] if call == "struct" else columns
    answers = table.select("row", as_udf(spark, by_proximity, "double")(*arguments).alias("units")).orderBy("row")

    assert answers.schema["units"].dataType.simpleString() == "double"
    answered = [row["units"] for row in answers.collect()]
    whole = by_hand(housing, ["ocean_proximity"], FEATURES, TARGET, Ridge)
    expected = whole[housing.groupby("ocean_proximity").head(4).index].to_numpy()
    assert answered.pop(2) is None
    np.testing.assert_allclose(np.array(answered, dtype=float), np.delete(expected, 2), rtol=1e-9)


def test_columns_one_by_one_give_the_struct_result_too(spark: Any, housing: pd.DataFrame, by_proximity: str) -> None:
    rows = housing.groupby("ocean_proximity").head(2)
    table = spark.createDataFrame(rows)
    answers = table.select(as_udf(spark, by_proximity)("ocean_proximity", *FEATURES).alias("answer")).select("answer.*")

    expected = by_hand(housing, ["ocean_proximity"], FEATURES, TARGET, Ridge)[rows.index]
    np.testing.assert_allclose(
        sorted(row["prediction"] for row in answers.collect()), sorted(expected.tolist()), rtol=1e-9
    )


def two_groups(keys: dict[str, list[Any]], rows: int = 12) -> pd.DataFrame:
    """Rows of two groups with a slope of their own; `keys` holds two values a group column."""
    rng = np.random.default_rng(0)
    group = np.arange(rows) % 2
    x = rng.uniform(1, 9, rows)
    columns = {name: pd.Series([values[i] for i in group], dtype=object) for name, values in keys.items()}
    return pd.DataFrame({**columns, "x": x, "y": np.where(group == 0, 3 * x, 100 - 5 * x)})


def test_unknown_groups_null_keys_and_failing_children_get_a_status_and_null(spark: Any) -> None:
    data = two_groups({"shop": ["a", "b"]})
    uri = logged(data, ["shop"], "y", FussyRidge(alpha=1e-9))
    sent = pd.DataFrame({"shop": ["a", "zzz", None, "b", "a", "b"], "x": [2.0, 2.0, 2.0, -1.0, 2e6, 4.0]})

    answers = scored(spark, sent, uri, partitions=1)

    assert answers["status"].tolist() == ["child", "unknown_group", "invalid_key", "failed", "child", "child"]
    # Row 4 is a child's own NaN: null as well, and the status says that it was the child's.
    assert answers["prediction"].isna().tolist() == [False, True, True, True, True, False]
    assert all(value is None for value in answers["prediction"][answers["prediction"].isna()])
    np.testing.assert_allclose(answers["prediction"][[0, 5]].astype(float), [6.0, 80.0], rtol=1e-6)


KINDS = {
    "number": ("bigint", [7, 2**62], None),
    "amount": ("decimal(20,2)", [Decimal("7.00"), Decimal("8.00")], Decimal("7.50")),
    "day": ("date", [dt.date(2026, 1, 31), dt.date(2026, 2, 1)], dt.date(1999, 1, 1)),
    "moment": ("timestamp", [dt.datetime(2026, 7, 1, 12, 30), dt.datetime(2026, 7, 1, 12, 31)], None),
    "flag": ("boolean", [True, False], None),
}


@pytest.fixture(scope="module")
def by_every_kind(tracking_uri: str) -> str:
    return logged(two_groups({name: values for name, (_, values, _) in KINDS.items()}), list(KINDS), "y", Ridge(1e-9))


def every_kind(rows: list[dict[str, Any]]) -> tuple[pd.DataFrame, str]:
    frame = pd.DataFrame(rows, columns=[*KINDS, "x"], dtype=object)
    # PySpark reads datetimes in an object column as this machine's time, those in a datetime column as the session's.
    frame = frame.astype({"moment": "datetime64[ns]", "x": "float64"})
    return frame, ", ".join([*(f"{name} {kind}" for name, (kind, _, _) in KINDS.items()), "x double"])


def test_keys_of_every_spark_type_find_their_group(spark: Any, by_every_kind: str) -> None:
    groups = [{name: values[i] for name, (_, values, _) in KINDS.items()} for i in (0, 1)]
    frame, schema = every_kind([{**groups[0], "x": 2.0}, {**groups[1], "x": 2.0}, {**groups[0], "x": 3.0}])

    answers = scored(spark, frame, by_every_kind, schema=schema)

    assert set(answers["status"]) == {"child"}
    np.testing.assert_allclose(answers["prediction"].astype(float), [6.0, 90.0, 9.0], rtol=1e-6)


def test_a_null_in_a_key_of_any_spark_type_spoils_its_own_row_alone(spark: Any, by_every_kind: str) -> None:
    good = {name: values[0] for name, (_, values, _) in KINDS.items()}
    frame, schema = every_kind([{**good, "x": 2.0}, *({**good, name: None, "x": 2.0} for name in KINDS)])

    answers = scored(spark, frame, by_every_kind, partitions=1, schema=schema)

    assert answers["status"].tolist() == ["child", *["invalid_key"] * len(KINDS)]
    assert answers["prediction"][1:].isna().all()


def test_other_values_of_a_key_never_reach_a_neighbouring_group(spark: Any, by_every_kind: str) -> None:
    good = {name: values[0] for name, (_, values, _) in KINDS.items()}
    others = [
        {"number": 2**62 - 1},
        {"amount": Decimal("7.50")},
        {"day": dt.date(1999, 1, 1)},
        {"moment": dt.datetime(2026, 7, 1, 12, 30, 0, 1)},
        {"flag": False},
    ]
    frame, schema = every_kind([{**good, **other, "x": 2.0} for other in others])

    answers = scored(spark, frame, by_every_kind, schema=schema)

    assert answers["status"].tolist() == [
        "unknown_group",
        "invalid_key",
        "unknown_group",
        "unknown_group",
        "unknown_group",
    ]


def test_large_integer_beside_a_null_is_refused_rather_than_rounded(spark: Any, request: pytest.FixtureRequest) -> None:
    """Unless told otherwise, Spark makes floats of a bigint column with nulls: exact up to 2**53 only."""
    data = two_groups({"account": [2**53, 2**53 + 1]})
    uri = logged(data, ["account"], "y", Ridge(1e-9))
    sent = pd.DataFrame({"account": pd.Series([2**53 + 1, None], dtype=object), "x": [2.0, 2.0]})

    together = scored(spark, sent, uri, partitions=1, schema="account bigint, x double")
    alone = scored(spark, sent.head(1), uri, partitions=1, schema="account bigint, x double")
    request.addfinalizer(lambda: spark.conf.unset(EXACT_INTEGERS))
    spark.conf.set(EXACT_INTEGERS, "true")
    exact = scored(spark, sent, uri, partitions=1, schema="account bigint, x double")

    assert together["status"].tolist() == ["invalid_key", "invalid_key"]
    assert alone["status"].tolist() == ["child"]
    assert exact["status"].tolist() == ["child", "invalid_key"]
    np.testing.assert_allclose([alone["prediction"][0], exact["prediction"][0]], [90.0, 90.0], rtol=1e-6)


def test_zoned_timestamp_keys_are_refused_because_spark_takes_the_zone_away(spark: Any) -> None:
    moments = [pd.Timestamp("2026-07-01 12:30", tz="UTC"), pd.Timestamp("2026-07-01 14:30", tz="UTC")]
    uri = logged(two_groups({"moment": moments}), ["moment"], "y", Ridge(1e-9))

    # 14:30 in Paris, the session's zone, is 12:30 UTC: taking the bare 14:30 for UTC would ask the other group's child.
    sent = pd.DataFrame({"moment": moments[:1], "x": [2.0]})
    answers = scored(spark, sent, uri)

    assert answers["status"].tolist() == ["invalid_key"]


LABELS = {
    "text": (["cheap", "dear"], "string", ["cheap", "dear"]),
    "integer": ([3, 8], "double", [3.0, 8.0]),
    "boolean": ([False, True], "string", ["False", "True"]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_label_of_an_unanswered_row_is_null_among_answered_ones(spark: Any, kind: str) -> None:
    from pyspark.sql import functions

    labels, sql_type, expected = LABELS[kind]
    x = np.linspace(-4, 4, 40)
    data = pd.DataFrame({"shop": ["a", "b"] * 20, "x": x, "y": [labels[int(value > 0)] for value in x]})
    uri = logged(data, ["shop"], "y", LogisticRegression())
    sent = pd.DataFrame({"shop": ["a", "zzz", None, "b"], "x": [-3.0, -3.0, 3.0, 3.0]})
    udf = as_udf(spark, uri)

    # One partition: all four rows are one batch.
    table = spark.createDataFrame(sent.assign(row=range(4))).coalesce(1)
    answers = table.withColumn("answer", udf(functions.struct("shop", "x"))).select(
        "row", "answer.*", functions.col("answer.prediction").isNull().alias("missing")
    )

    assert answers.schema["prediction"].dataType.simpleString() == sql_type
    rows = answers.orderBy("row").collect()
    assert [row["prediction"] for row in rows] == [expected[0], None, None, expected[1]]
    assert [row["missing"] for row in rows] == [False, True, True, False]
    assert [row["status"] for row in rows] == ["child", "unknown_group", "invalid_key", "child"]


def test_string_result_keeps_the_nulls_of_unanswered_rows(spark: Any) -> None:
    x = np.linspace(-4, 4, 40)
    data = pd.DataFrame({"shop": ["a", "b"] * 20, "x": x, "y": np.where(x > 0, "dear", "cheap")})
    uri = logged(data, ["shop"], "y", LogisticRegression())
    sent = pd.DataFrame({"shop": ["a", "zzz", "b"], "x": [-3.0, -3.0, 3.0]})

    table = spark.createDataFrame(sent.assign(row=range(3))).coalesce(1)
    answers = table.withColumn("label", as_udf(spark, uri, "string")("shop", "x")).orderBy("row").collect()

    assert [row["label"] for row in answers] == ["cheap", None, "dear"]


def test_recorded_detail_and_probabilities_are_fields_of_the_struct(spark: Any, housing: pd.DataFrame) -> None:
    # Classes differ by group: near the bay a district is "high" or "middle", elsewhere "middle" or "low".
    above = housing[TARGET] > housing.groupby("ocean_proximity")[TARGET].transform("median")
    near = housing["ocean_proximity"] == "NEAR BAY"
    band = np.where(above, np.where(near, "high", "middle"), np.where(near, "middle", "low"))
    rows = housing.assign(band=band)[["ocean_proximity", "median_income", "band"]]
    uri = logged(
        rows,
        ["ocean_proximity"],
        "band",
        LogisticRegression(),
        detail=True,
        predict_method="predict_proba",
        duplicates="keep",
    )
    sent = pd.concat([rows.groupby("ocean_proximity").head(5), rows.head(1).assign(ocean_proximity="ON MARS")])

    answers = scored(spark, sent[["ocean_proximity", "median_income"]], uri, partitions=1)

    classes = [f"probability_{label}" for label in ("high", "low", "middle")]
    assert list(answers.columns) == ["prediction", *classes, "status", "key", "level", "child_version", "error"]
    assert answers["key"].tolist() == [encode_key((name,)) for name in sent["ocean_proximity"]]
    known = answers["status"] == "child"
    assert known.tolist() == [True] * (len(sent) - 1) + [False]
    assert answers["level"].tolist() == [1] * (len(sent) - 1) + [-1]
    assert answers["child_version"][known].str.fullmatch("[0-9a-f]{12}").all()
    assert answers["error"].iloc[-1].startswith("No child model for group ('ON MARS',)")
    assert answers[["prediction", *classes]].iloc[-1].tolist() == [None] * 4
    for name, group in sent.iloc[:-1].assign(row=range(len(sent) - 1)).groupby("ocean_proximity"):
        whole = rows[rows["ocean_proximity"] == name]
        child = LogisticRegression(random_state=0).fit(whole[["median_income"]].to_numpy(), whole["band"])
        expected = pd.DataFrame(child.predict_proba(group[["median_income"]].to_numpy()), columns=child.classes_)
        expected = expected.reindex(columns=["high", "low", "middle"], fill_value=0.0)
        np.testing.assert_allclose(answers.loc[group["row"], classes].astype(float), expected, rtol=1e-9)


def test_workers_pass_over_what_was_imported(spark: Any) -> None:
    data = two_groups({"shop": ["a", "a"]}, rows=60)
    gc.freeze()  # as if it had been fitted in such a worker
    uri = logged(data, ["shop"], "y", PassedOver())
    assert scored(spark, data[["shop", "x"]], uri)["prediction"].min() > 100_000  # MLflow, too


def test_children_are_opened_once_a_process_and_not_once_a_task(spark: Any, tmp_path: Path) -> None:
    journal = tmp_path / "journal.csv"
    data = two_groups({"shop": ["a", "b"]}, rows=60)
    uri = logged(data, ["shop"], "y", RecordingRidge(str(journal)))
    journal.write_text("")  # training and logging opened children too; those are not meant here

    answers = scored(spark, data[["shop", "x"]], uri, partitions=8)

    assert set(answers["status"]) == {"child"}
    entries = [line.split(",") for line in journal.read_text().splitlines()]
    loads = Counter((process, child) for what, process, child, _ in entries if what == "load")
    tasks = {task for what, _, _, task in entries if what == "predict"}
    processes = {process for _, process, _, _ in entries}
    assert len(tasks) == 8
    assert len(processes) < len(tasks)
    assert str(os.getpid()) not in processes
    assert len({child for _, child in loads}) == 2
    assert set(loads.values()) == {1}
