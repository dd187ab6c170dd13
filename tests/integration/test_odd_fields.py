"""A column with a few odd fields: numbers in training and in every answer, whatever the table came from."""

import json

import numpy as np
import pandas as pd
import pytest

import metamodel
from metamodel.serving.scorer import Scorer


def rents(odd: bool = True) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"city": np.repeat(["Ulm", "Lyon"], 150), "area": rng.uniform(20, 120, 300).round(1)})
    frame["rent"] = 12 * frame["area"] + rng.normal(size=300)
    texts = frame.astype({"area": str})
    texts.loc[[3, 200], "area"] = "?"
    return texts if odd else frame


OPTIONS = {
    "group_by": ["city"],
    "target": "rent",
    "estimator": "ridge",
    "n_jobs": 1,
    "unknown": "fallback",
    "prune": False,
    "pooled": False,
}


@pytest.fixture(scope="module")
def result():
    return metamodel.train(rents(), **OPTIONS)


NOTES = ["1 row", "1 row", "2 rows"]


def test_children_are_those_of_a_table_with_nulls_and_the_ledger_says_so(result):
    clean = rents(odd=False)
    clean.loc[[3, 200], "area"] = np.nan
    expected = metamodel.train(clean, **OPTIONS).ledger
    assert result.ledger["holdout_rmse"].tolist() == expected["holdout_rmse"].tolist()
    assert result.ledger["reason"].tolist() == [f"odd_fields: {n} with a text read as null" for n in NOTES]
    [finding] = [one for one in result.findings if one.check == "text"]
    assert "Feature 'area' is text, but a number in 298 of 300 rows. The others hold '?'" in finding.message


def test_the_same_comes_of_csv_parquet_and_spark(result, spark, tmp_path):
    rents().to_csv(tmp_path / "rents.csv", index=False)
    rents().to_parquet(tmp_path / "rents.parquet")
    on_spark = {"engine": "spark"}
    of_csv = metamodel.train(tmp_path / "rents.csv", **OPTIONS)
    others = [
        of_csv,
        metamodel.train(tmp_path / "rents.parquet", **OPTIONS),
        metamodel.train(spark.createDataFrame(rents()), **OPTIONS, **on_spark),
        metamodel.train(str(tmp_path / "rents.csv"), **OPTIONS, **on_spark),
    ]
    for other in others:
        assert np.allclose(other.ledger["holdout_rmse"], result.ledger["holdout_rmse"], rtol=1e-9)
        assert other.manifest.features.to_dict()["features"][0]["null_texts"] == ("?",)
        assert [one.message for one in other.findings] == [one.message for one in result.findings]


def test_answers_of_spark_too_know_the_odd_texts_and_numbers_in_texts(result, spark, tmp_path):
    model = metamodel.load_model(result.bundle_path)
    asked = pd.DataFrame({"city": "Ulm", "area": [50.0, None, 50.0, 50.0]})
    with_texts = asked.assign(area=["50.0", "?", 50.0, "fifty"]).astype({"area": object})
    expected = model.predict(asked)
    answers = model.predict(with_texts, {"detail": True})
    assert answers["prediction"].tolist()[:3] == expected["prediction"].tolist()[:3]
    assert answers["status"].tolist() == ["child", "child", "child", "failed"]
    assert answers["error"][3] == "Feature 'area' is not a number."

    body = {"dataframe_split": with_texts.to_dict("split")}
    reply = json.loads(Scorer(model, 100).answer_by_mlflow(json.dumps(body).encode(), "application/json").body)
    assert [one["prediction"] for one in reply["predictions"]][:3] == expected["prediction"].tolist()[:3]
    texts = with_texts.astype({"area": str})
    texts.to_csv(tmp_path / "asked.csv", index=False)
    by_file = metamodel.score(tmp_path / "asked.csv", model)
    by_spark = metamodel.score(spark.createDataFrame(texts.assign(i=range(4))), model, engine="spark").toPandas()
    for scored in (by_file, by_spark.sort_values("i")):
        assert np.allclose(scored["prediction"][:3], expected["prediction"][:3], rtol=1e-12)
        assert scored["status"].tolist()[3] == "failed"


def test_a_category_of_such_texts_stays_one():
    features = metamodel.train(rents().astype({"area": "category"}), **OPTIONS).manifest.features.features
    assert features[0].kind == "category"
