"""`predict_method`: every way to a model adds the same columns, and they are what the children themselves say."""

import json

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

import metamodel
from metamodel import InputError
from metamodel.serving.scorer import Scorer

COLUMNS = ["volts", "amps"]


def sensors() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    frame = pd.DataFrame(rng.normal(size=(150, 2)), columns=COLUMNS).assign(plant=np.repeat(["x", "y", "z"], 50))
    grade = np.select([frame["volts"] > 0.4, frame["amps"] > 0], ["high", "low"], "mid")
    return frame.assign(zero=0, hot=frame["volts"] > 0, grade=grade)


CASES = {
    "binary": ("hot", SVC(), "decision_function"),
    "classes": ("grade", LogisticRegression(), "decision_function"),
    "outliers": ("zero", IsolationForest(random_state=0), "decision_function"),
    "samples": ("zero", IsolationForest(random_state=0), "score_samples"),
    "clusters": ("zero", KMeans(3, n_init=1, random_state=0), "transform"),
}


def trained(target, estimator, **options):
    return metamodel.train(sensors(), ["plant"], target, estimator, features=COLUMNS, n_jobs=1, **options)


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.mark.filterwarnings("ignore:Target")
def test_every_way_adds_what_the_children_say(case, tmp_path):
    target, estimator, method = case
    result = trained(target, estimator)
    model = metamodel.load_model(result.bundle_path)
    rows = sensors().sample(frac=1, random_state=1)
    answers = model.predict(rows, {"predict_method": method})
    added = [name for name in answers if name.startswith(method)]
    for plant, part in rows.groupby("plant"):
        child = model.child((plant,))
        by_hand = np.asarray(getattr(child, method)(part[COLUMNS])).reshape(len(part), -1)
        if by_hand.shape[1] > 1 and target == "grade":
            by_hand = by_hand[:, np.argsort(child.classes_)]
        assert np.allclose(answers.loc[part.index, added], by_hand, rtol=1e-12)

    rows.to_csv(tmp_path / "rows.csv", index=False)
    scored = metamodel.score(tmp_path / "rows.csv", model, params={"predict_method": method})
    assert np.allclose(scored[added], answers[added], rtol=1e-9)

    sent = {"dataframe_split": rows[["plant", *COLUMNS]].to_dict("split"), "params": {"predict_method": method}}
    scorer = Scorer(model, 1000)
    for server in (scorer.answer_by_mlflow, lambda body, kind: scorer.answer(scorer.read(body, kind))):
        reply = json.loads(server(json.dumps(sent).encode(), "application/json").body)["predictions"]
        assert np.allclose(pd.DataFrame(reply)[added], answers[added], rtol=1e-12)


def test_a_recorded_method_is_in_the_signature_and_in_every_answer_of_spark_too(tracking_uri, spark):
    from pyspark.sql import functions

    info = metamodel.log_model(trained("zero", CASES["clusters"][1]), predict_method="transform", report=False)
    assert info.signature.outputs.input_names() == ["prediction", "transform_0", "transform_1", "transform_2", "status"]
    rows = sensors()
    loaded = mlflow.pyfunc.load_model(info.model_uri).predict(rows[["plant", *COLUMNS]])
    expected = metamodel.load_model(info.model_uri).predict(rows)
    pd.testing.assert_frame_equal(loaded, expected)
    fields = "struct<prediction double, transform_0 double, transform_1 double, transform_2 double, status string>"
    udf = mlflow.pyfunc.spark_udf(spark, info.model_uri, result_type=fields.removeprefix("struct<").removesuffix(">"))
    table = spark.createDataFrame(rows.assign(row=range(len(rows))))
    answered = table.select("row", udf(functions.struct("plant", *COLUMNS)).alias("a")).select("row", "a.*").toPandas()
    answered = answered.sort_values("row")
    assert np.allclose(answered[[f"transform_{i}" for i in range(3)]], expected.filter(like="transform"), rtol=1e-12)


def test_groups_whose_children_give_fewer_columns_answer_in_those_of_all():
    model = metamodel.load_model(
        trained(
            "zero", KMeans(2, n_init=1), overrides=[{"plant": "y", "estimator_params": {"n_clusters": 4}}]
        ).bundle_path
    )
    answers = model.predict(sensors(), {"predict_method": "transform"}).filter(like="transform")
    assert answers.isna().sum().tolist() == [0, 0, 100, 100]


@pytest.mark.parametrize("method", ["decision_function", "score_samples", "transform"])
def test_a_method_that_children_have_not_is_refused(method):
    model = metamodel.load_model(trained("zero", "ridge", holdout=0).bundle_path)
    with pytest.raises(InputError, match=rf"^predict_method='{method}' needs children with {method}, which these have"):
        model.predict(sensors(), {"predict_method": method})


def test_no_target_is_refused_with_what_to_do():
    with pytest.raises(InputError, match=r"^target=None is no column name\..+ a constant will do: data\.assign\("):
        metamodel.train(sensors(), ["plant"], None, KMeans(2))
    with pytest.raises(InputError, match=r"^target=\['volts', 'amps'\] is no column name\..+ train one for each"):
        metamodel.train(sensors(), ["plant"], ["volts", "amps"], "ridge")
