"""One unit has one model, whoever asks: both servers, JSON, CSV, pandas, Spark, SQL; the shadow changes nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from rolled_out import FEATURES, panel
from servers import Server, metamodel_server, scoring_server
from serving import CSV, post

import metamodel
from metamodel.prediction.rollout.assignment import bound_text, in_challenger, unit_hashes
from metamodel.scoring import score_file

RESULT = "prediction double, status string, variant string"

NAME, SALT, FRACTION = "rolled-out-servers", "spring", 0.3


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two versions of a model; the third is a roll-out of them, 30 % of the customers."""
    directory = tmp_path_factory.mktemp("versions")
    for number, frame in enumerate((panel(), panel(shift=5.0, shifted=3))):
        given: dict[str, Any] = {"estimator": "ridge", "features": FEATURES, "n_jobs": 1, "prune": False}
        result = metamodel.train(frame, "shop", "y", output_dir=directory / str(number), **given)
        metamodel.log_model(result, registered_model_name=NAME, report=False)
    metamodel.rollout(
        f"models:/{NAME}/1", f"models:/{NAME}/2", "ab", FRACTION, "customer", register=NAME, salt=SALT, patience=60
    )
    return f"models:/{NAME}/3"


def customers(n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    names = [None if i % 9 == 0 else f"c-{i}é" for i in range(n)]
    return pd.DataFrame({"shop": np.arange(n) % 12, "x": rng.normal(size=n), "z": 0.25, "customer": names})


def expected(frame: pd.DataFrame) -> list[str]:
    """Who has each row, in plain Python."""
    texts = [json.dumps([name], ensure_ascii=False) for name in frame["customer"]]
    chosen = in_challenger(unit_hashes(texts, SALT), FRACTION) & frame["customer"].notna().to_numpy()
    return np.where(chosen, "challenger", "champion").tolist()


@pytest.fixture(scope="module")
def servers(champion: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    options = {"mode": "ab", "fraction": FRACTION, "entity": "customer", "salt": SALT, "patience": 60}
    with (
        scoring_server(champion, tmp_path_factory.mktemp("mlflow")) as theirs,
        metamodel_server(champion, tmp_path_factory.mktemp("ours")) as ours,
        metamodel_server(
            f"models:/{NAME}/1", tmp_path_factory.mktemp("beside"), challenger=f"models:/{NAME}/2", **options
        ) as beside,
    ):
        yield {"mlflow": theirs, "logged": ours, "beside": beside}


def sent(frame: pd.DataFrame, layout: str) -> str:
    if layout == "split":
        table: Any = {"dataframe_split": json.loads(frame.to_json(orient="split", index=False))}
    elif layout == "inputs":
        table = {"inputs": json.loads(frame.to_json(orient="records"))}
    else:
        table = {"dataframe_records": json.loads(frame.to_json(orient="records"))}
    return json.dumps({**table, "params": {"detail": True}})


@pytest.mark.server
@pytest.mark.parametrize("which", ["mlflow", "logged", "beside"])
def test_every_server_and_layout_gives_a_unit_its_model(servers: dict[str, Server], which: str) -> None:
    frame = customers()
    for layout in ("split", "records", "inputs"):
        answer = post(servers[which], sent(frame, layout))
        assert answer.status_code == 200, answer.text
        assert [row["variant"] for row in answer.json()["predictions"]] == expected(frame)
    alone = [post(servers[which], sent(frame.iloc[[i]], "records")).json()["predictions"][0] for i in range(1, 20)]
    assert [row["variant"] for row in alone] == expected(frame)[1:20]


@pytest.mark.server
def test_csv_gives_the_same_answers_as_json(servers: dict[str, Server]) -> None:
    frame = customers()
    answers = {
        which: (post(server, sent(frame, "split")).json(), post(server, frame.to_csv(index=False), CSV).json())
        for which, server in servers.items()
    }
    every = [[row["prediction"] for row in answer["predictions"]] for pair in answers.values() for answer in pair]
    for predictions in every[1:]:
        np.testing.assert_allclose(predictions, every[0], atol=1e-6)  # JSON has ten digits of each number


@pytest.mark.server
def test_metrics_count_rows_by_who_answered(servers: dict[str, Server]) -> None:
    import requests

    post(servers["beside"], sent(customers(), "split"))
    text = requests.get(f"{servers['beside'].url}/metrics", timeout=60).text
    counted = {
        line.split('"')[1]: float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith("metamodel_variant_rows_total{")
    }
    share = counted["challenger"] / (counted["challenger"] + counted["champion"])
    assert 0.2 < share < 0.35
    assert counted["challenger_failed"] == 0


@pytest.mark.spark
def test_spark_gives_a_unit_its_model_and_sql_says_the_same(champion: str, spark: Any) -> None:
    from pyspark.sql import functions as F  # noqa: N812

    frame = customers()
    table = spark.createDataFrame(frame.astype({"shop": "int64"}))
    udf = mlflow.pyfunc.spark_udf(spark, champion, env_manager="local", result_type=RESULT, params={"detail": True})
    told = table.withColumn("told", udf(F.struct("shop", "x", "z", "customer"))).select("customer", "told.variant")
    wanted = dict(zip(frame["customer"], expected(frame), strict=True))
    rows = told.collect()
    assert len(rows) == len(frame)
    assert all(row["variant"] == wanted[row["customer"]] for row in rows)
    scored = metamodel.score(table, champion, engine="spark", params={"detail": True}).collect()
    assert all(row["variant"] == wanted[row["customer"]] for row in scored)
    table.createOrReplaceTempView("visits")
    head = f"substr(sha2(concat('{SALT}', char(0), to_json(array(customer))), 256), 1, 16)"
    query = f"SELECT customer, customer IS NOT NULL AND {head} < '{bound_text(FRACTION)}' AS chosen FROM visits"
    in_sql = spark.sql(query).collect()
    assert all(("challenger" if row["chosen"] else "champion") == wanted[row["customer"]] for row in in_sql)


def test_pandas_and_a_file_give_a_unit_its_model(champion: str, tmp_path: Path) -> None:
    frame = customers()
    model = mlflow.pyfunc.load_model(champion)
    assert model.predict(frame, params={"detail": True})["variant"].tolist() == expected(frame)
    frame.to_csv(tmp_path / "visits.csv", index=False)
    score_file(tmp_path / "visits.csv", champion, str(tmp_path / "out.csv"), params={"detail": True})
    assert pd.read_csv(tmp_path / "out.csv")["variant"].tolist() == expected(frame)


@pytest.mark.server
def test_the_shadow_answers_byte_for_byte_as_the_champion_alone(champion: str, tmp_path: Path) -> None:
    frame = customers()
    bodies = [sent(frame.iloc[[i]], "records") for i in range(20)] + [sent(frame, "split")]
    bodies = [body.replace('"detail": true', '"detail": false') for body in bodies]
    with metamodel_server(f"models:/{NAME}/1", tmp_path) as alone:
        expected_bodies = [post(alone, body).content for body in bodies]
    with metamodel_server(f"models:/{NAME}/1", tmp_path, challenger=f"models:/{NAME}/2") as shadow:
        assert [post(shadow, body).content for body in bodies] == expected_bodies
    assert MlflowClient().get_model_version(NAME, "3").tags["metamodel.rollout"]
    assert champion.endswith("/3")


def test_a_challenge_that_cannot_be_is_one_line() -> None:
    from command_line import run

    unasked = run("serve", "nowhere", "--mode", "ab")
    assert (unasked.exit_code, unasked.stderr.count("\n")) == (2, 1)
    assert "Give --challenger too" in unasked.stderr
    without_units = run("serve", "nowhere", "--challenger", "nowhere", "--mode", "ab")
    assert (without_units.exit_code, without_units.stderr.count("\n")) == (2, 1)
    assert "needs units that keep their model" in without_units.stderr
