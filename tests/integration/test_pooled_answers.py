"""Groups that the pooled model answers, through every way in: the same numbers as its own predict."""

import json
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.flavor.export import export_child
from metamodel.flavor.load import load_model
from metamodel.serving.scorer import Scorer

FEATURES = list("abc")

JSON = "application/json"


def table() -> pd.DataFrame:
    """Groups with offsets of their own, and one slope for all."""
    rng = np.random.default_rng(0)
    shop = np.repeat(np.arange(60), 8)
    x = rng.normal(size=(len(shop), 3))
    y = 50 * rng.normal(size=60)[shop] + x[:, 0] + x[:, 1] + 2 * rng.normal(size=len(shop))
    return pd.DataFrame(x, columns=FEATURES).assign(shop=shop, y=y)


FRAME = table()
ASKED = FRAME.sample(frac=1, random_state=1).drop(columns="y").reset_index(drop=True)


@pytest.fixture(scope="module")
def uri() -> str:
    result = metamodel.train(FRAME, "shop", "y", LinearRegression(), unknown="fallback", pooled=True, n_jobs=1)
    return str(metamodel.log_model(result, report=False).model_uri)


@pytest.fixture(scope="module")
def model(uri: str) -> MetaModel:
    return metamodel.load_model(uri)


@pytest.fixture(scope="module")
def by_hand(model: MetaModel) -> pd.Series:
    """What the pooled model says of the rows that it answers, null of the others."""
    pooled, _ = model.bundle.pooled()
    told = ASKED[FEATURES].assign(**{"group:shop": [json.dumps([shop]) for shop in ASKED["shop"]]})
    said = pd.Series(pooled.estimator.predict(told))
    by_pooled = model.predict(ASKED)["status"] == "pooled"
    assert by_pooled.mean() > 0.5
    return said.where(by_pooled)


def agree(answers: pd.DataFrame, by_hand: pd.Series) -> None:
    assert ((answers["status"] == "pooled").to_numpy() == by_hand.notna()).all()
    rows = by_hand.notna().to_numpy()
    np.testing.assert_allclose(answers["prediction"].to_numpy(dtype=float)[rows], by_hand[rows], rtol=1e-12)


def test_through_pyfunc(uri: str, by_hand: pd.Series) -> None:
    agree(mlflow.pyfunc.load_model(uri).predict(ASKED), by_hand)


def test_through_the_server_s_json_read_plainly_or_by_mlflow(uri: str, by_hand: pd.Series) -> None:
    scorer = Scorer(load_model(uri), max_rows=1000)
    rows = {"columns": ASKED.columns.tolist(), "data": ASKED.to_numpy(dtype=object).tolist()}
    body = json.dumps({"dataframe_split": rows}).encode()
    plain = scorer.read(body, JSON)
    assert plain is not None
    for reply in (scorer.answer(plain), scorer.answer_by_mlflow(body, JSON)):
        agree(pd.DataFrame(json.loads(reply.body)["predictions"]), by_hand)


@pytest.mark.spark
def test_through_spark(spark: Any, uri: str, by_hand: pd.Series) -> None:
    from pyspark.sql import functions

    rows = spark.createDataFrame(ASKED.assign(row=range(len(ASKED))))
    answer = mlflow.pyfunc.spark_udf(spark, uri, env_manager="local")
    answers = rows.withColumn("answer", answer(functions.struct(*ASKED.columns))).select("row", "answer.*").toPandas()
    agree(answers.sort_values("row"), by_hand)


def test_an_exported_group_is_the_pooled_model_for_its_features(
    model: MetaModel, by_hand: pd.Series, tmp_path: Any
) -> None:
    shop = int(ASKED["shop"][by_hand.first_valid_index()])
    export_child(model, (shop,), tmp_path / "child")
    exported = mlflow.pyfunc.load_model(str(tmp_path / "child"))
    rows = ASKED["shop"] == shop
    np.testing.assert_allclose(exported.predict(ASKED.loc[rows, FEATURES]), by_hand[rows], rtol=1e-12)
